"""Ids of tool calls: Gemini mostly gives none, so they are made here, and taken off again on the way back."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from typing import Final

_MADE: Final = re.compile(r"call_lh[0-9a-f]{24}\Z")


def made_id(seed: str, *place: object) -> str:
    """An id for a call that has none: the same for the same answer or position, whatever way it is read."""
    text = "\0".join([seed, *map(str, place)])
    return f"call_lh{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def is_made(call_id: str) -> bool:
    """Tell an id made here, also after a client sent it back without saying so."""
    return _MADE.match(call_id) is not None


class CallIds:
    """The calls of one conversation or answer: ids for those without, and which result answers which."""

    __slots__ = ("_answered", "_count", "_seed", "_unanswered")

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = 0
        self._answered: set[str] = set()
        self._unanswered: defaultdict[str, deque[str]] = defaultdict(deque)

    def call(self, name: str, given: str | None) -> str:
        """Return the id of the next call."""
        call_id = given or made_id(self._seed, self._count, name)
        self._count += 1
        self._unanswered[name].append(call_id)
        return call_id

    def answer(self, name: str, given: str | None) -> str:
        """Return the id of the call that a result answers: by its id, else the first open call of the name."""
        if given is not None:
            self._answered.add(given)
            return given
        waiting = self._unanswered[name]
        while waiting:
            call_id = waiting.popleft()
            if call_id not in self._answered:
                return call_id
        return made_id(self._seed, "result", name)
