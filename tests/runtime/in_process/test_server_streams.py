import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, expand, failure, soon, texts


async def count(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
    for number in range(request.count):
        yield pb.ExpandResponse(text=f"{request.text}{number}", number=number)


async def count_by_writing(request: pb.ExpandRequest, context: Any) -> None:
    for number in range(request.count):
        await context.write(pb.ExpandResponse(text=f"{request.text}{number}", number=number))


@pytest.mark.parametrize("handler", [count, count_by_writing])
@pytest.mark.parametrize("size", [0, 1, 3, 100])
async def test_every_message_in_order(connect: Connect, handler: Any, size: int) -> None:
    call = (await connect(Expand=handler)).stub.Expand(pb.ExpandRequest(text="t", count=size))
    assert await soon(texts(call)) == [f"t{number}" for number in range(size)]
    assert await call.code() is Code.OK
    assert call.done()


@pytest.mark.parametrize("handler", [count, count_by_writing])
async def test_reading_one_by_one(connect: Connect, handler: Any) -> None:
    call = (await connect(Expand=handler)).stub.Expand(pb.ExpandRequest(text="t", count=2))
    assert [(await call.read()).text for _ in range(2)] == ["t0", "t1"]  # type: ignore[attr-defined]
    assert await call.read() is grpc.aio.EOF
    assert await call.read() is grpc.aio.EOF


async def test_the_two_styles_do_not_mix(connect: Connect) -> None:
    stub = (await connect(Expand=count)).stub
    call = stub.Expand(pb.ExpandRequest(count=3))
    await call.read()
    with pytest.raises(grpc.aio.UsageError):
        aiter(call)
    call.cancel()
    call = stub.Expand(pb.ExpandRequest(count=3))
    async for _ in call:
        break
    with pytest.raises(grpc.aio.UsageError):
        await call.read()
    call.cancel()


async def test_iteration_goes_on_after_a_break(connect: Connect) -> None:
    call = (await connect(Expand=count)).stub.Expand(pb.ExpandRequest(count=3))
    async for response in call:
        assert response.text == "0"
        break
    assert await texts(call) == ["1", "2"]
    assert await texts(call) == []


async def test_each_message_comes_when_it_is_sent(connect: Connect) -> None:
    go_on = asyncio.Event()

    async def in_two_steps(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="first")
        await go_on.wait()
        yield pb.ExpandResponse(text="second")

    call = (await connect(Expand=in_two_steps)).stub.Expand(pb.ExpandRequest())
    received = aiter(call)
    assert (await soon(anext(received))).text == "first"
    assert not call.done()
    go_on.set()
    assert (await soon(anext(received))).text == "second"
    with pytest.raises(StopAsyncIteration):
        await soon(anext(received))


async def test_the_handler_goes_on_before_its_message_is_read(connect: Connect) -> None:
    worked = asyncio.Event()

    async def then_work(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="started")
        worked.set()

    call = (await connect(Expand=then_work)).stub.Expand(pb.ExpandRequest())
    await soon(worked.wait())
    assert await soon(texts(call)) == ["started"]


async def test_the_end_is_seen_only_when_all_is_read(connect: Connect) -> None:
    ended = asyncio.Event()

    async def quick(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        context.add_done_callback(lambda _: ended.set())
        for message in expand("a", "b"):
            yield message

    call = (await connect(Expand=quick)).stub.Expand(pb.ExpandRequest())
    received = aiter(call)
    await soon(anext(received))
    await soon(ended.wait())
    assert not call.done()
    assert await soon(texts(received)) == ["b"]
    assert await soon(call.code()) is Code.OK


async def test_a_generator_may_also_write(connect: Connect) -> None:
    async def both(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        await context.write(pb.ExpandResponse(text="written"))
        yield pb.ExpandResponse(text="yielded")

    stub = (await connect(Expand=both)).stub
    assert await soon(texts(stub.Expand(pb.ExpandRequest()))) == ["written", "yielded"]


async def test_reading_from_a_task_per_message(connect: Connect) -> None:
    call = (await connect(Expand=count)).stub.Expand(pb.ExpandRequest(count=40))
    received = aiter(call)
    numbers = [(await asyncio.create_task(soon(anext(received)))).number for _ in range(40)]
    assert numbers == list(range(40))


async def test_yielding_nothing_is_an_error(connect: Connect) -> None:
    async def nothing(request: pb.ExpandRequest, context: Any) -> AsyncIterator[Any]:
        yield pb.ExpandResponse(text="one")
        yield None

    error = await failure(texts((await connect(Expand=nothing)).stub.Expand(pb.ExpandRequest())))
    assert error.code() is Code.UNKNOWN
