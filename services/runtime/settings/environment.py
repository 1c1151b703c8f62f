"""What the environment adds to a configuration: variables inside values, and overrides of single keys."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import yaml

from services.runtime.settings.fault import Fault, Path, dotted
from services.runtime.settings.source import VARIABLE, Source

PREFIX: Final = "LLMHUB_"
FILE: Final = "environment"
_ESCAPED: Final = re.compile(r"\$(\$\{)")


def expand(source: Source, environ: Mapping[str, str], lenient: Collection[str]) -> None:
    """Replace `${NAME}` and `${NAME:-default}` in every text; `$${` stands for `${`.

    A variable that is unset is a fault, except under the top-level keys in `lenient`: there the text keeps its
    `${NAME}`, which says that the value is not configured. An empty variable counts as unset there.
    """

    def text_of(text: str, path: Path) -> str:
        forgiving = path[0] in lenient

        def one(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            if found.start() and text[found.start() - 1] == "$":
                return found[0]
            value = environ.get(name)
            if default is not None:
                return value or default
            if value is None and not forgiving:
                source.fault(
                    source.line_of(path),
                    path,
                    f"the variable {name} is not set",
                    f"export {name}, or write ${{{name}:-default}}",
                )
            return value or (found[0] if forgiving else "")

        return _ESCAPED.sub(r"\1", VARIABLE.sub(one, text))

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, str):
            return text_of(value, path)
        if isinstance(value, dict):
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    source.values = {key: walk(value, (key,)) for key, value in source.values.items()}


def override(
    values: dict[str, Any],
    environ: Mapping[str, str],
    top_level: Collection[str],
    aliases: Mapping[str, str],
) -> tuple[dict[Path, str], list[Fault]]:
    """Lay `LLMHUB_SECTION__KEY=value` over the values; return which variable gave which path, and faults.

    A name without `__` counts only if `top_level` has it, or `aliases` (variable → dotted path). Parts are compared
    with existing keys without regard to case, and `_` may stand for `-`. Values that begin with `[` or `{` are YAML.
    """
    origins: dict[Path, str] = {}
    faults = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or not environ[name]:
            continue
        parts = name.removeprefix(PREFIX).lower().split("__")
        if name in aliases:
            parts = aliases[name].split(".")
        elif len(parts) == 1 and parts[0] not in top_level:
            continue
        path = _put(values, parts, _parsed(environ[name]))
        if path is None:
            faults.append(
                Fault(FILE, None, name, "a part of the name is empty or no section", "check the name")
            )
        else:
            origins[path] = name
    return origins, faults


def _put(values: dict[str, Any], parts: list[str], value: Any) -> Path | None:
    path: Path = ()
    current = values
    for place, part in enumerate(parts):
        if not part or not isinstance(current, dict):
            return None
        key = next((key for key in current if str(key).replace("-", "_").lower() == part), part)
        path = (*path, key)
        if place == len(parts) - 1:
            current[key] = value
        else:
            # A section that the file leaves empty is None there.
            if current.get(key) is None:
                current[key] = {}
            current = current[key]
    return path


def _parsed(value: str) -> Any:
    if value[:1] not in ("[", "{"):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def known_as(path: Path, origins: Mapping[Path, str]) -> str | None:
    """The variable that gave the value at this path or around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            name = origins[path[:length]]
            rest = dotted(path[length:])
            return f"{name} ({rest})" if rest else name
    return None


def inside(path: Path, origins: Mapping[Path, str]) -> str | None:
    """A variable that gave a part of the value at this path."""
    return next((name for given, name in origins.items() if given[: len(path)] == path), None)
