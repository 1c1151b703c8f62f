"""Providers and models are taken from the file anew while calls are running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from services.mesh.config import Config
from services.mesh.signals import Signals
from services.mesh.source import Source
from services.runtime.log import get_logger
from services.runtime.settings import ConfigError, watch

_LOGGER = get_logger(__name__)
_RELOADED: Final = frozenset({"providers", "models", "billing"})


@contextmanager
def follow(source: Source, signals: Signals, apply: Callable[[Config], None]) -> Generator[None, None, None]:
    """While the context lasts, apply the file after each change and after SIGHUP. A faulty file changes nothing."""
    if source.file is None:
        yield
        return
    current = source.config

    def take(fresh: Config) -> None:
        nonlocal current
        if fresh == current:
            return
        apply(fresh)
        if _rest(fresh) != _rest(current):
            _LOGGER.warning("providers, models and prices were taken anew; the other changes need a restart")
        current = fresh

    async def obey() -> None:
        while True:
            await signals.reload.wait()
            signals.reload.clear()
            try:
                take(source.again())
            except ConfigError as error:
                faults = [str(each) for each in error.faults]
                _LOGGER.warning("configuration not reloaded", config_fault=faults)
            except Exception:
                _LOGGER.exception("configuration not reloaded")

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(watch(source.file, source.again, take)), loop.create_task(obey())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _rest(config: Config) -> dict[str, object]:
    return {name: getattr(config, name) for name in Config.model_fields if name not in _RELOADED}
