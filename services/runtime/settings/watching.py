"""Notices when the configuration file changes."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from services.runtime.log import get_logger
from services.runtime.settings.fault import ConfigError

T = TypeVar("T")

_LOGGER = get_logger(__name__)

Stamp = tuple[int, int, int] | None


async def watch(
    path: Path, load: Callable[[], T], apply: Callable[[T], None], *, interval: float = 1.0
) -> None:
    """Load and apply the file each time it has changed and then stayed the same for `interval` seconds; never returns.

    What cannot be loaded is logged with its faults, and what was applied before stays.
    """
    applied = last = _stamp(path)
    while True:
        await asyncio.sleep(interval)
        current = _stamp(path)
        if current is not None and current == last and current != applied:
            applied = current
            _reload(path, load, apply)
        last = current


def _reload(path: Path, load: Callable[[], T], apply: Callable[[T], None]) -> None:
    try:
        apply(load())
    except ConfigError as error:
        faults = [str(fault) for fault in error.faults]
        _LOGGER.warning("configuration not reloaded", file=str(path), config_fault=faults)
    except Exception:
        _LOGGER.exception("configuration not reloaded", file=str(path))
    else:
        _LOGGER.info("configuration reloaded", file=str(path))


def _stamp(path: Path) -> Stamp:
    """What tells one state of the file from another; None while it is away or empty, as while being replaced."""
    try:
        found = os.stat(path)  # noqa: PTH116 - once a second, without an object each time
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_size) if found.st_size else None
