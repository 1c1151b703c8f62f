"""The signals of a long-running command: stop, stop at once, read the configuration again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Signals:
    """`stop` is set by the first SIGTERM or SIGINT, `now` by the second, `reload` by SIGHUP."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)

    def ask_to_stop(self) -> None:
        """Stop gracefully; asked twice, at once."""
        (self.now if self.stop.is_set() else self.stop).set()


@contextmanager
def handled() -> Generator[Signals, None, None]:
    """Take the process's signals while the context lasts."""
    loop = asyncio.get_running_loop()
    signals = Signals()
    loop.add_signal_handler(signal.SIGTERM, signals.ask_to_stop)
    loop.add_signal_handler(signal.SIGINT, signals.ask_to_stop)
    loop.add_signal_handler(signal.SIGHUP, signals.reload.set)
    try:
        yield signals
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(each)
