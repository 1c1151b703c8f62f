"""The server's end of one HTTP/1.1 connection, written by hand so that it can break every rule."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

import httptools

Serve = Callable[["Wire", "Incoming"], Awaitable[None]]

_ABORT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST instead of FIN."""


class Incoming:
    """A request as it arrived. Header names are lower case."""

    def __init__(self) -> None:
        self.method = ""
        self.target = ""
        self.headers: list[tuple[str, str]] = []
        self.head = bytearray()
        """Everything before the body, for looking for what must not be there."""
        self.body = bytearray()


class Wire(asyncio.Protocol):
    """Reads requests one after another and lets `serve` write each answer."""

    def __init__(self, serve: Serve, number: int) -> None:
        self.number = number
        self.left_at: float | None = None
        """When the peer closed, on the monotonic clock."""
        self._serve = serve
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = Incoming()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._chunked = False
        self._keep = True

    # ------------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._incoming.method:
            self._incoming.head += data.split(b"\r\n\r\n")[0]
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def eof_received(self) -> bool:
        self._leave()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _leave(self) -> None:
        if self.left_at is None:
            self.left_at = time.monotonic()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    # ------------------------------------------------------------------ the parser's side

    def on_url(self, url: bytes) -> None:
        self._incoming.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._incoming.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._incoming.method = self._parser.get_method().decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._incoming.body += data

    def on_message_complete(self) -> None:
        request, self._incoming = self._incoming, Incoming()
        self._keep = self._parser.should_keep_alive()
        self._task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Incoming) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(self, request)

    # ------------------------------------------------------------------ writing

    async def raw(self, data: bytes) -> None:
        """Put bytes on the socket as they are."""
        await self._writable.wait()
        if self.left_at is None:
            self._transport.write(data)

    async def head(self, status: int, headers: Sequence[tuple[str, str]], length: int | None) -> None:
        """Send the status line and headers; without a length the body is chunked."""
        self._chunked = length is None
        framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
        lines = [f"HTTP/1.1 {status} Any"] + [f"{name}: {value}" for name, value in (*headers, framing)]
        await self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        if data:
            await self.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def end(self) -> None:
        """End the body properly."""
        if self._chunked:
            await self.raw(b"0\r\n\r\n")
        if not self._keep:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def cut(self, *, reset: bool) -> None:
        """Close in the middle: with RST, or with FIN after what was written has gone out."""
        if reset:
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self._transport.abort()
        else:
            self._transport.close()
