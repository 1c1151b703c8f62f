"""HTTP/1.1 over httptools for one ASGI application: what the edge speaks to the gateway's door, and no more.

The edge has already refused what is malformed, oversized or slow, so there are no timers here; a whole answer is one
write, which is what makes a call cheap.
"""

from __future__ import annotations

import asyncio
import http
import re
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools

from services.runtime.log import get_logger
from services.runtime.service import AsgiApp

_LOGGER = get_logger(__name__)
_HIGH_WATER: Final = 256 * 1024
_MOST_WAITING: Final = 16
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}
_UNSAFE: Final = re.compile(rb"[\r\n\0]")
_WITHOUT_BODY: Final = frozenset({204, 304})
_DISCONNECT: Final = {"type": "http.disconnect"}
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

Message = MutableMapping[str, Any]


class Exchanges:
    """All connections and running exchanges of a door."""

    def __init__(self, app: AsgiApp) -> None:
        self.app = app
        self.connections: set[HttpProtocol] = set()
        self.tasks: set[asyncio.Task[None]] = set()


class HttpProtocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._reading: _Exchange | None = None
        self._running: _Exchange | None = None
        self._waiting: deque[_Exchange] = deque()
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._room: asyncio.Event | None = None
        self._ending = False
        self.transport: asyncio.Transport

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._exchanges.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._exchanges.connections.discard(self)
        for exchange in (self._reading, self._running, *self._waiting):
            if exchange is not None:
                exchange.left()
        self._waiting.clear()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._running is None:
                self.transport.write(_BAD_REQUEST)
            self.transport.close()

    def pause_writing(self) -> None:
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        raw_path, _, query = self._target.partition(b"?")
        path = raw_path.decode("ascii", "replace")
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
        }
        self._reading = _Exchange(self, scope, keep_alive=self._parser.should_keep_alive())
        if self._running is None:
            self._run(self._reading)
        else:
            self._waiting.append(self._reading)
            if len(self._waiting) > _MOST_WAITING:
                self.transport.abort()

    def on_body(self, body: bytes) -> None:
        if self._reading is not None:
            self._reading.arrived(body)

    def on_message_complete(self) -> None:
        exchange, self._reading = self._reading, None
        if exchange is not None:
            exchange.arrived_whole()

    # What exchanges call.

    async def written(self) -> None:
        """Return when there is room to write more."""
        if self._room is not None:
            await self._room.wait()

    def finished(self, exchange: _Exchange) -> None:
        """The exchange is over; the next one may run."""
        if self._ending or not exchange.keep_alive:
            self._running = None
            self.transport.close()
            return
        self.transport.resume_reading()
        if not exchange.heard:
            # It was answered before its body had come. Closing here would cut off what the edge is still sending, and
            # the next call that it sends after it; the rest is read and dropped instead.
            return
        self._running = None
        if self._waiting:
            self._run(self._waiting.popleft())

    def end(self) -> None:
        """Close as soon as the running exchange is over."""
        self._ending = True
        if self._running is None or self._running.answered:
            self.transport.close()

    @property
    def ending(self) -> bool:
        """Whether this is the last exchange."""
        return self._ending

    def _run(self, exchange: _Exchange) -> None:
        self._running = exchange
        task = self._loop.create_task(exchange.run(self._exchanges.app))
        self._exchanges.tasks.add(task)
        task.add_done_callback(self._exchanges.tasks.discard)


class _Exchange:
    """One request and its answer, as ASGI sees them."""

    def __init__(self, protocol: HttpProtocol, scope: Message, *, keep_alive: bool) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.heard = False
        """Whether the whole request has arrived."""
        self._protocol = protocol
        self._transport = protocol.transport
        self._body: list[bytes] = []
        self._size = 0
        self._told_end = False
        self._gone = False
        self._paused = False
        self._news: asyncio.Event | None = None
        self._head: bytes | None = None
        self._chunked = False
        self._mute = scope["method"] == "HEAD"
        self._done = False
        self._returned = False

    async def run(self, app: AsgiApp) -> None:
        """Have the application answer. A broken answer ends the connection, so that it cannot look whole."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            _LOGGER.exception("the HTTP door's application failed")
        finally:
            self._end()

    def _end(self) -> None:
        if self._done:
            self._returned = True
            self._protocol.finished(self)
        elif self._gone:
            pass
        elif self._head is None and not self._transport.is_closing():
            self._transport.write(_FAILED)
            self._transport.close()
        else:
            self._transport.abort()

    @property
    def answered(self) -> bool:
        """Whether the answer is out and its application has returned."""
        return self._returned

    def arrived(self, body: bytes) -> None:
        """Take a piece of the request's body."""
        if self._done:
            return
        self._body.append(body)
        self._size += len(body)
        if self._size > _HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def arrived_whole(self) -> None:
        """Note that the request has ended."""
        self.heard = True
        if self._returned:
            self._protocol.finished(self)
        else:
            self._wake()

    def left(self) -> None:
        """Note that the other side is gone."""
        self._gone = True
        self._wake()

    async def receive(self) -> Message:
        """Return the next event; see the ASGI specification."""
        while True:
            if self._body or (self.heard and not self._told_end):
                return self._request()
            if self._gone or self._done:
                return dict(_DISCONNECT)
            if self._news is None:
                self._news = asyncio.Event()
            await self._news.wait()

    def _request(self) -> Message:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._told_end = self.heard
        return {"type": "http.request", "body": body, "more_body": not self.heard}

    async def send(self, message: Message) -> None:
        """Write a part of the answer; see the ASGI specification. Waits while the other side reads too slowly."""
        if self._gone:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._mute:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        if self._head:
            body = self._head + body
            self._head = b""
        if body:
            self._transport.write(body)
        if not more:
            self._done = True
            self._wake()
            return
        await self._protocol.written()

    def _start(self, status: int, headers: Any) -> None:
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
        self._chunked = not self._mute and status not in _WITHOUT_BODY
        for name, value in headers:
            if _UNSAFE.search(value) or _UNSAFE.search(name):
                message = "a header of an answer has a line break"
                raise ValueError(message)
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length":
                self._chunked = False
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive or self._protocol.ending:
            self.keep_alive = False
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None
