"""Function calls whose arguments arrive piece by piece (Vertex, if a client asks for it)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from services.dialects.members import JsonObject, json_text

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,4})\]|\['([^']*)'\]")
_MOST_STEPS: Final = 64
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")


def is_partial(call: object) -> bool:
    """Tell whether a functionCall is a piece of one."""
    return isinstance(call, dict) and ("partialArgs" in call or bool(call.get("willContinue")))


class PartialArguments:
    """Arguments being put together."""

    __slots__ = ("_last", "_text", "_value")

    def __init__(self) -> None:
        self._value: JsonObject = {}
        self._last = ""
        self._text: list[str] = []

    def add(self, pieces: Any) -> None:
        """Take the next pieces; raise ValueError for a path that leads nowhere."""
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict) and type(path := piece.get("jsonPath")) is str:
                self._add(path, piece)

    def text(self) -> str:
        """The arguments so far, as JSON."""
        self._settle()
        return json_text(self._value)

    def _add(self, path: str, piece: JsonObject) -> None:
        if path != self._last:
            self._settle()
            self._last = path
        value = next((piece[name] for name in _VALUES if name in piece), "")
        if type(value) is str and "nullValue" not in piece:
            self._text.append(value)
            return
        self._put(path, None if "nullValue" in piece else value)

    def _settle(self) -> None:
        """Put a text together once: adding to it piece by piece is quadratic."""
        if self._text:
            self._put(self._last, "".join(self._text))
            self._text.clear()
        self._last = ""

    def _put(self, path: str, value: Any) -> None:
        steps: list[str | int] = []
        position = 1
        for match in _STEP.finditer(path, 1):
            if match.start() != position:
                break
            position = match.end()
            steps.append(int(match[2]) if match[2] else match[1] or match[3] or "")
        if not path.startswith("$") or position != len(path) or not 0 < len(steps) <= _MOST_STEPS:
            raise ValueError(f"no path of an argument: {path[:80]}")
        owner: Any = self._value
        for step, following in pairwise(steps):
            owner = _inside(owner, step, [] if isinstance(following, int) else {})
        _inside(owner, steps[-1], value, replace=True)


def _inside(owner: Any, step: str | int, fresh: Any, *, replace: bool = False) -> Any:
    if isinstance(step, int) and isinstance(owner, list) and step <= len(owner):
        if step == len(owner):
            owner.append(fresh)
        elif replace:
            owner[step] = fresh
        return owner[step]
    if isinstance(step, str) and isinstance(owner, dict):
        if replace:
            owner[step] = fresh
        return owner.setdefault(step, fresh)
    raise ValueError("a path of an argument leads nowhere")
