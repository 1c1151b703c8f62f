"""The client's half: call objects over a shared Rpc, one class per kind."""

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Generator, Iterable
from enum import Enum
from functools import partial
from typing import Any, Self

import grpc

from services.runtime.in_process.rpc import CANCELLED_LOCALLY, Rpc, Status

_LOGGER = logging.getLogger(__name__)

_ABANDONED = Status(grpc.StatusCode.CANCELLED, "Cancelled upon garbage collection!")
ALREADY_FINISHED = "RPC already finished."
HALF_CLOSED = 'RPC is half closed after calling "done_writing".'
STYLE_ERROR = "The iterator and read/write APIs may not be mixed on a single RPC."


class Style(Enum):
    """How one direction of a stream is used; it may not change within a call."""

    UNDECIDED = "undecided"
    ITERATOR = "iterator"
    READ_WRITE = "read_write"


class _Call:
    """What all kinds share: end, status, metadata."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def cancel(self) -> bool:
        return self._rpc.interrupt(CANCELLED_LOCALLY)

    def cancelled(self) -> bool:
        rpc = self._rpc
        return rpc.completed and rpc.status.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._rpc.completed

    def time_remaining(self) -> float | None:
        return self._rpc.time_remaining()

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._rpc.on_completion(partial(callback, self))

    async def initial_metadata(self) -> grpc.aio.Metadata:
        if self._rpc.initial_metadata is None:
            await self._rpc.arrival_of_initial_metadata()
        return grpc.aio.Metadata.from_tuple(self._rpc.initial_metadata or ())

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata.from_tuple((await self._status()).trailing_metadata)

    async def code(self) -> grpc.StatusCode:
        return (await self._status()).code

    async def details(self) -> str:
        return (await self._status()).details

    async def debug_error_string(self) -> str:
        return (await self._status()).details

    async def wait_for_connection(self) -> None:
        """Raises the RPC's error if it has already failed; there is no connection to wait for."""
        if self._rpc.completed:
            self._raise_for_status()

    async def _status(self) -> Status:
        if not self._rpc.completed:
            await self._rpc.completion()
        return self._rpc.status

    def _raise_for_status(self) -> None:
        """Raises what a failed RPC raises; CancelledError only if this side cancelled it."""
        status = self._rpc.status
        if status.code is grpc.StatusCode.OK:
            return
        if status is CANCELLED_LOCALLY:
            raise asyncio.CancelledError
        raise grpc.aio.AioRpcError(
            status.code,
            grpc.aio.Metadata.from_tuple(self._rpc.initial_metadata or ()),
            grpc.aio.Metadata.from_tuple(status.trailing_metadata),
            details=status.details,
            debug_error_string=f"in-process {self._rpc.method}: {status.details}",
        )


class _UnaryResponse(_Call):
    def __await__(self) -> Generator[Any, None, Any]:
        rpc = self._rpc
        if not rpc.completed:
            try:
                yield from rpc.completion()
            except asyncio.CancelledError:
                self.cancel()
                raise
        self._raise_for_status()
        return rpc.response


class _StreamResponse(_Call):
    """Iterates itself, so that a call dropped in the middle of a stream is noticed at once."""

    def __init__(self, rpc: Rpc) -> None:
        super().__init__(rpc)
        self._reading = Style.UNDECIDED
        self._iterated = False

    def __del__(self) -> None:
        rpc = self._rpc
        if not rpc.completed and not rpc.loop.is_closed():
            rpc.loop.call_soon_threadsafe(rpc.interrupt, _ABANDONED)

    def __aiter__(self) -> Self:
        self._read_as(Style.ITERATOR)
        return self

    async def __anext__(self) -> Any:
        if self._iterated:
            raise StopAsyncIteration
        pipe = self._rpc.responses
        if pipe.messages:
            message = pipe.pull()
            if pipe.closed and not pipe.messages:
                self._rpc.complete()
            return message
        try:
            message = await self._next()
        except BaseException:
            self._iterated = True
            raise
        if message is grpc.aio.EOF:
            self._iterated = True
            raise StopAsyncIteration
        return message

    async def read(self) -> Any:
        """The next response, EOF after the last; raises the RPC's error each time once it has failed."""
        if not self._rpc.completed:
            self._read_as(Style.READ_WRITE)
        return await self._next()

    async def _next(self) -> Any:
        rpc = self._rpc
        pipe = rpc.responses
        if not pipe.messages and not pipe.closed:
            try:
                await pipe.arrival()
            except asyncio.CancelledError:
                self.cancel()
                raise
        if not pipe.messages:
            self._raise_for_status()
            return grpc.aio.EOF
        message = pipe.pull()
        if pipe.closed and not pipe.messages:
            rpc.complete()
        return message

    def _read_as(self, style: Style) -> None:
        if self._reading is Style.UNDECIDED:
            self._reading = style
        elif self._reading is not style:
            raise grpc.aio.UsageError(STYLE_ERROR)


class _StreamRequest(_Call):
    def __init__(self, rpc: Rpc, requests: AsyncIterable[Any] | Iterable[Any] | None) -> None:
        super().__init__(rpc)
        self._written_out = False
        self._writing = Style.READ_WRITE if requests is None else Style.ITERATOR
        if requests is not None and not rpc.completed:
            rpc.request_feeder = rpc.loop.create_task(self._feed(requests))

    async def write(self, request: Any) -> None:
        """Sends one request; waits while the handler is too far behind."""
        self._write_as_stream()
        await self._put(request)

    async def done_writing(self) -> None:
        """Tells the handler that no more requests come; may be repeated."""
        self._write_as_stream()
        self._close()

    def _write_as_stream(self) -> None:
        if self._writing is not Style.READ_WRITE:
            raise grpc.aio.UsageError(STYLE_ERROR)

    async def _put(self, request: Any) -> None:
        rpc = self._rpc
        pipe = rpc.requests
        if rpc.completed:
            raise asyncio.InvalidStateError(ALREADY_FINISHED)
        if self._written_out:
            raise asyncio.InvalidStateError(HALF_CLOSED)
        if pipe.is_full() and not pipe.closed:
            try:
                await pipe.room()
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self.done():
            self._raise_for_status()
        elif pipe.closed:
            # The handler has ended but not all of its answer is read: nobody wants this request.
            await asyncio.sleep(0)
        else:
            pipe.push(request)

    def _close(self) -> None:
        pipe = self._rpc.requests
        if not self._written_out and not pipe.closed:
            self._written_out = True
            pipe.close(discard=False)

    async def _feed(self, requests: AsyncIterable[Any] | Iterable[Any]) -> None:
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    await self._put(request)
                    if self._rpc.ended:
                        return
            else:
                for request in requests:
                    await self._put(request)
                    if self._rpc.ended:
                        return
            self._close()
        except asyncio.CancelledError:
            # Ends here: kept in the task, the error would keep the caller's iterator alive.
            self.cancel()
        except Exception:
            # As on a real channel: the caller learns of a failed iterator by the RPC's cancellation.
            _LOGGER.debug("request iterator of %s failed", self._rpc.method, exc_info=True)
            self.cancel()


class UnaryUnaryCall(_UnaryResponse, grpc.aio.UnaryUnaryCall[Any, Any]):
    async def wait_for_connection(self) -> None:
        await self._status()
        self._raise_for_status()


class UnaryStreamCall(_StreamResponse, grpc.aio.UnaryStreamCall[Any, Any]):
    pass


class StreamUnaryCall(_StreamRequest, _UnaryResponse, grpc.aio.StreamUnaryCall[Any, Any]):
    pass


class StreamStreamCall(_StreamRequest, _StreamResponse, grpc.aio.StreamStreamCall[Any, Any]):
    pass
