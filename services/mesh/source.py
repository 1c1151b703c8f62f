"""A loaded configuration, with what is needed to load it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.mesh import loading
from services.mesh.config import Config
from services.mesh.places import Places


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration came from and what it says."""

    file: Path | None
    environ: Mapping[str, str]
    overrides: Mapping[str, Any]
    config: Config
    places: Places

    def again(self) -> Config:
        """Return the configuration as it is now. Raises ConfigError."""
        return loading.load(self.file, self.environ, self.overrides)
