"""What most commands begin with: the configuration, the directories, the logs."""

from __future__ import annotations

import argparse
import os

from services.mesh import loading
from services.mesh.config import Config
from services.mesh.places import open_places
from services.mesh.source import Source


def opened(options: argparse.Namespace) -> Source:
    """Load the configuration that the options name and make its directories. Raises ConfigError, PlacesUnusable."""
    file = loading.find_file(options.config)
    overrides = {"port": getattr(options, "port", None), "data_dir": options.data}
    config = loading.load(file, os.environ, overrides)
    return Source(file, os.environ, overrides, config, open_places(config.data_dir))


def configure_logs(config: Config, level: str) -> None:
    """Send logs to standard error; `level` is used where the configuration has none."""
    from services.runtime import log

    console = {"auto": None, "json": False, "text": True}[config.log.format]
    log.configure((config.log.level or level).upper(), console=console)
