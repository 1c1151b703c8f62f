import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, failure, soon, texts


def rich() -> status_pb2.Status:
    detail = any_pb2.Any()
    detail.Pack(
        error_details_pb2.ErrorInfo(reason="BUDGET_SPENT", domain="llmhub", metadata={"level": "key"})
    )
    return status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="no money left", details=[detail])


def check_rich(error: grpc.aio.AioRpcError) -> None:
    assert (error.code(), error.details()) == (Code.RESOURCE_EXHAUSTED, "no money left")
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status == rich()
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["level"]) == ("BUDGET_SPENT", "key")


async def abort_richly(context: Any) -> None:
    await context.abort_with_status(rpc_status.to_status(rich()))


async def test_abort(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> Any:
        with pytest.raises(grpc.aio.AbortError):
            await context.abort(Code.PERMISSION_DENIED, "not yours")
        assert context.done()
        assert context.code() is Code.PERMISSION_DENIED
        with pytest.raises(grpc.aio.UsageError):
            await context.abort(Code.INTERNAL, "again")
        return pb.EchoResponse()

    error = await failure((await connect(Echo=fail)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.PERMISSION_DENIED, "not yours")


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
async def test_every_code(connect: Connect, code: grpc.StatusCode) -> None:
    async def fail(request: Any, context: Any) -> Any:
        await context.abort(code, f"because {code.name}")

    error = await failure((await connect(Echo=fail)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (code, f"because {code.name}")


async def test_abort_is_seen_before_the_handler_has_cleaned_up(connect: Connect) -> None:
    let_go = asyncio.Event()
    cleaned = asyncio.Event()

    async def fail(request: Any, context: Any) -> Any:
        try:
            await context.abort(Code.NOT_FOUND, "gone")
        finally:
            await let_go.wait()
            cleaned.set()

    assert (await failure((await connect(Echo=fail)).stub.Echo(pb.EchoRequest()))).code() is Code.NOT_FOUND
    assert not cleaned.is_set()
    let_go.set()
    await soon(cleaned.wait())


async def test_rich_error_of_a_unary_call(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> Any:
        await abort_richly(context)

    check_rich(await failure((await connect(Echo=fail)).stub.Echo(pb.EchoRequest())))


async def test_rich_error_before_the_first_message(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        await abort_richly(context)
        yield pb.ExpandResponse()

    check_rich(await failure(texts((await connect(Expand=fail)).stub.Expand(pb.ExpandRequest()))))


async def fail_after_two(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
    yield pb.ExpandResponse(text="one")
    yield pb.ExpandResponse(text="two")
    await abort_richly(context)


async def fail_after_two_writes(request: Any, context: Any) -> None:
    await context.write(pb.ExpandResponse(text="one"))
    await context.write(pb.ExpandResponse(text="two"))
    await abort_richly(context)


@pytest.mark.parametrize("handler", [fail_after_two, fail_after_two_writes])
async def test_rich_error_in_the_middle_of_a_stream(connect: Connect, handler: Any) -> None:
    call = (await connect(Expand=handler)).stub.Expand(pb.ExpandRequest())
    received = aiter(call)
    assert [(await soon(anext(received))).text for _ in range(2)] == ["one", "two"]
    check_rich(await failure(anext(received)))
    assert await call.code() is Code.RESOURCE_EXHAUSTED
    with pytest.raises(StopAsyncIteration):
        await anext(received)


@pytest.mark.parametrize("handler", [fail_after_two, fail_after_two_writes])
async def test_rich_error_when_reading_one_by_one(connect: Connect, handler: Any) -> None:
    call = (await connect(Expand=handler)).stub.Expand(pb.ExpandRequest())
    for text in ("one", "two"):
        response = await soon(call.read())
        assert isinstance(response, pb.ExpandResponse)
        assert response.text == text
    for _ in range(2):
        check_rich(await failure(call.read()))


async def test_an_unexpected_error_in_the_middle_of_a_stream(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        raise KeyError("lost")

    received = aiter((await connect(Expand=fail)).stub.Expand(pb.ExpandRequest()))
    assert (await soon(anext(received))).text == "one"
    error = await failure(anext(received))
    assert (error.code(), error.details()) == (Code.UNKNOWN, "Unexpected <class 'KeyError'>: 'lost'")


async def test_a_status_set_in_a_stream(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        context.set_code(Code.DATA_LOSS)
        context.set_details("cut")

    received = aiter((await connect(Expand=fail)).stub.Expand(pb.ExpandRequest()))
    await soon(anext(received))
    error = await failure(anext(received))
    assert (error.code(), error.details()) == (Code.DATA_LOSS, "cut")


async def test_nothing_can_be_sent_after_an_abort(connect: Connect) -> None:
    ended = asyncio.Event()

    async def fail(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        try:
            with pytest.raises(grpc.aio.AbortError):
                await context.abort(Code.NOT_FOUND, "gone")
            with pytest.raises(grpc.aio.AbortError):
                await context.write(pb.ExpandResponse())
            yield pb.ExpandResponse(text="too late")
        finally:
            ended.set()

    assert (await failure(texts((await connect(Expand=fail)).stub.Expand(pb.ExpandRequest())))).code() is (
        Code.NOT_FOUND
    )
    await soon(ended.wait())


async def test_rich_errors_of_request_streams(connect: Connect) -> None:
    async def collect(requests: Any, context: Any) -> Any:
        await anext(requests)
        await abort_richly(context)

    async def converse(requests: Any, context: Any) -> AsyncIterator[pb.ConverseResponse]:
        async for request in requests:
            yield pb.ConverseResponse(text=request.text)
            await abort_richly(context)

    stub = (await connect(Collect=collect, Converse=converse)).stub
    check_rich(await failure(stub.Collect(iter([pb.CollectRequest()]))))
    call = stub.Converse()
    await call.write(pb.ConverseRequest(text="a"))
    response = await soon(call.read())
    assert isinstance(response, pb.ConverseResponse)
    assert response.text == "a"
    check_rich(await failure(call.read()))


async def test_an_error_of_a_nested_call_does_not_leak_its_status(connect: Connect) -> None:
    async def refuse(request: Any, context: Any) -> Any:
        await context.abort(Code.NOT_FOUND, "inner")

    inner = await connect(Echo=refuse)

    async def forward(request: Any, context: Any) -> Any:
        return await inner.stub.Echo(request)

    error = await failure((await connect(Echo=forward)).stub.Echo(pb.EchoRequest()))
    assert error.code() is Code.UNKNOWN
