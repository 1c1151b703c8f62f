"""Server-sent events as the WHATWG standard frames them, for streams that arrive in any pieces."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from services.runtime.errors import UpstreamProtocol

MAX_EVENT_BYTES: Final = 32 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event. `event` is empty when the stream names no type."""

    event: str
    data: bytes


class SseParser:
    """Takes bytes in any split, gives the same events; raises UpstreamProtocol for an event over 32 MiB."""

    __slots__ = ("_after_cr", "_at_start", "_data", "_event", "_idle", "_size", "_tail", "_tail_size")

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._data: list[bytes] = []
        self._event = ""
        self._size = 0
        self._after_cr = False
        self._at_start = True
        self._idle = False
        """Nothing is kept of an event that has begun."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events that these bytes complete."""
        if self._idle and data.startswith(b"data: ") and len(data) <= MAX_EVENT_BYTES:
            end = data.find(b"\n")
            if end >= 0 and end == len(data) - 2 and data[end + 1] == 10 and b"\r" not in data:
                return [SseEvent("", data[6:end])]
        events = self._feed(data)
        self._idle = not (self._at_start or self._after_cr or self._tail or self._data or self._event)
        return events

    def _feed(self, data: bytes) -> list[SseEvent]:
        if self._at_start or self._after_cr:
            data = self._trim(data)
        if not data:
            return []
        has_cr = b"\r" in data
        if not has_cr and b"\n" not in data:
            self._keep(data)
            return []
        if self._tail:
            self._tail.append(data)
            data = b"".join(self._tail)
            self._tail.clear()
            self._tail_size = 0
        events: list[SseEvent] = []
        end = self._lines_with_cr(data, events) if has_cr else self._lines(data, events)
        if end < len(data):
            self._keep(data[end:])
        return events

    def close(self) -> bool:
        """Drop an event that no blank line ended, as the standard says; true if there was one."""
        cut = bool(self._tail or self._data)
        self._tail.clear()
        self._data.clear()
        self._tail_size = self._size = 0
        return cut

    def _trim(self, data: bytes) -> bytes:
        """Take off a byte order mark at the start of the stream, and the LF of a CR LF that was split."""
        if self._at_start:
            if self._tail:
                data = b"".join([*self._tail, data])
                self._tail.clear()
                self._tail_size = 0
            if data.startswith(_BOM):
                data = data[3:]
            elif _BOM.startswith(data):
                self._keep(data)
                return b""
            self._at_start = False
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 10:
                return data[1:]
        return data

    def _lines(self, data: bytes, events: list[SseEvent]) -> int:
        """Read whole lines that end in LF; return where the unfinished line starts."""
        find, position, last = data.find, 0, len(data) - 1
        fresh = not self._data and not self._event
        while (end := find(b"\n", position)) >= 0:
            if fresh and end < last and data[end + 1] == 10 and data.startswith(b"data: ", position):
                # By far the commonest event: one data line and the blank line behind it.
                if end - position > MAX_EVENT_BYTES:
                    raise _too_large()
                events.append(SseEvent("", data[position + 6 : end]))
                position = end + 2
                continue
            self._line(data[position:end], events)
            fresh = not self._data and not self._event
            position = end + 1
        return position

    def _lines_with_cr(self, data: bytes, events: list[SseEvent]) -> int:
        position = 0
        for match in _LINE_END.finditer(data):
            self._line(data[position : match.start()], events)
            position = match.end()
        self._after_cr = data.endswith(b"\r")
        return position

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not line:
            if self._data:
                events.append(SseEvent(self._event, b"\n".join(self._data)))
                self._data.clear()
            self._event = ""
            self._size = 0
            return
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._size += len(value)
            if self._size > MAX_EVENT_BYTES:
                raise _too_large()
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")

    def _keep(self, data: bytes) -> None:
        self._tail_size += len(data)
        if self._tail_size > MAX_EVENT_BYTES:
            raise _too_large()
        self._tail.append(data)


def encode_event(data: bytes, event: str = "") -> bytes:
    """Write one event, LF line ends; line ends inside `data` become further data lines."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


def _too_large() -> UpstreamProtocol:
    return UpstreamProtocol(f"the provider sent a stream event larger than {MAX_EVENT_BYTES} bytes")
