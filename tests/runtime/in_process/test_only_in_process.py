"""Where the in-process channel promises more than a wire can."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from llmhub_test.v1 import echo_service_pb2_grpc as stubs
from services.runtime.in_process import InProcessServer
from tests.runtime.in_process.harness import Code, Connect, Watch, failure, soon, texts


@pytest.fixture
def transport() -> str:
    return "in_process"


async def test_messages_are_passed_by_reference(connect: Connect) -> None:
    request, response = pb.EchoRequest(), pb.EchoResponse()

    async def same(received: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        assert received is request
        return response

    assert await (await connect(Echo=same)).stub.Echo(request) is response


async def test_dropping_a_stream_cancels_its_handler(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        await watch.hang()

    stub = (await connect(Expand=hang)).stub
    async for response in stub.Expand(pb.ExpandRequest()):
        assert response.text == "one"
        break
    await soon(watch.started.wait())
    assert await watch.was_cancelled()


@pytest.mark.parametrize("swallow", [False, True])
async def test_a_generator_held_by_back_pressure_sees_its_cancellation(
    connect: Connect, swallow: bool
) -> None:
    watch = Watch()

    async def endless(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        try:
            while True:
                try:
                    yield pb.ExpandResponse()
                except asyncio.CancelledError:
                    watch.errors.append(asyncio.CancelledError)
                    if not swallow:
                        raise
        finally:
            await asyncio.sleep(0)
            watch.finals += 1
            watch.ended.set()

    call = (await connect(Expand=endless)).stub.Expand(pb.ExpandRequest())
    await soon(call.read())
    call.cancel()
    assert await watch.was_cancelled()


async def test_cancellation_passes_through_a_nested_stream_held_by_back_pressure(connect: Connect) -> None:
    watch = Watch()

    async def endless(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        try:
            while True:
                yield pb.ExpandResponse()
        finally:
            watch.ended.set()

    inner = (await connect(Expand=endless)).stub

    async def forward(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        async for response in inner.Expand(request):
            yield response

    call = (await connect(Expand=forward)).stub.Expand(pb.ExpandRequest())
    await soon(call.read())
    call.cancel()
    await soon(watch.ended.wait())


async def test_no_clean_end_for_a_handler_whose_client_has_gone(connect: Connect) -> None:
    ends: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def collect(requests: AsyncIterator[pb.CollectRequest], context: Any) -> pb.CollectResponse:
        try:
            async for _ in requests:
                pass
        except asyncio.CancelledError:
            ends.set_result("cancelled")
            raise
        ends.set_result("complete")
        return pb.CollectResponse()

    for repeat in range(20):
        call = (await connect(Collect=collect)).stub.Collect()
        await call.write(pb.CollectRequest())
        for _ in range(repeat % 4 + 1):
            await asyncio.sleep(0)
        call.cancel()
        assert await soon(ends) == "cancelled"
        ends = asyncio.get_running_loop().create_future()


async def test_no_clean_end_for_a_task_of_the_handler_that_reads(connect: Connect) -> None:
    reading = asyncio.Event()
    end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def read(context: Any) -> None:
        reading.set()
        try:
            end.set_result(await context.read())
        except grpc.aio.InternalError as error:
            end.set_result(type(error))

    async def collect(requests: Any, context: Any) -> Any:
        reader = asyncio.create_task(read(context))
        await asyncio.shield(reader)

    call = (await connect(Collect=collect)).stub.Collect()
    await soon(reading.wait())
    call.cancel()
    assert await soon(end) is grpc.aio.InternalError


async def test_an_early_answer_cancels_a_request_iterator_that_waits(connect: Connect) -> None:
    watch = Watch()

    async def at_once(requests: Any, context: Any) -> pb.CollectResponse:
        await watch.started.wait()
        return pb.CollectResponse(text="enough")

    async def waiting() -> AsyncIterator[pb.CollectRequest]:
        await watch.hang()
        yield pb.CollectRequest()

    call = (await connect(Collect=at_once)).stub.Collect(waiting())
    assert (await soon(call)).text == "enough"
    assert await watch.was_cancelled()


async def test_an_answer_that_ends_before_the_requests(connect: Connect) -> None:
    async def first(requests: AsyncIterator[pb.ConverseRequest], context: Any) -> Any:
        async for request in requests:
            yield pb.ConverseResponse(text=request.text)
            return

    fed = asyncio.Event()

    async def endless() -> AsyncIterator[pb.ConverseRequest]:
        try:
            while True:
                yield pb.ConverseRequest(text="more")
        finally:
            fed.set()

    call = (await connect(Converse=first)).stub.Converse(endless())
    assert await soon(texts(call)) == ["more"]
    assert await call.code() is Code.OK
    await soon(fed.wait())


async def test_a_handler_that_cancels_itself_ends_its_call(connect: Connect) -> None:
    async def give_up(request: Any, context: Any) -> Any:
        raise asyncio.CancelledError

    error = await failure((await connect(Echo=give_up)).stub.Echo(pb.EchoRequest()))
    assert error.code() is Code.CANCELLED


async def test_an_abort_with_ok_is_a_mistake(connect: Connect) -> None:
    async def abort(request: Any, context: Any) -> Any:
        await context.abort(Code.OK, "fine")

    assert (await failure((await connect(Echo=abort)).stub.Echo(pb.EchoRequest()))).code() is Code.UNKNOWN


async def test_a_handler_that_is_not_async_is_refused(connect: Connect) -> None:
    def blocking(request: Any, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse()

    error = await failure((await connect(Echo=blocking)).stub.Echo(pb.EchoRequest()))
    assert error.code() is Code.UNKNOWN
    assert "is not async" in (error.details() or "")


async def test_a_call_of_another_kind_than_the_method(connect: Connect) -> None:
    async def echo(request: Any, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse()

    channel: Any = (await connect(Echo=echo)).channel
    call = channel.unary_stream("/llmhub_test.v1.EchoService/Echo")(pb.EchoRequest())
    assert (await failure(texts(call))).code() is Code.UNIMPLEMENTED


async def test_a_failing_done_callback_of_one_side_harms_no_other(connect: Connect) -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: reported.append(about["message"]))

    def fail(_: Any) -> None:
        raise ValueError("boo")

    async def echo(request: Any, context: Any) -> pb.EchoResponse:
        context.add_done_callback(fail)
        return pb.EchoResponse(text="fine")

    connection = await connect(Echo=echo)
    call = connection.stub.Echo(pb.EchoRequest())
    call.add_done_callback(fail)
    assert (await soon(call)).text == "fine"
    await connection.server.stop(1)
    assert reported == ["done callback of /llmhub_test.v1.EchoService/Echo failed"]


async def test_two_readers_of_one_stream_are_refused(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        await watch.hang()
        yield pb.ExpandResponse()

    call = (await connect(Expand=hang)).stub.Expand(pb.ExpandRequest())
    first = asyncio.create_task(call.read())
    await soon(watch.started.wait())
    with pytest.raises(Exception, match="two tasks read"):
        await soon(call.read())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_closing_one_channel_leaves_the_others_alone() -> None:
    watch, let_go = Watch(), asyncio.Event()

    class Servicer(stubs.EchoServiceServicer):
        async def Echo(self, request: Any, context: Any) -> pb.EchoResponse:
            watch.started.set()
            await let_go.wait()
            return pb.EchoResponse(text="done")

    server = InProcessServer()
    stubs.add_EchoServiceServicer_to_server(Servicer(), server)  # type: ignore[abstract]
    first, second = server.channel(), server.channel()
    call = stubs.EchoServiceStub(first).Echo(pb.EchoRequest())
    await soon(watch.started.wait())
    await second.close()
    let_go.set()
    assert (await soon(call)).text == "done"
    await server.stop(None)
    assert await server.wait_for_termination(0)


async def test_stopping_waits_for_the_cleanup_of_handlers(connect: Connect) -> None:
    watch = Watch()

    async def careful(request: Any, context: Any) -> Any:
        try:
            await watch.hang()
        finally:
            await asyncio.sleep(0.02)
            watch.finals += 1

    connection = await connect(Echo=careful)
    call = connection.stub.Echo(pb.EchoRequest())
    await soon(watch.started.wait())
    await connection.server.stop(None)
    assert watch.finals == 2
    assert (await failure(call)).code() is Code.UNAVAILABLE


async def test_an_in_process_server_has_no_ports(connect: Connect) -> None:
    server = InProcessServer()
    with pytest.raises(NotImplementedError):
        server.add_insecure_port("127.0.0.1:0")
    assert not await server.wait_for_termination(0.001)
