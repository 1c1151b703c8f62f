import asyncio
import gc
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, Watch, failure, soon


async def upper(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
    return pb.EchoResponse(text=request.text.upper(), number=request.number + 1, payload=request.payload)


async def test_the_response_comes_back(connect: Connect) -> None:
    stub = (await connect(Echo=upper)).stub
    response = await stub.Echo(pb.EchoRequest(text="hi", number=41, payload=b"\x00\xff"))
    assert response == pb.EchoResponse(text="HI", number=42, payload=b"\x00\xff")


async def test_a_finished_call_tells_how_it_ended(connect: Connect) -> None:
    call = (await connect(Echo=upper)).stub.Echo(pb.EchoRequest(text="a"), timeout=30)
    assert not call.done()
    assert 29 < (call.time_remaining() or 0) <= 30
    await call
    assert call.done()
    assert not call.cancelled()
    assert not call.cancel()
    assert await call.code() is Code.OK
    assert not await call.details()
    assert tuple(await call.initial_metadata()) == ()
    assert tuple(await call.trailing_metadata()) == ()
    await call.wait_for_connection()


async def test_no_deadline_no_time_remaining(connect: Connect) -> None:
    async def remaining(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse(text=str(context.time_remaining()))

    call = (await connect(Echo=remaining)).stub.Echo(pb.EchoRequest())
    assert call.time_remaining() is None
    assert (await call).text == "None"


async def test_a_call_may_be_awaited_again_and_by_several(connect: Connect) -> None:
    call = (await connect(Echo=upper)).stub.Echo(pb.EchoRequest(text="a"))

    async def wait() -> str:
        return (await call).text

    assert list(await asyncio.gather(wait(), wait(), wait())) == ["A"] * 3
    assert (await call).text == "A"


async def test_calls_run_at_the_same_time(connect: Connect) -> None:
    both = asyncio.Barrier(2)

    async def meet(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        await both.wait()
        return pb.EchoResponse(text=request.text)

    stub = (await connect(Echo=meet)).stub
    first, second = stub.Echo(pb.EchoRequest(text="1")), stub.Echo(pb.EchoRequest(text="2"))
    assert [(await soon(first)).text, (await soon(second)).text] == ["1", "2"]


async def test_a_call_starts_and_ends_without_being_awaited(connect: Connect) -> None:
    done = asyncio.Event()

    async def note(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        await asyncio.sleep(0)
        done.set()
        return pb.EchoResponse()

    stub = (await connect(Echo=note)).stub
    stub.Echo(pb.EchoRequest())
    gc.collect()
    await soon(done.wait())


async def test_done_callbacks_of_both_sides(connect: Connect) -> None:
    served: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def watched(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        context.add_done_callback(lambda own: served.set_result((own is context, own.done())))
        assert not context.done()
        assert not context.cancelled()
        return pb.EchoResponse()

    call = (await connect(Echo=watched)).stub.Echo(pb.EchoRequest())
    told: list[bool] = []
    call.add_done_callback(lambda own: told.append(own is call))
    await call
    await call.code()
    assert told == [True]
    call.add_done_callback(lambda own: told.append(own is call))
    assert told == [True, True]
    assert await soon(served) == (True, True)


async def test_a_status_set_by_the_handler_replaces_the_response(connect: Connect) -> None:
    async def missing(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        assert context.code() is None
        assert context.details() == ""
        context.set_code(Code.NOT_FOUND)
        context.set_details("no such thing")
        assert context.code() is Code.NOT_FOUND
        assert context.details() == "no such thing"
        return pb.EchoResponse()

    call = (await connect(Echo=missing)).stub.Echo(pb.EchoRequest())
    error = await failure(call)
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "no such thing")
    assert (await call.code(), await call.details()) == (Code.NOT_FOUND, "no such thing")
    assert call.done()
    assert not call.cancelled()


async def test_success_has_no_details(connect: Connect) -> None:
    async def fine(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        context.set_code(Code.OK)
        context.set_details("with a remark")
        return pb.EchoResponse()

    call = (await connect(Echo=fine)).stub.Echo(pb.EchoRequest())
    await call
    assert not await call.details()


async def test_an_unexpected_error_is_unknown(connect: Connect) -> None:
    async def broken(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        raise ValueError("boo")

    error = await failure((await connect(Echo=broken)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.UNKNOWN, "Unexpected <class 'ValueError'>: boo")


async def test_an_unexpected_error_keeps_code_and_trailing_metadata(connect: Connect) -> None:
    async def broken(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        context.set_code(Code.DATA_LOSS)
        context.set_details("dropped")
        context.set_trailing_metadata((("kept", "yes"),))
        raise ValueError("boo")

    error = await failure((await connect(Echo=broken)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.DATA_LOSS, "Unexpected <class 'ValueError'>: boo")
    assert tuple(error.trailing_metadata() or ()) == (("kept", "yes"),)


async def test_no_response_is_an_error(connect: Connect) -> None:
    async def nothing(request: pb.EchoRequest, context: Any) -> None:
        return None

    error = await failure((await connect(Echo=nothing)).stub.Echo(pb.EchoRequest()))
    assert error.code() is Code.UNKNOWN


async def test_an_unknown_method(connect: Connect) -> None:
    channel = (await connect(Echo=upper)).channel
    method = channel.unary_unary(
        "/llmhub_test.v1.EchoService/Nope",
        request_serializer=pb.EchoRequest.SerializeToString,
        response_deserializer=pb.EchoResponse.FromString,
    )
    error = await failure(method(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.UNIMPLEMENTED, "Method not found!")


async def test_a_method_left_to_the_generated_base(connect: Connect) -> None:
    stub = (await connect(Echo=upper)).stub
    assert (await failure(stub.Collect(iter(())))).code() is Code.UNIMPLEMENTED


async def test_a_generic_handler(connect: Connect) -> None:
    connection = await connect(Echo=upper)

    class Anything(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            if details.method != "/any/Method":
                return None
            return grpc.unary_unary_rpc_method_handler(
                upper,
                request_deserializer=pb.EchoRequest.FromString,
                response_serializer=pb.EchoResponse.SerializeToString,
            )

    connection.server.add_generic_rpc_handlers((Anything(),))
    method = connection.channel.unary_unary(
        "/any/Method",
        request_serializer=pb.EchoRequest.SerializeToString,
        response_deserializer=pb.EchoResponse.FromString,
    )
    assert (await soon(method(pb.EchoRequest(text="a")))).text == "A"


async def test_waiting_for_the_status_may_be_given_up(connect: Connect) -> None:
    watch = Watch()

    async def wait(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        await watch.hang()
        raise AssertionError

    call = (await connect(Echo=wait)).stub.Echo(pb.EchoRequest())
    await soon(watch.started.wait())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call.code(), 0.01)
    assert not call.done()
    call.cancel()
    assert await watch.was_cancelled()
