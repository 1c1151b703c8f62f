"""Server-sent events in whole pieces: what a piece of a stream says can be judged only when its event is complete."""

from __future__ import annotations

from typing import Final

MOST_HELD: Final = 64 * 1024
"""Bytes of an event that is not complete yet; more of it goes on as it comes."""

_OVERLAP: Final = 3
"""Bytes before new ones that may be the beginning of an event's end."""


class WholeEvents:
    """Holds back the beginning of an event until its end has come. No client acts on less than a whole event."""

    __slots__ = ("_held", "_last", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._last = b""
        """The last bytes of what is held, however small its pieces are."""
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Return the events that these bytes complete, with those before them."""
        held = self._held
        if not held and data.endswith((b"\n\n", b"\r\n\r\n")):
            return data
        before = self._last
        end = _end(before + data) - len(before)
        if end <= 0:
            held.append(data)
            self._last = (before + data)[-_OVERLAP:]
            self._size += len(data)
            return self.close() if self._size > MOST_HELD else b""
        held.append(data[:end])
        whole = b"".join(held)
        self._held = [data[end:]] if end < len(data) else []
        self._last = data[max(end, len(data) - _OVERLAP) :]
        self._size = len(data) - end
        return whole

    def close(self) -> bytes:
        """Return what is held."""
        rest = b"".join(self._held)
        self._held = []
        self._last = b""
        self._size = 0
        return rest


def _end(data: bytes) -> int:
    """Where the last event ends; 0 if none does."""
    ends = (
        data.rfind(b"\n\n") + 2,
        data.rfind(b"\r\n\r\n") + 4,
        data.rfind(b"\r\r") + 2,
    )
    found = (end for end, length in zip(ends, (2, 4, 2), strict=True) if end >= length)
    return max(found, default=0)
