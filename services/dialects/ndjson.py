"""Newline-delimited JSON, for streams that arrive in any pieces."""

from __future__ import annotations

from typing import Final

from services.runtime.errors import UpstreamProtocol

MAX_LINE_BYTES: Final = 32 * 1024 * 1024


class LineParser:
    """Takes bytes in any split, gives the same lines; raises UpstreamProtocol for a line over 32 MiB.

    A line ends in LF or CR LF; blank lines are left out. Every byte is copied a bounded number of times.
    """

    __slots__ = ("_size", "_tail")

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete."""
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return []
        whole = data[:end]
        if self._tail:
            whole = b"".join([*self._tail, whole])
            self._tail.clear()
            self._size = 0
        lines = whole.split(b"\n")
        if len(whole) > MAX_LINE_BYTES and max(map(len, lines)) > MAX_LINE_BYTES:
            raise _too_long()
        self._keep(data[end + 1 :])
        return [line for line in lines if line and not line.isspace()]

    def close(self) -> bytes:
        """Return what no line end followed: a last line, or a piece of one that was cut."""
        rest = b"".join(self._tail)
        self._tail.clear()
        self._size = 0
        return b"" if rest.isspace() else rest

    def _keep(self, data: bytes) -> None:
        if data:
            self._size += len(data)
            if self._size > MAX_LINE_BYTES:
                raise _too_long()
            self._tail.append(data)


def encode_line(data: bytes) -> bytes:
    """Write one line; JSON as written here has no line ends inside."""
    return data + b"\n"


def _too_long() -> UpstreamProtocol:
    return UpstreamProtocol(f"the provider sent a line longer than {MAX_LINE_BYTES} bytes")
