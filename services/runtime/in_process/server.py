"""The server's half: registered handlers, interceptors, and the task that runs each RPC."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context as Variables
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc

from services.runtime.in_process.channel import InProcessChannel
from services.runtime.in_process.context import Context, RequestIterator
from services.runtime.in_process.rpc import DEADLINE_EXCEEDED, OK, Rpc, Status

# Generic only for type checkers.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

_LOGGER = logging.getLogger(__name__)

_CLEANUP_SECONDS = 5.0
_HANDLER_CANCELLED = Status(grpc.StatusCode.CANCELLED, "handler was cancelled")
_STOPPED = Status(grpc.StatusCode.UNAVAILABLE, "Cancelling all calls")
_STOPPING = Status(grpc.StatusCode.UNAVAILABLE, "server is stopped")
_UNKNOWN_METHOD = Status(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


@dataclass(slots=True)
class CallDetails:
    """What interceptors and generic handlers are told about an RPC."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...]


class InProcessServer(grpc.aio.Server):
    """A grpc.aio server without a port: register servicers on it, call them through `channel()`.

    Handlers must be async. Each RPC runs in a task of its own with empty context variables, as on a wire.
    Messages are handed over by reference: neither side may change one after sending or receiving it.

    An interceptor may have a method `settles(method) -> bool`: true if it does nothing for a call of this method but
    to hand on the same handler each time. Where all of them say so they are asked only once per method.
    """

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:
        for interceptor in interceptors:
            if not isinstance(interceptor, grpc.aio.ServerInterceptor):
                raise TypeError(f"{interceptor!r} is not a grpc.aio.ServerInterceptor")
        self._interceptors = tuple(interceptors)
        self._handlers: dict[str, Handler] = {}
        self._settled: dict[str, Handler] = {}
        self._generic_handlers: list[grpc.GenericRpcHandler] = []
        self._running: set[Rpc] = set()
        self._stopping = False
        self._stopped = asyncio.Event()

    def channel(self, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> InProcessChannel:
        """A channel to this server; closing it ends only its own calls."""
        return InProcessChannel(self, interceptors)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._generic_handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        self._settled.clear()
        for name, handler in method_handlers.items():
            self._handlers[f"/{service_name}/{name}"] = handler

    def add_insecure_port(self, address: str) -> NoReturn:
        raise NotImplementedError("an in-process server has no ports")

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> NoReturn:
        raise NotImplementedError("an in-process server has no ports")

    async def start(self) -> None:
        """Without effect: calls are served from construction to `stop`."""

    async def stop(self, grace: float | None) -> None:
        """Refuses new calls, waits up to `grace` seconds for running ones, then ends them with UNAVAILABLE.

        Returns when every handler has ended, or has had five seconds for it after being cancelled.
        """
        self._stopping = True
        if grace:
            await self._handlers_end(grace)
        for rpc in tuple(self._running):
            rpc.interrupt(_STOPPED)
        await self._handlers_end(_CLEANUP_SECONDS)
        self._stopped.set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Waits until stopped; False if that took longer than `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), timeout)
        return self._stopped.is_set()

    async def _handlers_end(self, timeout: float) -> None:
        own = asyncio.current_task()
        tasks = [rpc.task for rpc in self._running if rpc.task is not None and rpc.task is not own]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    def calls_of(self, channel: object) -> list[Rpc]:
        """The channel's calls whose handlers are running."""
        return [rpc for rpc in self._running if rpc.channel is channel]

    def accept(self, rpc: Rpc, request: Any, timeout: float | None) -> None:
        """Starts the RPC's handler in a task of its own, or ends the RPC where that is not possible."""
        if self._stopping:
            rpc.finish(_STOPPING)
            return
        if timeout is not None:
            if timeout <= 0:
                rpc.finish(DEADLINE_EXCEEDED)
                return
            rpc.expire_at(rpc.loop.time() + timeout)
        context = Context(rpc)
        self._running.add(rpc)
        # Identity and the like travel as metadata, never as the caller's context variables.
        rpc.task = rpc.loop.create_task(self._serve(rpc, context, request), context=Variables())

    async def _serve(self, rpc: Rpc, context: Context, request: Any) -> None:
        # An RPC that ends before this first step is not cancelled, so that the books are always kept here.
        rpc.started = True
        try:
            if not rpc.ended:
                await self._handle(rpc, context, request)
            if context.abort_error is not None:
                _LOGGER.error("abort of %s was suppressed by its handler", rpc.method)
        except asyncio.CancelledError:
            _LOGGER.debug("handler of %s was cancelled", rpc.method)
            raise
        except Exception as error:
            if error is context.abort_error:
                return
            if rpc.interrupted and isinstance(error, grpc.aio.InternalError):
                _LOGGER.debug("handler of %s went on after its end", rpc.method)
                return
            _LOGGER.exception("unexpected %s in handler of %s", type(error).__name__, rpc.method)
            code = context.code()
            if code is None or code is grpc.StatusCode.OK:
                code = grpc.StatusCode.UNKNOWN
            rpc.finish(Status(code, f"Unexpected {type(error)}: {error}", context.trailing_metadata()))
        finally:
            self._running.discard(rpc)
            if not rpc.ended:
                rpc.finish(_HANDLER_CANCELLED)
            context.close()

    async def _handle(self, rpc: Rpc, context: Context, request: Any) -> None:
        handler = self._settled.get(rpc.method) or await self._asked(rpc)
        behaviour = getattr(handler, rpc.kind.name, None)
        if behaviour is None:
            rpc.finish(_UNKNOWN_METHOD)
            return
        result = behaviour(RequestIterator(context) if rpc.kind.streams_requests else request, context)
        if not rpc.kind.streams_responses:
            rpc.response = await _awaitable(result, rpc)
        elif hasattr(result, "__aiter__"):
            await _relay(result, rpc, context)
        else:
            await _awaitable(result, rpc)
        _finish_normally(rpc, context)

    async def _asked(self, rpc: Rpc) -> MaybeHandler:
        """What the interceptors make of the handler."""
        method = rpc.method
        handler = await self._intercepted(0, CallDetails(method, rpc.metadata))
        # A generic handler may look at the metadata.
        if handler is not None and method in self._handlers and self._settle(method):
            self._settled[method] = handler
        return handler

    def _settle(self, method: str) -> bool:
        for interceptor in self._interceptors:
            settles = getattr(interceptor, "settles", None)
            if settles is None or not settles(method):
                return False
        return True

    async def _intercepted(self, index: int, details: grpc.HandlerCallDetails) -> MaybeHandler:
        if index == len(self._interceptors):
            return self._find(details)
        return await self._interceptors[index].intercept_service(
            partial(self._intercepted, index + 1), details
        )

    def _find(self, details: grpc.HandlerCallDetails) -> MaybeHandler:
        handler = self._handlers.get(details.method)
        if handler is not None:
            return handler
        for generic in self._generic_handlers:
            handler = generic.service(details)
            if handler is not None:
                return handler
        return None


def _awaitable(result: Any, rpc: Rpc) -> Any:
    if not hasattr(result, "__await__"):
        raise TypeError(f"handler of {rpc.method} is not async")
    return result


async def _relay(responses: Any, rpc: Rpc, context: Context) -> None:
    """Sends what the handler yields; stops it while the client is too far behind."""
    pipe = rpc.responses
    async for message in responses:
        if rpc.ended or message is None or pipe.is_full():
            try:
                await context.write(message)
            except BaseException as error:
                # The generator waits at its yield: let it see why it goes no further, and clean up now.
                await _throw(responses, error)
                raise
        else:
            if rpc.initial_metadata is None:
                rpc.send_initial_metadata(())
            pipe.push(message)


async def _throw(responses: Any, error: BaseException) -> None:
    if not hasattr(responses, "athrow"):
        return
    with contextlib.suppress(StopAsyncIteration, type(error)):
        await responses.athrow(error)
    await responses.aclose()


def _finish_normally(rpc: Rpc, context: Context) -> None:
    code = context.code()
    if code is not None and code is not grpc.StatusCode.OK:
        rpc.finish(Status(code, context.details(), context.trailing_metadata()))
        return
    if rpc.response is None and not rpc.kind.streams_responses:
        raise TypeError(f"handler of {rpc.method} returned None instead of a message")
    trailing_metadata = context.trailing_metadata()
    rpc.finish(Status(grpc.StatusCode.OK, "", trailing_metadata) if trailing_metadata else OK)
