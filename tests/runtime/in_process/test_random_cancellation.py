import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from services.runtime.in_process import InProcessServer
from tests.runtime.in_process.harness import Connect, Connection, soon

CALLS = 150


class Handlers:
    """Do a random amount of everything, and count what they began and ended."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.begun = 0
        self.ended = 0

    @contextlib.contextmanager
    def entry(self) -> Iterator[None]:
        self.begun += 1
        try:
            yield
        finally:
            self.ended += 1

    async def work(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.chance.random() < 0.3:
            await asyncio.sleep(self.chance.random() / 200)

    async def echo(self, request: Any, context: Any) -> pb.EchoResponse:
        with self.entry():
            await self.work()
            if self.chance.random() < 0.2:
                await context.abort(grpc.StatusCode.NOT_FOUND, "gone")
            return pb.EchoResponse()

    async def expand(self, request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        with self.entry():
            for number in range(self.chance.randrange(40)):
                await self.work()
                yield pb.ExpandResponse(number=number)

    async def collect(self, requests: Any, context: Any) -> pb.CollectResponse:
        with self.entry():
            async for _ in requests:
                await self.work()
                if self.chance.random() < 0.1:
                    break
            return pb.CollectResponse()

    async def converse(self, requests: Any, context: Any) -> AsyncIterator[pb.ConverseResponse]:
        with self.entry():
            async for _ in requests:
                await self.work()
                yield pb.ConverseResponse()


async def use(connection: Connection, chance: random.Random) -> None:
    """One call of any kind, cancelled by any means at any time, or not at all."""

    async def requests(message: Any) -> AsyncIterator[Any]:
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
            yield message

    stub = connection.stub
    timeout = chance.choice([None, chance.random() / 50])
    kinds: list[Callable[[], Any]] = [
        lambda: stub.Echo(pb.EchoRequest(), timeout=timeout),
        lambda: stub.Expand(pb.ExpandRequest(), timeout=timeout),
        lambda: stub.Collect(requests(pb.CollectRequest()), timeout=timeout),
        lambda: stub.Converse(requests(pb.ConverseRequest()), timeout=timeout),
    ]
    call = chance.choice(kinds)()

    async def consume() -> None:
        if hasattr(call, "__await__"):
            await call
        else:
            async for _ in aiter(call):
                pass

    task = asyncio.create_task(consume())
    cancel = chance.choice([call.cancel, task.cancel, lambda: None])
    for _ in range(chance.randrange(12)):
        await asyncio.sleep(0)
    if chance.random() < 0.5:
        await asyncio.sleep(chance.random() / 100)
    cancel()
    with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
        await soon(task)
    call.cancel()


@pytest.mark.parametrize("seed", range(8))
async def test_every_handler_ends_once_and_no_task_is_left(connect: Connect, seed: int) -> None:
    chance = random.Random(seed)
    served = Handlers(chance)
    connection = await connect(
        Echo=served.echo, Expand=served.expand, Collect=served.collect, Converse=served.converse
    )
    before = len(asyncio.all_tasks())
    await soon(asyncio.gather(*(use(connection, chance) for _ in range(CALLS))))

    async def settled() -> None:
        while served.begun != served.ended or (strict and len(asyncio.all_tasks()) > before + 1):
            await asyncio.sleep(0.001)

    strict = isinstance(connection.server, InProcessServer)  # a real server keeps tasks of its own
    await soon(settled())
    assert 0 < served.begun <= CALLS
    if isinstance(connection.server, InProcessServer):
        assert connection.server._running == set()
