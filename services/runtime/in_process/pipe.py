"""Bounded hand-over of messages between two tasks of one event loop."""

import asyncio
from collections import deque
from typing import Any

import grpc

CAPACITY = 16
"""Messages a writer may be ahead of its reader; enough to make task switches rare in a burst."""

_RESUME_AT = CAPACITY // 2


class Pipe:
    """One direction of a stream: one writer, one reader, in order, at most CAPACITY messages waiting.

    `messages` may be looked at by both ends; all changes go through the methods.
    """

    __slots__ = ("_reader", "_writer", "closed", "messages")

    def __init__(self) -> None:
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self.messages: deque[Any] = deque()
        self.closed = False

    def is_full(self) -> bool:
        return len(self.messages) >= CAPACITY

    def push(self, message: Any) -> None:
        """Adds a message; the writer has made sure that there is room and the pipe is open."""
        self.messages.append(message)
        if self._reader is not None:
            _wake(self._reader)

    def pull(self) -> Any:
        """Takes the oldest message; the reader has made sure that there is one."""
        message = self.messages.popleft()
        if self._writer is not None and len(self.messages) <= _RESUME_AT:
            _wake(self._writer)
        return message

    def close(self, *, discard: bool) -> None:
        """Ends the stream after what is waiting, or at once if `discard`; wakes both ends."""
        self.closed = True
        if discard:
            self.messages.clear()
        if self._reader is not None:
            _wake(self._reader)
        if self._writer is not None:
            _wake(self._writer)

    async def arrival(self) -> None:
        """Returns when there is a message or the pipe is closed."""
        while not self.messages and not self.closed:
            if self._reader is not None:
                raise grpc.aio.UsageError("two tasks read one stream at the same time")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    async def room(self) -> None:
        """Returns when there is room for a message or the pipe is closed."""
        while self.is_full() and not self.closed:
            if self._writer is not None:
                raise grpc.aio.UsageError("two tasks write one stream at the same time")
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


NO_PIPE = Pipe()
"""Stands where a kind of RPC has no stream: empty and closed."""
NO_PIPE.close(discard=True)
