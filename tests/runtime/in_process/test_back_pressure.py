import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from services.runtime.in_process.pipe import CAPACITY
from tests.runtime.in_process.harness import Connect, soon

BIG = bytes(256 * 1024)
# In process by count; on a wire by bytes, HTTP/2's windows and the socket's buffers.
MOST_AHEAD = {"in_process": CAPACITY + 1, "grpc": 64}
SIZE = 500


class Producer:
    """Counts what has been sent, and knows when nothing more is sent for a while."""

    def __init__(self) -> None:
        self.sent = 0

    async def stalled(self) -> int:
        seen = -1
        while seen != self.sent:
            seen = self.sent
            await asyncio.sleep(0.05)
        return seen


async def yielding(producer: Producer) -> Any:
    async def handler(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        for number in range(SIZE):
            producer.sent = number
            yield pb.ExpandResponse(number=number, payload=BIG)

    return handler


async def writing(producer: Producer) -> Any:
    async def handler(request: Any, context: Any) -> None:
        for number in range(SIZE):
            producer.sent = number
            await context.write(pb.ExpandResponse(number=number, payload=BIG))

    return handler


@pytest.mark.parametrize("style", [yielding, writing])
async def test_a_slow_reader_stops_a_fast_handler(connect: Connect, style: Any) -> None:
    producer = Producer()
    call = (await connect(Expand=await style(producer))).stub.Expand(pb.ExpandRequest())
    received = aiter(call)
    for read in range(3):
        assert (await soon(anext(received))).number == read
    assert await producer.stalled() <= 3 + MOST_AHEAD[connect.transport]
    numbers = [response.number async for response in received]
    assert numbers == list(range(3, SIZE))


async def test_a_slow_handler_stops_a_fast_writer(connect: Connect) -> None:
    go_on = asyncio.Event()
    producer = Producer()

    async def slow(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        await go_on.wait()
        return pb.CollectResponse(count=len([None async for _ in requests]))

    call = (await connect(Collect=slow)).stub.Collect()

    async def write_all() -> None:
        for number in range(SIZE):
            producer.sent = number
            await call.write(pb.CollectRequest(payload=BIG))
        await call.done_writing()

    writer = asyncio.create_task(write_all())
    assert await producer.stalled() <= MOST_AHEAD[connect.transport]
    go_on.set()
    await soon(writer)
    assert (await soon(call)).count == SIZE


async def test_a_slow_handler_stops_a_request_iterator(connect: Connect) -> None:
    go_on = asyncio.Event()
    producer = Producer()

    async def slow(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        await go_on.wait()
        return pb.CollectResponse(count=len([None async for _ in requests]))

    async def requests() -> AsyncIterator[pb.CollectRequest]:
        for number in range(SIZE):
            producer.sent = number
            yield pb.CollectRequest(payload=BIG)

    call = (await connect(Collect=slow)).stub.Collect(requests())
    assert await producer.stalled() <= MOST_AHEAD[connect.transport]
    go_on.set()
    assert (await soon(call)).count == SIZE
