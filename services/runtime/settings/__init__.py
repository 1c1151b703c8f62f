"""Configuration: one file, variables of the environment inside it, overrides by the environment, one pydantic model."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from services.runtime.settings.environment import FILE, expand, inside, known_as, override
from services.runtime.settings.fault import ConfigError, Fault
from services.runtime.settings.fault import Path as KeyPath
from services.runtime.settings.source import Source, read
from services.runtime.settings.validation import report_errors
from services.runtime.settings.watching import watch

__all__ = ["ConfigError", "Fault", "load", "watch"]

ALIASES: Final = MappingProxyType({"LLMHUB_PORT": "edge.port", "LLMHUB_BOOTSTRAP_KEY": "auth.bootstrap_key"})
LENIENT: Final = ("providers",)

M = TypeVar("M", bound=BaseModel)


def load(
    path: Path | None,
    model: type[M],
    environ: Mapping[str, str],
    *,
    aliases: Mapping[str, str] = ALIASES,
    lenient: Collection[str] = LENIENT,
) -> M:
    """Return the configuration of a YAML or TOML file (None: of the environment alone).

    Texts may hold `${NAME}` and `${NAME:-default}`. An unset `${NAME}` stays in the text under the keys of `lenient`
    and is a fault elsewhere. `LLMHUB_SECTION__KEY=value` overrides the file. Raises ConfigError with all faults.
    """
    source = Source(FILE) if path is None else read(path)
    expand(source, environ, lenient)
    fields = set(model.model_fields)
    used = {name: target for name, target in aliases.items() if target.partition(".")[0] in fields}
    origins, faults = override(source.values, environ, fields, used)
    source.faults += faults
    if not source.values and source.faults:
        raise ConfigError(source.faults)
    try:
        result = model.model_validate(source.values)
    except ValidationError as error:

        def report(place: KeyPath, what: str, advice: str) -> None:
            variable = known_as(place, origins)
            if variable is None and place not in source.lines:
                variable = inside(place, origins)
            if variable is not None:
                source.faults.append(Fault(FILE, None, variable, what, advice))
            else:
                source.fault(source.line_of(place), place, what, advice)

        report_errors(error, model, source.values, report)
    if source.faults:
        raise ConfigError(sorted(source.faults, key=lambda fault: (fault.file, fault.line or 0)))
    return result
