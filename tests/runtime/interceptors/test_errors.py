"""Every error of a handler reaches the client typed, and nothing of an unforeseen one does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from llmhub_test.v1 import echo_service_pb2 as messages
from llmhub_test.v1 import echo_service_pb2_grpc
from services.runtime.errors import (
    DeadlineExceeded,
    InternalError,
    LlmhubError,
    ModelNotFound,
    RateLimited,
    UpstreamDetail,
    UpstreamRateLimited,
)
from services.runtime.status import from_rpc_error
from tests.runtime.fakes import until
from tests.runtime.interceptors.servers import INTERNALS, KINDS, OPENED, SCOPED, Rules, call, echo, serving

SERVERS = pytest.mark.parametrize("server", ["unix", "in-process"])
METHODS = pytest.mark.parametrize("method", KINDS)
SECRET = "sk-canary-5151"


class Failing(echo_service_pb2_grpc.EchoServiceServicer):
    """Raises what it is given, after `first` messages where it streams."""

    def __init__(self, error: BaseException, first: int = 0) -> None:
        self.error = error
        self.first = first
        self.cleaned = asyncio.Event()
        self.started = asyncio.Event()

    async def Echo(self, request: messages.EchoRequest, context: Any) -> messages.EchoResponse:
        context.set_trailing_metadata((("x-decision", "kept"),))
        raise self.error

    async def Collect(self, request: Any, context: Any) -> messages.CollectResponse:
        raise self.error

    async def Expand(self, request: Any, context: Any) -> AsyncIterator[messages.ExpandResponse]:
        for number in range(self.first):
            yield messages.ExpandResponse(number=number)
        raise self.error

    async def Converse(self, request: Any, context: Any) -> None:  # type: ignore[override]
        for number in range(self.first):
            await context.write(messages.ConverseResponse(number=number))
        raise self.error


class Endless(Failing):
    """Streams without end, and notes that it was stopped."""

    calls = 0

    async def Expand(self, request: Any, context: Any) -> AsyncIterator[messages.ExpandResponse]:
        try:
            while True:
                self.calls += 1
                yield messages.ExpandResponse(payload=b"x" * 10_000)
        finally:
            self.cleaned.set()


@SERVERS
@METHODS
async def test_an_error_of_ours_arrives_whole(server: str, method: str) -> None:
    error = UpstreamRateLimited(
        "slow", retry_after=2.5, upstream=UpstreamDetail(code="429"), provider="openai"
    )
    async with serving(server, echo(Failing(error)), OPENED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, method, metadata=(("x-request-id", "0" * 8 + "-0000-0000-0000-" + "0" * 12),))
    back = from_rpc_error(caught.value)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (type(back), back.message, back.retry_after) == (UpstreamRateLimited, "slow", 2.5)
    assert (back.upstream, back.metadata) == (UpstreamDetail(code="429"), {"provider": "openai"})
    trailers = dict(caught.value.trailing_metadata() or ())
    assert trailers["retry-after"] == "3"
    assert trailers["x-request-id"] == "00000000-0000-0000-0000-000000000000"
    if method == "Echo":
        assert trailers["x-decision"] == "kept"


@SERVERS
@pytest.mark.parametrize("method", ["Expand", "Converse"])
async def test_an_error_after_messages_follows_them(server: str, method: str) -> None:
    received = []
    async with serving(server, echo(Failing(ModelNotFound("gone"), first=3)), OPENED) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        stream = stub.Expand(messages.ExpandRequest()) if method == "Expand" else stub.Converse(iter(()))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for message in stream:
                received += [message.number]
    assert received == [0, 1, 2]
    assert type(from_rpc_error(caught.value)) is ModelNotFound


@SERVERS
@METHODS
async def test_an_unforeseen_error_tells_nothing_and_is_logged(
    server: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        async with serving(server, echo(Failing(ValueError(SECRET), first=1)), OPENED) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, method)
    back = from_rpc_error(caught.value)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert type(back) is InternalError
    assert SECRET not in repr(caught.value)
    (record,) = caplog.records
    assert isinstance(record.msg, dict)
    assert record.msg["request_id"] == back.metadata["request_id"]
    assert record.msg["method"].endswith(method)
    assert SECRET not in repr(record.msg)


@SERVERS
async def test_an_unmapped_call_of_another_service_keeps_its_meaning(server: str) -> None:
    inner = grpc.aio.AioRpcError(
        grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata(), "at 10.0.0.1"
    )
    async with serving(server, echo(Failing(inner)), OPENED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "Echo")
    assert type(from_rpc_error(caught.value)) is DeadlineExceeded


@SERVERS
async def test_a_handler_may_abort_by_itself(server: str) -> None:
    class Aborting(Failing):
        async def Echo(self, request: Any, context: Any) -> messages.EchoResponse:
            await context.abort(grpc.StatusCode.DATA_LOSS, "mine")
            raise AssertionError

    async with serving(server, echo(Aborting(LlmhubError(""))), OPENED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "Echo")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "mine")


@SERVERS
async def test_a_client_that_leaves_a_stream_it_does_not_read_stops_the_handler(server: str) -> None:
    servicer = Endless(RateLimited(""))
    async with serving(server, echo(servicer), OPENED) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        stream = stub.Expand(messages.ExpandRequest())
        await stream.read()
        before = -1
        while before != servicer.calls:  # until the windows are full
            before = servicer.calls
            await asyncio.sleep(0.02)
        stream.cancel()
        await until(servicer.cleaned.is_set)


@SERVERS
async def test_a_cancelled_handler_sees_it(server: str) -> None:
    class Waiting(Failing):
        async def Echo(self, request: Any, context: Any) -> messages.EchoResponse:
            self.started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cleaned.set()
                raise
            raise AssertionError

    servicer = Waiting(RateLimited(""))
    async with serving(server, echo(servicer), OPENED) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        running = stub.Echo(messages.EchoRequest())
        await until(servicer.started.is_set)
        running.cancel()
        await until(servicer.cleaned.is_set)


@SERVERS
async def test_a_method_that_is_not_served_is_unimplemented(server: str) -> None:
    async with serving(server, lambda _: None, OPENED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "Echo")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def _as_they_are(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize(("method", "table"), [("Echo", OPENED), ("Expand", OPENED), ("Echo", INTERNALS)])
async def test_bytes_that_are_no_message_are_the_callers_fault(method: str, table: Rules) -> None:
    path = f"/llmhub_test.v1.EchoService/{method}"
    servicer = Failing(InternalError("never called"))
    async with serving("unix", echo(servicer), table, public=table is OPENED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            if method == "Echo":
                await channel.unary_unary(path, _as_they_are)(b"\xff\xff")
            else:
                await channel.unary_stream(path, _as_they_are)(b"\xff\xff").read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "class" not in (caught.value.details() or "")
    assert from_rpc_error(caught.value).reason == "REQUEST_INVALID"


async def test_a_stranger_is_not_told_whether_a_message_can_be_read() -> None:
    async with serving("unix", echo(Failing(InternalError(""))), SCOPED) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/llmhub_test.v1.EchoService/Echo", _as_they_are)(b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
