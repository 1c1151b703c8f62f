"""CPU microseconds per in-process call and message, against a grpc.aio unix socket in the same run.

Run: PYTHONPATH=.:tests/gen .venv/bin/python bench/in_process.py
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import uvloop

from llmhub_test.v1 import echo_service_pb2 as pb
from llmhub_test.v1 import echo_service_pb2_grpc as stubs
from services.runtime.in_process import InProcessServer

ROUNDS = 10


class Servicer(stubs.EchoServiceServicer):
    async def Echo(self, request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        return RESPONSE

    async def Expand(self, request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        for _ in range(request.count):
            yield CHUNK

    async def Collect(self, request_iterator: Any, context: Any) -> pb.CollectResponse:
        count = 0
        async for _ in request_iterator:
            count += 1
        return pb.CollectResponse(count=count)

    async def Converse(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.ConverseResponse]:
        """Waits before each answer, so that every message costs a switch: the paced case."""
        async for _ in request_iterator:
            yield TURN


REQUEST = pb.EchoRequest(text="hello", number=1)
RESPONSE = pb.EchoResponse(text="hello", number=1)
CHUNK = pb.ExpandResponse(text="a token or two", number=1)
TURN = pb.ConverseResponse(text="a token or two")


async def best(work: Callable[[int], Awaitable[None]], count: int) -> float:
    """CPU microseconds of the whole process per unit, in the fastest round."""
    fastest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        await work(count)
        fastest = min(fastest, (time.process_time() - start) / count)
    return fastest * 1e6


class Load:
    """Calls of each kind, `count` calls or messages at a time."""

    def __init__(self, stub: stubs.EchoServiceStub) -> None:
        self.stub = stub

    async def unary(self, count: int) -> None:
        for _ in range(count):
            await self.stub.Echo(REQUEST)

    async def unary_deadline(self, count: int) -> None:
        for _ in range(count):
            await self.stub.Echo(REQUEST, timeout=10, metadata=(("x-request-id", "0199"),))

    async def stream(self, count: int) -> None:
        async for _ in self.stub.Expand(pb.ExpandRequest(count=count)):
            pass

    async def short_streams(self, count: int) -> None:
        for _ in range(count // 100):
            await self.stream(100)

    async def ping_pong(self, count: int) -> None:
        call = self.stub.Converse()
        request = pb.ConverseRequest(text="next")
        for _ in range(count):
            await call.write(request)
            await call.read()
        await call.done_writing()
        await call.read()


async def measure(name: str, stub: stubs.EchoServiceStub, scale: int) -> None:
    load = Load(stub)
    print(f"{name:34}", end="")
    for work, count in (
        (load.unary, 100),
        (load.unary_deadline, 100),
        (load.stream, 1_000),
        (load.short_streams, 1_000),
        (load.ping_pong, 100),
    ):
        print(f"{await best(work, count * scale):>14.2f}", end="", flush=True)
    print()


async def plain() -> None:
    servicer = Servicer()

    async def unary(count: int) -> None:
        for _ in range(count):
            await servicer.Echo(REQUEST, None)

    async def stream(count: int) -> None:
        async for _ in servicer.Expand(pb.ExpandRequest(count=count), None):
            pass

    print(f"{'plain coroutine, async generator':34}", end="")
    print(f"{await best(unary, 20_000):>14.2f}{'':14}{await best(stream, 100_000):>14.2f}")


async def main() -> None:
    await plain()
    in_process = InProcessServer()
    stubs.add_EchoServiceServicer_to_server(Servicer(), in_process)
    await measure("in-process", stubs.EchoServiceStub(in_process.channel()), 50)
    await in_process.stop(None)
    async with contextlib.AsyncExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "s"
        server = grpc.aio.server()
        stubs.add_EchoServiceServicer_to_server(Servicer(), server)
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        stack.push_async_callback(server.stop, None)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"unix:{path}"))
        await measure("grpc.aio over a unix socket", stubs.EchoServiceStub(channel), 2)


if __name__ == "__main__":
    columns = ("unary", "+deadline,md", "stream msg", "100-msg str.", "ping-pong")
    for label, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
        print(f"{label + ', CPU µs each':34}" + "".join(f"{column:>14}" for column in columns))
        run(main())
    sys.exit()
