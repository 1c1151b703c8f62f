import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, Interceptors, failure, soon, texts

CALLER: ContextVar[str] = ContextVar("CALLER", default="nobody")


class Interceptor(grpc.aio.ServerInterceptor):
    """Leaves a trace and does nothing else."""

    def __init__(self, name: str, trace: list[str]) -> None:
        self.name = name
        self.trace = trace

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.trace.append(f"{self.name}:{handler_call_details.method.rsplit('/')[-1]}")
        return await continuation(handler_call_details)


async def echo(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
    return pb.EchoResponse(text=f"{request.text} from {CALLER.get()}")


async def test_they_run_in_order_for_every_call(connect: Connect) -> None:
    trace: list[str] = []
    stub = (await connect(Interceptors((Interceptor("a", trace), Interceptor("b", trace))), Echo=echo)).stub
    for _ in range(2):
        await stub.Echo(pb.EchoRequest())
    assert trace == ["a:Echo", "b:Echo"] * 2


async def test_they_see_the_metadata_of_each_call(connect: Connect) -> None:
    class Identity(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            CALLER.set(dict(handler_call_details.invocation_metadata)["key"])
            return await continuation(handler_call_details)

    stub = (await connect(Interceptors((Identity(),)), Echo=echo)).stub
    calls = [stub.Echo(pb.EchoRequest(text="hi"), metadata=(("key", name),)) for name in ("ann", "bob")]
    assert [(await call).text for call in calls] == ["hi from ann", "hi from bob"]
    assert CALLER.get() == "nobody"


async def test_one_may_wrap_the_handler(connect: Connect) -> None:
    class Louder(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            handler = await continuation(handler_call_details)
            if handler.response_streaming:

                async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                    async for response in handler.unary_stream(request, context):
                        yield pb.ExpandResponse(text=response.text.upper())

                return grpc.unary_stream_rpc_method_handler(
                    stream, handler.request_deserializer, handler.response_serializer
                )

            async def unary(request: Any, context: Any) -> Any:
                response = await handler.unary_unary(request, context)
                return pb.EchoResponse(text=response.text.upper())

            return grpc.unary_unary_rpc_method_handler(
                unary, handler.request_deserializer, handler.response_serializer
            )

    async def stream(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")

    stub = (await connect(Interceptors((Louder(),)), Echo=echo, Expand=stream)).stub
    assert (await stub.Echo(pb.EchoRequest(text="hi"))).text == "HI FROM NOBODY"
    assert await texts(stub.Expand(pb.ExpandRequest())) == ["ONE"]


async def test_one_may_turn_errors_into_statuses(connect: Connect) -> None:
    class Errors(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            handler = await continuation(handler_call_details)

            async def translated(request: Any, context: Any) -> Any:
                try:
                    return await handler.unary_unary(request, context)
                except LookupError as error:
                    await context.abort(Code.NOT_FOUND, str(error))

            return grpc.unary_unary_rpc_method_handler(
                translated, handler.request_deserializer, handler.response_serializer
            )

    async def look(request: Any, context: Any) -> Any:
        raise LookupError("not here")

    error = await failure((await connect(Interceptors((Errors(),)), Echo=look)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "not here")


async def test_one_may_refuse_the_call(connect: Connect) -> None:
    class Refuse(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            async def refuse(request: Any, context: Any) -> Any:
                await context.abort(Code.UNAUTHENTICATED, "no key")

            return grpc.unary_unary_rpc_method_handler(refuse)

    error = await failure((await connect(Interceptors((Refuse(),)), Echo=echo)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.UNAUTHENTICATED, "no key")


async def test_one_that_finds_no_handler(connect: Connect) -> None:
    class Hide(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            return None

    error = await failure((await connect(Interceptors((Hide(),)), Echo=echo)).stub.Echo(pb.EchoRequest()))
    assert error.code() is Code.UNIMPLEMENTED


async def test_one_that_fails(connect: Connect) -> None:
    class Broken(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            raise ValueError("boo")

    error = await failure((await connect(Interceptors((Broken(),)), Echo=echo)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.UNKNOWN, "Unexpected <class 'ValueError'>: boo")


async def test_they_see_unknown_methods(connect: Connect) -> None:
    trace: list[str] = []
    channel = (await connect(Interceptors((Interceptor("a", trace),)), Echo=echo)).channel
    method = channel.unary_unary("/x/Nope", pb.EchoRequest.SerializeToString, pb.EchoResponse.FromString)
    assert (await failure(method(pb.EchoRequest()))).code() is Code.UNIMPLEMENTED
    assert trace == ["a:Nope"]


async def test_something_else_is_no_interceptor(connect: Connect) -> None:
    with pytest.raises((TypeError, ValueError)):
        await connect(Interceptors((object(),)), Echo=echo)  # type: ignore[arg-type]


async def test_the_callers_context_variables_do_not_reach_the_handler(connect: Connect) -> None:
    stub = (await connect(Echo=echo)).stub
    CALLER.set("the caller")
    assert (await stub.Echo(pb.EchoRequest(text="hi"))).text == "hi from nobody"


async def test_the_handlers_context_variables_stay_with_its_call(connect: Connect) -> None:
    async def set_and_stream(request: pb.ExpandRequest, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        CALLER.set(request.text)
        for _ in range(3):
            yield pb.ExpandResponse(text=CALLER.get())
            await asyncio.sleep(0)

    stub = (await connect(Expand=set_and_stream)).stub
    streams = [stub.Expand(pb.ExpandRequest(text=text)) for text in ("a", "b")]
    assert await soon(asyncio.gather(*map(texts, streams))) == [["a"] * 3, ["b"] * 3]
    assert CALLER.get() == "nobody"
