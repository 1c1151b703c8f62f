"""An answer while it is made."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Self

import grpc

from llmhub_client.connection import StreamCall
from llmhub_client.errors import Cancelled, LlmhubError, StreamBroken, from_message, interrupted, rpc_errors
from llmhub_client.fold import Fold
from llmhub_client.messages import GenerateResponse, GenerateStreamResponse, StreamEvent


class AnswerStream:
    """The events of one answer, to be iterated over once, inside `async with`.

    Iteration ends quietly only when the answer is complete. An answer that breaks off, ends without its terminal
    event or lacks an event raises StreamBroken, and does so again whenever it is asked for more. Errors before
    the first event are the same as those of Client.generate. Leaving the `async with` early cancels the call.
    """

    def __init__(self, start: Callable[[], Awaitable[StreamCall]]) -> None:
        self._start = start
        self._call: StreamCall | None = None
        self._received: deque[StreamEvent] = deque()
        self._expected = 0
        self._fold = Fold()
        self._text = ""
        self._failure: LlmhubError | None = None
        self._complete = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._failure is not None:
            raise self._failure
        try:
            event = await self._next()
        except LlmhubError as error:
            self._end_call()
            if self._failure is not None:  # cancel() came first, from another task
                raise self._failure from None
            if not self._expected:
                self._failure = error
                raise
            self._failure = StreamBroken(error, self.so_far())
            raise self._failure from error
        if event is None:
            self._complete = True
            raise StopAsyncIteration
        return event

    async def text(self) -> AsyncGenerator[str]:
        """Yield the first candidate's text as it comes, without reasoning and refusals."""
        async for _ in self:
            if self._text:
                yield self._text

    async def collect(self) -> GenerateResponse:
        """Read to the end and return the whole answer, events that were read before included.

        A block of a kind that only its dialect knows (Part.opaque) is as it was when it began.
        """
        try:
            async for _ in self:
                pass
        finally:
            self.cancel()
        return self.so_far()

    def so_far(self) -> GenerateResponse:
        """Return what has been read up to now."""
        return self._fold.answer()

    def cancel(self) -> None:
        """End the call. No more events come; without effect on an answer that is complete."""
        if not self._complete and self._failure is None:
            self._failure = Cancelled("the stream was cancelled here", code=grpc.StatusCode.CANCELLED)
        self._end_call()

    async def _next(self) -> StreamEvent | None:
        while not self._received:
            raw = await self._read()
            if raw is None:
                self._check_end()
                return None
            self._received.extend(_parsed(raw).events)
        event = self._received.popleft()
        if event.sequence != self._expected:
            raise interrupted(f"event {event.sequence} came where event {self._expected} was due")
        if self._fold.finished is not None:
            raise interrupted("an event came after the terminal one")
        self._text = self._fold.add(event)
        self._expected += 1
        return event

    async def _read(self) -> bytes | None:
        if self._call is None:
            self._call = await self._start()
            if self._failure is not None:
                raise self._failure
        with rpc_errors():
            # Not call.read(): once the status is there, it forgets messages that were not read yet.
            return await anext(aiter(self._call), None)

    def _check_end(self) -> None:
        """Raise unless the stream may end here."""
        if self._fold.finished is None:
            raise interrupted("the stream ended without its terminal event")
        if not self._fold.finished.complete:
            raise from_message(self._fold.finished.error)

    def _end_call(self) -> None:
        if self._call is not None:
            self._call.cancel()


def _parsed(raw: bytes) -> GenerateStreamResponse:
    try:
        return GenerateStreamResponse.parse(raw)
    except Exception as error:
        raise interrupted("a message of the stream cannot be read") from error
