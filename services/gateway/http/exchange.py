"""One HTTP exchange over ASGI: reading within limits, writing once, noticing that the caller left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from services.runtime.errors import RequestTooLarge

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_WATCH_AFTER = 0.05
"""Seconds after which a call that still runs is worth a task that waits for the caller's hang-up."""


class Exchange:
    """A request and its one answer. Header names are lower case."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.started = False
        self.left = False
        self._body: bytes | None = None
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def body(self, limit: int) -> bytes:
        """Return the request's body. Raises RequestTooLarge above `limit` bytes."""
        if self._body is not None:
            return self._body
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.left = True
                raise asyncio.CancelledError
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                text = f"the body is larger than {limit} bytes"
                raise RequestTooLarge(text, limit_bytes=str(limit))
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_already(self, body: bytes) -> Exchange:
        """Let the next reader of the body have what was read of it."""
        self._body = body
        return self

    def watch(self) -> None:
        """From now on cancel the current task when the caller hangs up."""
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        async def wait() -> None:
            while (await self._receive())["type"] != "http.disconnect":
                pass
            self.left = True
            if task is not None:
                task.cancel()

        def begin() -> None:
            self._watch = loop.create_task(wait())

        self._timer = loop.call_later(_WATCH_AFTER, begin)

    def unwatch(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    async def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer."""
        await self.start(status, {**headers, "content-length": str(len(body))})
        # An answer to HEAD has the headers of the answer to GET and no body.
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and headers."""
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        # Headers that cannot be written leave room for an answer that says so.
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; waits while the caller reads slower than we write."""
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End the body."""
        await self._send({"type": "http.response.body", "body": b""})
