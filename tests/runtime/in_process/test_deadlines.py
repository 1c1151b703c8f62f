import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, Watch, failure, soon, texts


async def test_the_handler_knows_its_deadline(connect: Connect) -> None:
    async def remaining(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse(text=str(context.time_remaining()))

    response = await (await connect(Echo=remaining)).stub.Echo(pb.EchoRequest(), timeout=60)
    assert 55 < float(response.text) < 61


async def test_unary(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        await watch.hang()
        raise AssertionError

    call = (await connect(Echo=hang)).stub.Echo(pb.EchoRequest(), timeout=0.1)
    error = await failure(call)
    assert (error.code(), error.details()) == (Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
    assert (await call.code(), call.done(), call.cancelled()) == (Code.DEADLINE_EXCEEDED, True, False)
    assert await watch.was_cancelled()


async def test_in_the_middle_of_a_stream(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        await watch.hang()

    received = aiter((await connect(Expand=hang)).stub.Expand(pb.ExpandRequest(), timeout=0.2))
    assert (await soon(anext(received))).text == "one"
    assert (await failure(anext(received))).code() is Code.DEADLINE_EXCEEDED
    assert await watch.was_cancelled()


async def test_while_the_handler_waits_for_requests(connect: Connect) -> None:
    watch = Watch()

    async def wait(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        try:
            async for _ in requests:
                pass
        except BaseException as error:
            watch.errors.append(type(error))
            raise
        finally:
            watch.finals += 1
            watch.ended.set()
        return pb.CollectResponse()

    call = (await connect(Collect=wait)).stub.Collect(timeout=0.1)
    assert (await failure(call)).code() is Code.DEADLINE_EXCEEDED
    await soon(watch.ended.wait())
    if (
        connect.transport == "in_process"
    ):  # a real server may end the requests first, as if they were complete
        assert await watch.was_cancelled()


async def test_while_the_client_waits_to_write(connect: Connect) -> None:
    watch = Watch()

    async def never_read(requests: Any, context: Any) -> pb.CollectResponse:
        await watch.hang()
        raise AssertionError

    call = (await connect(Collect=never_read)).stub.Collect(timeout=0.2)

    async def write_on() -> None:
        while True:
            await call.write(pb.CollectRequest(payload=bytes(100_000)))

    await failure(write_on())  # a real channel may call it INTERNAL here
    if connect.transport == "in_process":
        assert await call.code() is Code.DEADLINE_EXCEEDED
    assert await watch.was_cancelled()


async def test_the_client_does_not_wait_for_a_handler_that_will_not_stop(connect: Connect) -> None:
    let_go = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        try:
            await asyncio.Event().wait()
        finally:
            await let_go.wait()
            ended.set()
        raise AssertionError

    call = (await connect(Echo=stubborn)).stub.Echo(pb.EchoRequest(), timeout=0.1)
    assert (await failure(call)).code() is Code.DEADLINE_EXCEEDED
    assert not ended.is_set()
    let_go.set()
    await soon(ended.wait())


async def test_a_deadline_that_has_passed(connect: Connect) -> None:
    async def echo(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse()

    stub = (await connect(Echo=echo)).stub
    assert (await failure(stub.Echo(pb.EchoRequest(), timeout=-1))).code() is Code.DEADLINE_EXCEEDED


async def test_a_deadline_that_is_kept_changes_nothing(connect: Connect) -> None:
    async def count(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        for number in range(3):
            yield pb.ExpandResponse(text=str(number))

    stub = (await connect(Expand=count)).stub
    assert await texts(stub.Expand(pb.ExpandRequest(), timeout=30)) == ["0", "1", "2"]


async def test_a_timeout_inside_the_handler_is_its_own(connect: Connect) -> None:
    async def impatient(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        return pb.EchoResponse(text="went on")

    assert (await (await connect(Echo=impatient)).stub.Echo(pb.EchoRequest(), timeout=30)).text == "went on"
