"""Providers and models are taken from the file anew while calls are running."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from services.mesh.config import Config
from services.mesh.source import Source
from services.runtime.log import get_logger
from services.runtime.settings import ConfigError, watch

_LOGGER = get_logger(__name__)
_RELOADED: Final = frozenset({"providers", "models", "billing"})


@contextmanager
def obeying(reload: Callable[[], None]) -> Generator[None, None, None]:
    """Call `reload` for each SIGHUP while the context lasts."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


@asynccontextmanager
async def following(source: Source, apply: Callable[[Config], None]) -> AsyncGenerator[None, None]:
    """While the context lasts, apply the file after each change and after SIGHUP. A faulty file changes nothing."""
    current = source.config

    def take(fresh: Config) -> None:
        nonlocal current
        if fresh == current:
            return
        apply(fresh)
        if _rest(fresh) != _rest(current):
            _LOGGER.warning("providers, models and prices were taken anew; the other changes need a restart")
        current = fresh

    def again() -> None:
        try:
            take(source.again())
        except ConfigError as error:
            faults = [str(each) for each in error.faults]
            _LOGGER.warning("configuration not reloaded", config_fault=faults)
        except Exception:
            _LOGGER.exception("configuration not reloaded")

    watching: list[asyncio.Task[None]] = []
    if source.file is not None:
        watching.append(asyncio.create_task(watch(source.file, source.again, take), name="watch-config"))
    try:
        with obeying(again):
            yield
    finally:
        for task in watching:
            task.cancel()


def _rest(config: Config) -> dict[str, object]:
    return {name: getattr(config, name) for name in Config.model_fields if name not in _RELOADED}
