"""How far guesses are from what providers report, by provider and model."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from services.providers.tokens.lru import Lru

_MODELS: Final = 1024
_FIRST: Final = 4
"""So many attempts are looked at as they come, later ones now and then."""
_EVERY: Final = 10.0
_DECAY: Final = 0.8
"""What an observation keeps of its weight with each later one."""
_DOUBT: Final = 200.0
"""Tokens of a guess that is right, laid beside the observations: small prompts are mostly overhead and teach little."""
_BOUNDS: Final = (0.25, 4.0)


@dataclass(slots=True)
class _Seen:
    reported: float = 0.0
    guessed: float = 0.0
    times: int = 0
    last: float = 0.0


class Calibration:
    """A moving, weighted mean of reported over guessed tokens. Instants are in seconds; safe between threads."""

    def __init__(self) -> None:
        self._seen: Lru[tuple[str, str], _Seen] = Lru(_MODELS)
        self._lock = threading.Lock()

    def due(self, provider: str, model: str, now: float) -> bool:
        """Tell whether an attempt that begins now should be looked at; looking costs about what counting does."""
        with self._lock:
            seen = self._seen.get((provider, model))
            if seen is None:
                seen = _Seen()
                self._seen.put((provider, model), seen)
            elif seen.times >= _FIRST and now - seen.last < _EVERY:
                return False
            seen.times += 1
            seen.last = now
            return True

    def learn(self, provider: str, model: str, guessed: float, reported: float) -> None:
        """Take in what an attempt was guessed to have, and what it had."""
        if guessed <= 0 or reported <= 0:
            return
        with self._lock:
            seen = self._seen.get((provider, model))
            if seen is None:
                seen = _Seen()
                self._seen.put((provider, model), seen)
            seen.reported = seen.reported * _DECAY + reported
            seen.guessed = seen.guessed * _DECAY + guessed

    def factor(self, provider: str, model: str) -> float:
        """Return what to multiply a guess with; 1 for a model of which nothing is known."""
        with self._lock:
            seen = self._seen.get((provider, model))
            if seen is None:
                return 1.0
            found = (seen.reported + _DOUBT) / (seen.guessed + _DOUBT)
        low, high = _BOUNDS
        return min(max(found, low), high)
