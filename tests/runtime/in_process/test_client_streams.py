import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, failure, soon, texts


async def join(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
    received = [request.text async for request in requests]
    return pb.CollectResponse(text="".join(received), count=len(received))


async def join_by_reading(requests: Any, context: Any) -> pb.CollectResponse:
    received = []
    while (request := await context.read()) is not grpc.aio.EOF:
        received.append(request.text)
    assert await context.read() is grpc.aio.EOF
    return pb.CollectResponse(text="".join(received), count=len(received))


async def reverse(requests: AsyncIterator[pb.ConverseRequest], context: Any) -> Any:
    async for request in requests:
        yield pb.ConverseResponse(text=request.text[::-1])


async def reverse_by_writing(requests: Any, context: Any) -> None:
    while (request := await context.read()) is not grpc.aio.EOF:
        await context.write(pb.ConverseResponse(text=request.text[::-1]))


def collect(size: int) -> Iterator[pb.CollectRequest]:
    return (pb.CollectRequest(text=str(number % 10)) for number in range(size))


async def collect_slowly(size: int) -> AsyncIterator[pb.CollectRequest]:
    for request in collect(size):
        await asyncio.sleep(0)
        yield request


@pytest.mark.parametrize("handler", [join, join_by_reading])
@pytest.mark.parametrize("source", [collect, collect_slowly])
@pytest.mark.parametrize("size", [0, 1, 60])
async def test_requests_from_an_iterator(connect: Connect, handler: Any, source: Any, size: int) -> None:
    stub = (await connect(Collect=handler)).stub
    response = await soon(stub.Collect(source(size)))
    assert (len(response.text), response.count) == (size, size)
    assert response.text[:10] == "0123456789"[:size]


@pytest.mark.parametrize("handler", [join, join_by_reading])
async def test_requests_written_one_by_one(connect: Connect, handler: Any) -> None:
    call = (await connect(Collect=handler)).stub.Collect()
    await call.wait_for_connection()
    for request in collect(60):
        await soon(call.write(request))
    await call.done_writing()
    await call.done_writing()
    assert (await soon(call)).count == 60


async def test_the_two_styles_of_sending_do_not_mix(connect: Connect) -> None:
    call = (await connect(Collect=join)).stub.Collect(collect(1))
    with pytest.raises(grpc.aio.UsageError):
        await call.write(pb.CollectRequest())
    with pytest.raises(grpc.aio.UsageError):
        await call.done_writing()
    assert (await soon(call)).count == 1


async def test_no_writing_after_done_writing(connect: Connect) -> None:
    call = (await connect(Collect=join)).stub.Collect()
    await call.done_writing()
    with pytest.raises(asyncio.InvalidStateError):
        await call.write(pb.CollectRequest())
    assert (await soon(call)).count == 0


async def test_the_handler_may_answer_early(connect: Connect) -> None:
    async def first(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        return pb.CollectResponse(text=(await anext(requests)).text)

    call = (await connect(Collect=first)).stub.Collect()
    await call.write(pb.CollectRequest(text="enough"))
    assert (await soon(call)).text == "enough"
    with pytest.raises(asyncio.InvalidStateError):
        await soon(call.write(pb.CollectRequest()))
    await call.done_writing()


async def test_an_early_answer_stops_the_request_iterator(connect: Connect) -> None:
    async def first(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        return pb.CollectResponse(text=(await anext(requests)).text)

    async def endless() -> AsyncIterator[pb.CollectRequest]:
        while True:
            yield pb.CollectRequest(text="more", payload=bytes(100_000))

    assert (await soon((await connect(Collect=first)).stub.Collect(endless()))).text == "more"


async def test_an_early_error_reaches_a_writer(connect: Connect) -> None:
    async def refuse(requests: Any, context: Any) -> None:
        await context.abort(Code.RESOURCE_EXHAUSTED, "too many")

    call = (await connect(Collect=refuse)).stub.Collect()

    async def write_until_refused() -> None:
        while True:
            await call.write(pb.CollectRequest())

    with pytest.raises((grpc.aio.AioRpcError, asyncio.InvalidStateError)):
        await soon(write_until_refused())
    # On a busy machine grpc.aio may lose the status to a write that is on its way: then it says INTERNAL.
    lost = {Code.INTERNAL} if connect.transport == "grpc" else set()
    assert (await failure(call)).code() in {Code.RESOURCE_EXHAUSTED, *lost}


async def test_a_failing_request_iterator_cancels_the_call(connect: Connect) -> None:
    seen: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()

    async def watch(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        try:
            return await join(requests, context)
        except BaseException as error:
            seen.set_result(type(error))
            raise

    async def broken() -> AsyncIterator[pb.CollectRequest]:
        yield pb.CollectRequest()
        await asyncio.sleep(0.01)
        raise ValueError("no more")

    call = (await connect(Collect=watch)).stub.Collect(broken())
    with pytest.raises(asyncio.CancelledError):
        await soon(call)
    assert await call.code() is Code.CANCELLED
    if (
        connect.transport == "in_process"
    ):  # a real server may end the requests first, as if they were complete
        assert await soon(seen) is asyncio.CancelledError


@pytest.mark.parametrize("handler", [reverse, reverse_by_writing])
async def test_a_conversation(connect: Connect, handler: Any) -> None:
    call = (await connect(Converse=handler)).stub.Converse()
    for text in ("abc", "def", "ghi"):
        await soon(call.write(pb.ConverseRequest(text=text)))
        response = await soon(call.read())
        assert isinstance(response, pb.ConverseResponse)
        assert response.text == text[::-1]
    await call.done_writing()
    assert await soon(call.read()) is grpc.aio.EOF
    assert await call.code() is Code.OK


@pytest.mark.parametrize("handler", [reverse, reverse_by_writing])
async def test_a_conversation_of_iterators(connect: Connect, handler: Any) -> None:
    call = (await connect(Converse=handler)).stub.Converse(
        pb.ConverseRequest(text=f"a{number}") for number in range(50)
    )
    assert await soon(texts(call)) == [f"a{number}"[::-1] for number in range(50)]
