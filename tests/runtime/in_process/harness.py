"""One scripted EchoService behind either kind of channel."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from llmhub_test.v1 import echo_service_pb2 as pb
from llmhub_test.v1 import echo_service_pb2_grpc as stubs
from services.runtime.in_process import InProcessServer

Code = grpc.StatusCode
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    server: grpc.aio.Server
    channel: grpc.aio.Channel
    stub: stubs.EchoServiceStub


@dataclass(frozen=True, slots=True)
class Interceptors:
    server: Sequence[grpc.aio.ServerInterceptor] = ()
    client: Sequence[grpc.aio.ClientInterceptor] = ()


class Connect:
    """Starts servers for handlers given by method name; everything is closed with the fixture."""

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def __call__(
        self, interceptors: Interceptors = Interceptors(), **handlers: Callable[..., Any]
    ) -> Connection:
        opener = in_process if self.transport == "in_process" else unix_socket
        return await self._stack.enter_async_context(opener(servicer(handlers), interceptors))


def servicer(handlers: dict[str, Callable[..., Any]]) -> Any:
    methods = {name: staticmethod(handler) for name, handler in handlers.items()}
    return type("Scripted", (stubs.EchoServiceServicer,), methods)()


@contextlib.asynccontextmanager
async def in_process(servicer: Any, interceptors: Interceptors) -> AsyncIterator[Connection]:
    server = InProcessServer(interceptors.server)
    stubs.add_EchoServiceServicer_to_server(servicer, server)
    await server.start()
    async with server.channel(interceptors.client) as channel:
        yield Connection(server, channel, stubs.EchoServiceStub(channel))
    await server.stop(None)


@contextlib.asynccontextmanager
async def unix_socket(servicer: Any, interceptors: Interceptors) -> AsyncIterator[Connection]:
    with tempfile.TemporaryDirectory(prefix="ipc") as folder:
        target = f"unix:{Path(folder) / 's'}"
        server = grpc.aio.server(interceptors=list(interceptors.server))
        stubs.add_EchoServiceServicer_to_server(servicer, server)
        server.add_insecure_port(target)
        await server.start()
        async with grpc.aio.insecure_channel(target, interceptors=list(interceptors.client)) as channel:
            yield Connection(server, channel, stubs.EchoServiceStub(channel))
        await server.stop(None)


@dataclass(slots=True)
class Watch:
    """What happened to a handler that waits for ever."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    errors: list[type[BaseException]] = field(default_factory=list)
    finals: int = 0

    async def hang(self) -> None:
        try:
            self.started.set()
            await asyncio.Event().wait()
        except BaseException as error:
            self.errors.append(type(error))
            raise
        finally:
            self.finals += 1
            self.ended.set()

    async def was_cancelled(self) -> bool:
        """Waits for the handler's end."""
        await soon(self.ended.wait())
        return self.errors == [asyncio.CancelledError] and self.finals == 1


async def soon(awaitable: Awaitable[T]) -> T:
    """Fails a test that would hang."""
    return await asyncio.wait_for(awaitable, 10)


async def texts(responses: Any) -> list[str]:
    return [response.text async for response in responses]


async def failure(awaitable: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error the RPC fails with."""
    try:
        await soon(awaitable)
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the RPC did not fail")


def expand(*texts: str) -> list[pb.ExpandResponse]:
    return [pb.ExpandResponse(text=text, number=number) for number, text in enumerate(texts)]
