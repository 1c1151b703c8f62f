"""Reads the configuration: file, environment, command line, in rising order of weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.mesh.checks import faults_of
from services.mesh.config import Config
from services.runtime.settings import ConfigError, Fault
from services.runtime.settings import load as load_file
from services.runtime.settings.fault import dotted
from services.runtime.settings.source import read

DEFAULT_FILES: Final = ("llmhub.yaml", "llmhub.yml", "llmhub.toml")
_OPTIONS: Final = {"port": "LLMHUB_PORT", "data_dir": "LLMHUB_DATA_DIR"}
"""Options of the command line, by the variables that they outweigh."""


def find_file(given: str | None) -> Path | None:
    """Return the file to read: the given one, else the first of DEFAULT_FILES that exists, else none."""
    if given is not None:
        return Path(given)
    return next((path for path in map(Path, DEFAULT_FILES) if path.exists()), None)


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Config:
    """Return the configuration. Raises ConfigError with every fault, each with file and line."""
    variables = dict(environ)
    variables |= {_OPTIONS[name]: str(value) for name, value in overrides.items() if value is not None}
    config = load_file(path, Config, variables)
    found = list(faults_of(config))
    if found:
        source = None if path is None else read(path)
        raise ConfigError(
            [
                Fault(
                    "environment" if path is None else str(path),
                    None if source is None else source.line_of(place),
                    dotted(place),
                    what,
                    advice,
                )
                for place, what, advice in found
            ]
        )
    return config
