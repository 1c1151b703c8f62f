import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, Interceptors, Watch, failure, soon, texts


async def echo(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
    keys = [entry.value for entry in context.invocation_metadata() if entry.key == "key"]
    await context.send_initial_metadata((("early", "1"),))
    return pb.EchoResponse(text=f"{request.text} {','.join(keys)}".strip())


async def count(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
    for number in range(3):
        yield pb.ExpandResponse(text=str(number))


async def collect(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
    return pb.CollectResponse(text=",".join([request.text async for request in requests]))


async def converse(requests: AsyncIterator[pb.ConverseRequest], context: Any) -> Any:
    async for request in requests:
        yield pb.ConverseResponse(text=request.text)


class AddKey(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, key: str) -> None:
        self.key = key

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        assert client_call_details.method == b"/llmhub_test.v1.EchoService/Echo"
        metadata = grpc.aio.Metadata(*client_call_details.metadata, ("key", self.key))
        return await continuation(client_call_details._replace(metadata=metadata), request)


class Answer(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return pb.EchoResponse(text="from the cache")


class Refuse(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        raise grpc.aio.AioRpcError(
            Code.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), grpc.aio.Metadata(), details="too fast"
        )


class RetryOnce(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)
        if await call.code() is not Code.OK:
            call = await continuation(client_call_details, request)
        return call


class Upper(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)

        async def louder() -> AsyncIterator[pb.ExpandResponse]:
            async for response in call:
                yield pb.ExpandResponse(text=f"<{response.text}>")

        return louder()


class PassStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, request)


class MarkRequests(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        async def marked() -> AsyncIterator[pb.CollectRequest]:
            async for request in request_iterator:
                yield pb.CollectRequest(text=f"<{request.text}>")

        return await continuation(client_call_details, marked())


class PassConversation(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(client_call_details, request_iterator)


def client(*interceptors: grpc.aio.ClientInterceptor) -> Interceptors:
    return Interceptors(client=interceptors)


async def test_changing_the_metadata(connect: Connect) -> None:
    stub = (await connect(client(AddKey("a"), AddKey("b")), Echo=echo)).stub
    call = stub.Echo(pb.EchoRequest(text="hi"), metadata=(("key", "mine"),))
    assert (await soon(call)).text == "hi mine,a,b"
    assert await call.code() is Code.OK
    assert tuple(await call.initial_metadata()) == (("early", "1"),)
    assert call.done()
    assert not call.cancelled()


async def test_answering_instead(connect: Connect) -> None:
    call = (await connect(client(Answer()), Echo=echo)).stub.Echo(pb.EchoRequest())
    assert (await soon(call)).text == "from the cache"
    assert await call.code() is Code.OK


async def test_failing_instead(connect: Connect) -> None:
    call = (await connect(client(Refuse()), Echo=echo)).stub.Echo(pb.EchoRequest())
    assert (await failure(call)).code() is Code.RESOURCE_EXHAUSTED
    assert await call.code() is Code.RESOURCE_EXHAUSTED
    assert await call.details() == "too fast"
    assert call.done()


async def test_calling_twice(connect: Connect) -> None:
    attempts: list[int] = []

    async def second_time_lucky(request: Any, context: Any) -> pb.EchoResponse:
        attempts.append(1)
        if len(attempts) == 1:
            await context.abort(Code.UNAVAILABLE, "not yet")
        return pb.EchoResponse(text="now")

    stub = (await connect(client(RetryOnce()), Echo=second_time_lucky)).stub
    assert (await soon(stub.Echo(pb.EchoRequest()))).text == "now"


async def test_a_deadline_behind_an_interceptor(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: Any, context: Any) -> Any:
        await watch.hang()

    stub = (await connect(client(AddKey("a")), Echo=hang)).stub
    assert (await failure(stub.Echo(pb.EchoRequest(), timeout=0.1))).code() is Code.DEADLINE_EXCEEDED
    assert await watch.was_cancelled()


async def test_cancelling_behind_an_interceptor(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: Any, context: Any) -> Any:
        await watch.hang()

    call = (await connect(client(AddKey("a")), Echo=hang)).stub.Echo(pb.EchoRequest())
    told: list[bool] = []
    call.add_done_callback(lambda own: told.append(own is call))
    await soon(watch.started.wait())
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(call)
    assert call.cancelled()
    assert await call.code() is Code.CANCELLED
    assert told == [True]
    assert await watch.was_cancelled()


async def test_cancelling_before_the_interceptor_has_called(connect: Connect) -> None:
    call = (await connect(client(AddKey("a")), Echo=echo)).stub.Echo(pb.EchoRequest())
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(call)
    assert call.cancelled()
    assert await call.code() is Code.CANCELLED


@pytest.mark.parametrize("read_style", [False, True])
async def test_replacing_the_responses_of_a_stream(connect: Connect, read_style: bool) -> None:
    call = (await connect(client(Upper(), Upper()), Expand=count)).stub.Expand(pb.ExpandRequest())
    if read_style:
        received = []
        while (response := await soon(call.read())) is not grpc.aio.EOF:
            assert isinstance(response, pb.ExpandResponse)
            received.append(response.text)
    else:
        received = await soon(texts(call))
    assert received == ["<<0>>", "<<1>>", "<<2>>"]
    assert await soon(call.code()) is Code.OK


async def test_a_stream_that_passes_through(connect: Connect) -> None:
    call = (await connect(client(PassStream()), Expand=count)).stub.Expand(pb.ExpandRequest())
    assert await soon(texts(call)) == ["0", "1", "2"]
    assert await call.code() is Code.OK


async def test_cancelling_a_stream_behind_an_interceptor(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        await watch.hang()

    call = (await connect(client(PassStream()), Expand=hang)).stub.Expand(pb.ExpandRequest())
    received = aiter(call)
    assert (await soon(anext(received))).text == "one"
    await soon(watch.started.wait())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(anext(received))
    assert await watch.was_cancelled()


async def test_changing_the_requests_of_an_iterator(connect: Connect) -> None:
    async def requests() -> AsyncIterator[pb.CollectRequest]:
        for text in ("a", "b"):
            yield pb.CollectRequest(text=text)

    stub = (await connect(client(MarkRequests()), Collect=collect)).stub
    assert (await soon(stub.Collect(requests()))).text == "<a>,<b>"


async def test_changing_written_requests(connect: Connect) -> None:
    call = (await connect(client(MarkRequests()), Collect=collect)).stub.Collect()
    for text in ("a", "b"):
        await soon(call.write(pb.CollectRequest(text=text)))
    await soon(call.done_writing())
    assert (await soon(call)).text == "<a>,<b>"
    with pytest.raises(asyncio.InvalidStateError):
        await soon(call.write(pb.CollectRequest()))


async def test_a_conversation_behind_an_interceptor(connect: Connect) -> None:
    call = (await connect(client(PassConversation()), Converse=converse)).stub.Converse()
    for text in ("a", "b"):
        await soon(call.write(pb.ConverseRequest(text=text)))
        response = await soon(call.read())
        assert isinstance(response, pb.ConverseResponse)
        assert response.text == text
    await soon(call.done_writing())
    assert await soon(call.read()) is grpc.aio.EOF


async def test_something_else_is_no_interceptor(connect: Connect) -> None:
    with pytest.raises((TypeError, ValueError)):
        await connect(client(object()), Echo=echo)  # type: ignore[arg-type]
