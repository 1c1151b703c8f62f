"""Client interceptors: a call whose RPC is started by the last of them, in a task of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

import grpc

from services.runtime.in_process.calls import ALREADY_FINISHED, HALF_CLOSED, STYLE_ERROR
from services.runtime.in_process.pipe import Pipe
from services.runtime.in_process.rpc import CANCELLED_LOCALLY

Start = Callable[[Any, Any], Any]


class _Intercepted:
    """What all kinds share: everything is asked of the call that the interceptors return."""

    hook: ClassVar[str]

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interceptors: Sequence[Any],
        start: Start,
        details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> None:
        hooks = [getattr(interceptor, self.hook) for interceptor in interceptors]
        self._task: asyncio.Task[Any] = loop.create_task(_run(hooks, start, details, request))

    def _inner(self) -> Any:
        """The call the interceptors returned; None while they run or when they failed."""
        task = self._task
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        return None

    def cancel(self) -> bool:
        call = self._inner()
        return bool(call.cancel() if call is not None else self._task.cancel())

    def cancelled(self) -> bool:
        call = self._inner()
        if call is not None:
            return bool(call.cancelled())
        if not self._task.done() or self._task.cancelled():
            return self._task.cancelled()
        error = self._task.exception()
        return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        call = self._inner()
        return bool(call.done() if call is not None else self._task.done())

    def time_remaining(self) -> float | None:
        call = self._inner()
        return call.time_remaining() if call is not None else None

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        def attach(_: asyncio.Task[Any]) -> None:
            call = self._inner()
            if call is None:
                callback(self)
            else:
                call.add_done_callback(lambda _: callback(self))

        if self._task.done():
            attach(self._task)
        else:
            self._task.add_done_callback(attach)

    async def initial_metadata(self) -> Any:
        return await self._ask("initial_metadata")

    async def trailing_metadata(self) -> Any:
        return await self._ask("trailing_metadata")

    async def code(self) -> Any:
        return await self._ask("code")

    async def details(self) -> Any:
        return await self._ask("details")

    async def debug_error_string(self) -> Any:
        return await self._ask("debug_error_string")

    async def wait_for_connection(self) -> None:
        call = await self._task
        await call.wait_for_connection()

    async def _ask(self, question: str) -> Any:
        """An interceptor's own error answers like an RPC that failed with it."""
        try:
            call = await asyncio.shield(self._task)
        except grpc.aio.AioRpcError as error:
            return getattr(error, question)()
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise
            cancelled = grpc.aio.AioRpcError(
                grpc.StatusCode.CANCELLED,
                grpc.aio.Metadata(),
                grpc.aio.Metadata(),
                details=CANCELLED_LOCALLY.details,
            )
            return getattr(cancelled, question)()
        return await getattr(call, question)()


async def _run(hooks: Sequence[Any], start: Start, details: Any, request: Any) -> Any:
    """Asks the first interceptor, which asks the rest."""
    if not hooks:
        return start(details, request)
    started: list[Any] = []

    async def proceed(details: Any, request: Any) -> Any:
        started.append(await _run(hooks[1:], start, details, request))
        return started[-1]

    answer = await hooks[0](proceed, details, request)
    if isinstance(answer, grpc.aio.Call):
        return answer
    if isinstance(answer, AsyncIterable):
        return _Replaced(started[-1] if started else _Answered(None), answer)
    return _Answered(answer)


class _UnaryResponse(_Intercepted):
    def __await__(self) -> Generator[Any, None, Any]:
        call = yield from self._task
        return (yield from call.__await__())


class _StreamResponse(_Intercepted):
    _responses: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._responses is None:
            self._responses = _iterate(self._task)
        return self._responses

    async def read(self) -> Any:
        return await anext(aiter(self), grpc.aio.EOF)


async def _iterate(task: asyncio.Task[Any]) -> AsyncIterator[Any]:
    async for response in await task:
        yield response


class _StreamRequest(_Intercepted):
    """Interceptors see an iterator of requests even where the client writes them one by one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interceptors: Sequence[Any],
        start: Start,
        details: grpc.aio.ClientCallDetails,
        request: AsyncIterable[Any] | Iterable[Any] | None,
    ) -> None:
        self._written: Pipe | None = None
        if request is None:
            self._written = Pipe()
            request = _drain(self._written)
        super().__init__(loop, interceptors, start, details, request)
        if self._written is not None:
            self.add_done_callback(partial(_close, self._written))

    async def write(self, request: Any) -> None:
        pipe = self._pipe()
        await self._writable(pipe)
        if pipe.closed:
            raise asyncio.InvalidStateError(HALF_CLOSED)
        await pipe.room()
        await self._writable(pipe)
        pipe.push(request)

    async def done_writing(self) -> None:
        pipe = self._pipe()
        if not pipe.closed:
            pipe.close(discard=False)

    def _pipe(self) -> Pipe:
        if self._written is None:
            raise grpc.aio.UsageError(STYLE_ERROR)
        return self._written

    async def _writable(self, pipe: Pipe) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await asyncio.shield(self._task)
        if self.done():
            raise asyncio.InvalidStateError(ALREADY_FINISHED)


async def _drain(pipe: Pipe) -> AsyncIterator[Any]:
    while True:
        await pipe.arrival()
        if not pipe.messages:
            return
        yield pipe.pull()


def _close(pipe: Pipe, _: Any) -> None:
    pipe.close(discard=True)


class InterceptedUnaryUnaryCall(_UnaryResponse, grpc.aio.UnaryUnaryCall[Any, Any]):
    hook = "intercept_unary_unary"


class InterceptedUnaryStreamCall(_StreamResponse, grpc.aio.UnaryStreamCall[Any, Any]):
    hook = "intercept_unary_stream"


class InterceptedStreamUnaryCall(_StreamRequest, _UnaryResponse, grpc.aio.StreamUnaryCall[Any, Any]):
    hook = "intercept_stream_unary"


class InterceptedStreamStreamCall(_StreamRequest, _StreamResponse, grpc.aio.StreamStreamCall[Any, Any]):
    hook = "intercept_stream_stream"


class _Answered(grpc.aio.UnaryUnaryCall[Any, Any]):
    """A response that an interceptor gave without or instead of an RPC's."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self._response

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        callback(self)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    async def details(self) -> str:
        return ""

    async def debug_error_string(self) -> str:
        return ""

    async def wait_for_connection(self) -> None:
        """Returns at once."""


class _Replaced(grpc.aio.UnaryStreamCall[Any, Any]):
    """A call whose responses an interceptor replaced by an iterator of its own."""

    def __init__(self, call: Any, responses: AsyncIterable[Any]) -> None:
        self._call = call
        self._responses = aiter(responses)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._responses

    async def read(self) -> Any:
        return await anext(self._responses, grpc.aio.EOF)

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def cancelled(self) -> bool:
        return bool(self._call.cancelled())

    def done(self) -> bool:
        return bool(self._call.done())

    def time_remaining(self) -> Any:
        return self._call.time_remaining()

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._call.add_done_callback(callback)

    async def initial_metadata(self) -> Any:
        return await self._call.initial_metadata()

    async def trailing_metadata(self) -> Any:
        return await self._call.trailing_metadata()

    async def code(self) -> Any:
        return await self._call.code()

    async def details(self) -> Any:
        return await self._call.details()

    async def debug_error_string(self) -> Any:
        return await self._call.debug_error_string()

    async def wait_for_connection(self) -> None:
        await self._call.wait_for_connection()
