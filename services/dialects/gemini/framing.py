"""A stream's chunks out of its bytes, in either framing: server-sent events, or one JSON array."""

from __future__ import annotations

import re
from typing import Final

from services.dialects.sse import MAX_EVENT_BYTES, SseParser
from services.runtime.errors import UpstreamProtocol

_BLANK: Final = b" \t\r\n"
_BETWEEN: Final = b" \t\r\n,"
_IN_TEXT: Final = re.compile(rb'["\\]')
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')


class ChunkReader:
    """Takes bytes in any split, gives the same chunks; the first byte tells the framing."""

    __slots__ = ("_aligned", "_array", "_sse")

    def __init__(self) -> None:
        self._aligned = False
        self._sse: SseParser | None = None
        self._array: ArrayParser | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the chunks that these bytes complete, each one JSON text."""
        if self._sse is not None:
            if self._aligned and _is_lone(data):
                return [data[6:-4]]
            if data:
                self._aligned = data.endswith((b"\r\n\r\n", b"\n\n"))
            return [event.data for event in self._sse.feed(data) if event.data != b"[DONE]"]
        if self._array is not None:
            return self._array.feed(data)
        start = data.lstrip(_BLANK)[:1]
        if not start:
            return []
        if start in {b"[", b"{"}:
            self._array = ArrayParser()
        else:
            self._sse = SseParser()
        return self.feed(data)

    def close(self) -> bool:
        """Whether the bytes may end here."""
        if self._sse is not None:
            return not self._sse.close()
        return self._array is not None and self._array.ended


class ArrayParser:
    """The elements of one JSON array of objects, or a single object; each byte is looked at once."""

    __slots__ = ("_depth", "_escaped", "_in_text", "_opened", "_pieces", "_size", "ended")

    def __init__(self) -> None:
        self._depth = 0
        self._opened = self._in_text = self._escaped = False
        self._pieces: list[bytes] = []
        self._size = 0
        self.ended = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the elements that these bytes complete; raise UpstreamProtocol for what is no such array."""
        found: list[bytes] = []
        start, position = 0, 0
        while position < len(data):
            if self._in_text:
                position = self._skip_text(data, position)
                continue
            match = _OUTSIDE.search(data, position)
            here = len(data) if match is None else match.start()
            if not self._depth and data[position:here].strip(_BETWEEN):
                raise _no_array()
            if match is None:
                break
            position = here + 1
            if self._bracket(data[here]):
                start = here
            elif not self._depth and self._pieces_or(data, start, position, found):
                start = position
        if self._depth:
            self._keep(data[start:])
        return found

    def _pieces_or(self, data: bytes, start: int, end: int, found: list[bytes]) -> bool:
        """End an element, if one was open."""
        if data[end - 1] != 0x7D:
            return False
        if self._size + end - start > MAX_EVENT_BYTES:
            raise _too_large()
        found.append(b"".join([*self._pieces, data[start:end]]))
        self._pieces.clear()
        self._size = 0
        return True

    def _skip_text(self, data: bytes, position: int) -> int:
        if self._escaped:
            self._escaped = False
            return position + 1
        match = _IN_TEXT.search(data, position)
        if match is None:
            return len(data)
        if match[0] == b"\\":
            self._escaped = True
        else:
            self._in_text = False
        return match.end()

    def _bracket(self, byte: int) -> bool:
        """Follow one bracket or quote; true if it opens an element."""
        if self.ended or (not self._depth and byte in b'"}'):
            raise _no_array()
        if byte == 0x22:
            self._in_text = True
        elif byte in b"{[":
            if not self._depth and byte == 0x5B:
                if self._opened:
                    raise _no_array()
                self._opened = True
                return False
            self._depth += 1
            return self._depth == 1
        elif self._depth:
            self._depth -= 1
            self.ended = not self._depth and not self._opened
        elif self._opened:
            self.ended = True
        else:
            raise _no_array()
        return False

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_EVENT_BYTES:
            raise _too_large()
        self._pieces.append(data)


def _is_lone(data: bytes) -> bool:
    """One whole event and nothing else, as Google mostly sends them."""
    return (
        data.startswith(b"data: ")
        and data.endswith(b"\r\n\r\n")
        and data.count(b"\n") == 2
        and data.count(b"\r") == 2
        and len(data) <= MAX_EVENT_BYTES
    )


def _too_large() -> UpstreamProtocol:
    return UpstreamProtocol(f"the provider sent a chunk larger than {MAX_EVENT_BYTES} bytes")


def _no_array() -> UpstreamProtocol:
    return UpstreamProtocol("the provider's stream is no array of chunks")
