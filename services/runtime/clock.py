"""Time as an argument: the domain never reads a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Return the wall clock, seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Return a clock that never steps back, seconds from an arbitrary point."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return the wall clock, seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return the monotonic clock, in seconds."""
        return time.monotonic()
