"""AWS event streams: binary frames with headers, for streams that arrive in any pieces.

Frames are read by botocore, which is imported with the first reader: a process that talks to no AWS never pays for it.
"""

from __future__ import annotations

import importlib
import struct
from binascii import crc32
from typing import Any, Final

import msgspec

from services.runtime.errors import UpstreamProtocol

_SIZES: Final = struct.Struct("!II").unpack_from
_PRELUDE_BYTES: Final = 12
_LEAST_BYTES: Final = 16
_STRING: Final = 7
_MOST_KNOWN_HEADERS: Final = 64
_MOST_HEADER_BYTES: Final = 16_384
"""botocore reads headers in quadratic time, and would take 128 KiB of them; services send about a hundred bytes."""
_NAME_HEADER: Final = {"exception": ":exception-type", "error": ":error-code"}


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame: an event, or what the service calls an exception or an error."""

    kind: str
    """event, exception or error."""
    name: str
    """Event type, exception type or error code."""
    payload: bytes
    message: str = ""
    """Words of an error frame, which has no payload."""


class FrameReader:
    """Takes bytes in any split, gives the same frames; raises UpstreamProtocol for what is no event stream.

    botocore's buffer copies all that it holds for each piece and each frame, so it gets one whole frame at a time.
    """

    __slots__ = ("_buffer", "_faults", "_have", "_library", "_need", "_pieces")

    def __init__(self) -> None:
        # Any: botocore has no types.
        self._library: Any = importlib.import_module("botocore.eventstream")
        self._faults = (self._library.ParserError, struct.error, ValueError, LookupError, StopIteration)
        self._buffer = self._new_buffer()
        self._pieces: list[bytes] = []
        self._have = 0
        self._need = _PRELUDE_BYTES

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
        have = self._have + len(data)
        if have < self._need:
            if data:
                self._pieces.append(data)
                self._have = have
            return []
        held = b"".join([*self._pieces, data]) if self._have else data
        frames: list[Frame] = []
        start = 0
        try:
            while have >= _PRELUDE_BYTES:
                size, headers = _SIZES(held, start)
                if size < _LEAST_BYTES or headers > _MOST_HEADER_BYTES:
                    raise ValueError(f"a frame of {size} bytes with {headers} bytes of headers")
                if size > have:
                    self._check_prelude(held[start : start + _PRELUDE_BYTES])
                    self._need = size
                    break
                frames.append(self._frame(held[start : start + size]))
                start += size
                have -= size
                self._need = _PRELUDE_BYTES
        except self._faults as error:
            raise UpstreamProtocol(f"the provider sent bytes that are no event stream: {error}") from None
        self._pieces = [held[start:]] if have else []
        self._have = have
        return frames

    def close(self) -> bool:
        """Say whether the stream ended inside a frame."""
        return self._have > 0

    def _new_buffer(self) -> Any:
        buffer = self._library.EventStreamBuffer()
        # A stream has a handful of different headers, and reading them costs more than all the rest of a frame.
        buffer._header_parser = _HeaderMemory(buffer._header_parser)  # noqa: SLF001
        return buffer

    def _check_prelude(self, prelude: bytes) -> None:
        """Have botocore look at the checksum and the bounds of a frame that is still to come."""
        buffer = self._new_buffer()
        buffer.add_data(prelude)
        for _ in buffer:
            raise ValueError("a frame that ends with its prelude")

    def _frame(self, data: bytes) -> Frame:
        buffer = self._buffer
        buffer.add_data(data)
        message = buffer.next()
        headers = message.headers
        kind = headers.get(":message-type", "")
        name = headers.get(_NAME_HEADER.get(kind, ":event-type"), "")
        if kind == "error":
            return Frame(kind, str(name), message.payload, str(headers.get(":error-message", "")))
        return Frame(str(kind), str(name), message.payload)


class _HeaderMemory:
    """botocore's header parser, asked once for each different block of headers."""

    __slots__ = ("_known", "_parser")

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._known: dict[bytes, dict[str, Any]] = {}

    def parse(self, data: bytes) -> dict[str, Any]:
        """Return the headers in these bytes."""
        headers = self._known.get(data)
        if headers is None:
            headers = self._parser.parse(data)
            if len(self._known) < _MOST_KNOWN_HEADERS and len(data) < 1024:
                self._known[data] = headers
        return headers


def encode_frame(name: str, payload: bytes, kind: str = "event") -> bytes:
    """Write one frame as the service does: an event or an exception whose payload is JSON."""
    named = _NAME_HEADER.get(kind, ":event-type")
    headers = (
        _header(named, name) + _header(":content-type", "application/json") + _header(":message-type", kind)
    )
    prelude = struct.pack("!II", _LEAST_BYTES + len(headers) + len(payload), len(headers))
    front = b"%b%b%b%b" % (prelude, struct.pack("!I", crc32(prelude)), headers, payload)
    return front + struct.pack("!I", crc32(front))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(f"!B{len(key)}sBH{len(text)}s", len(key), key, _STRING, len(text), text)
