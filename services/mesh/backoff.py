"""How long to wait before a process that died is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from `first` to `longest` seconds; a run of `steady` seconds starts it anew."""

    first: float = 0.1
    longest: float = 5.0
    steady: float = 10.0
    most: int = 10
    """Short runs in a row after which there is no further try."""
    _failures: int = 0

    def after(self, lasted: float) -> float | None:
        """Return the pause after a run that lasted so many seconds; None to give up."""
        if lasted >= self.steady:
            self._failures = 0
        self._failures += 1
        if self._failures > self.most:
            return None
        pause: float = self.first * 2.0 ** (self._failures - 1)
        return min(self.longest, pause)
