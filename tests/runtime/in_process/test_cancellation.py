import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, Connection, Watch, failure, soon, texts


async def hanging(connect: Connect, watch: Watch) -> Connection:
    """Every method of the service hangs; the streaming ones answer once before."""

    async def unary(request: Any, context: Any) -> Any:
        await watch.hang()

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.ExpandResponse(text="one")
        await watch.hang()

    async def converse(requests: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.ConverseResponse(text="one")
        await watch.hang()

    return await connect(Echo=unary, Expand=stream, Collect=unary, Converse=converse)


def start(connection: Connection, kind: str) -> Any:
    stub = connection.stub
    calls: dict[str, Callable[[], Any]] = {
        "Echo": lambda: stub.Echo(pb.EchoRequest()),
        "Expand": lambda: stub.Expand(pb.ExpandRequest()),
        "Collect": stub.Collect,
        "Converse": stub.Converse,
    }
    return calls[kind]()


async def outcome(call: Any, in_progress: asyncio.Event | None = None) -> Any:
    """Waits for the end the way the kind allows; `in_progress` is set when only the end is missing."""
    in_progress = in_progress or asyncio.Event()
    if hasattr(call, "__await__"):
        in_progress.set()
        return await call
    async for _ in call:
        in_progress.set()
    return None


KINDS = pytest.mark.parametrize("kind", ["Echo", "Expand", "Collect", "Converse"])


@KINDS
async def test_cancelling_the_call(connect: Connect, kind: str) -> None:
    watch = Watch()
    call = start(await hanging(connect, watch), kind)
    await soon(watch.started.wait())
    waiting = asyncio.create_task(outcome(call))
    await asyncio.sleep(0)
    assert call.cancel()
    assert not call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(waiting)
    assert call.done()
    assert call.cancelled()
    assert await call.code() is Code.CANCELLED
    assert await call.details() == "Locally cancelled by application!"
    assert tuple(await call.trailing_metadata()) == ()
    assert await watch.was_cancelled()


@KINDS
async def test_cancelling_the_task_that_waits_for_it(connect: Connect, kind: str) -> None:
    watch = Watch()
    call = start(await hanging(connect, watch), kind)
    in_progress = asyncio.Event()
    waiting = asyncio.create_task(outcome(call, in_progress))
    await soon(asyncio.gather(watch.started.wait(), in_progress.wait()))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(waiting)
    assert await soon(call.code()) is Code.CANCELLED
    assert await watch.was_cancelled()


@KINDS
async def test_a_timeout_of_the_client_around_the_call(connect: Connect, kind: str) -> None:
    watch = Watch()
    call = start(await hanging(connect, watch), kind)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await outcome(call)
    assert await soon(call.code()) is Code.CANCELLED
    assert await watch.was_cancelled()


@KINDS
async def test_cancelling_at_once(connect: Connect, kind: str) -> None:
    watch = Watch()
    connection = await hanging(connect, watch)
    call = start(connection, kind)
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(outcome(call))
    assert await call.code() is Code.CANCELLED
    if watch.started.is_set():
        assert await watch.was_cancelled()


async def test_reading_a_cancelled_stream(connect: Connect) -> None:
    call = start(await hanging(connect, Watch()), "Expand")
    await soon(call.read())
    call.cancel()
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await soon(call.read())


async def test_the_caller_is_not_left_cancelled(connect: Connect) -> None:
    watch = Watch()
    call = start(await hanging(connect, watch), "Echo")
    asyncio.get_running_loop().call_later(0.05, call.cancel)
    with pytest.raises(asyncio.CancelledError):
        await soon(call)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_the_client_does_not_wait_for_cleanup(connect: Connect) -> None:
    started, let_go, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_to_end(request: Any, context: Any) -> Any:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await let_go.wait()
            cleaned.set()

    call = (await connect(Echo=slow_to_end)).stub.Echo(pb.EchoRequest())
    await soon(started.wait())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(call)
    assert not cleaned.is_set()
    let_go.set()
    await soon(cleaned.wait())


async def test_a_handler_that_ignores_its_cancellation_can_send_nothing_more(connect: Connect) -> None:
    started = asyncio.Event()
    refused: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def stubborn(request: Any, context: Any) -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        try:
            await context.write(pb.ExpandResponse())
        except grpc.aio.InternalError:
            refused.set_result(True)

    call = (await connect(Expand=stubborn)).stub.Expand(pb.ExpandRequest())
    await soon(started.wait())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(texts(call))
    assert await soon(refused)


async def test_a_status_of_cancelled_from_the_server_is_an_error(connect: Connect) -> None:
    async def refuse(request: Any, context: Any) -> Any:
        await context.abort(Code.CANCELLED, "not by you")

    call = (await connect(Echo=refuse)).stub.Echo(pb.EchoRequest())
    error = await failure(call)
    assert (error.code(), error.details()) == (Code.CANCELLED, "not by you")
    assert call.cancelled()


async def test_cancellation_passes_through_nested_calls(connect: Connect) -> None:
    watch = Watch()
    inner = await hanging(connect, watch)

    async def forward(request: pb.EchoRequest, context: Any) -> Any:
        return await inner.stub.Echo(request)

    call = start(await connect(Echo=forward), "Echo")
    await soon(watch.started.wait())
    call.cancel()
    assert await watch.was_cancelled()


async def test_cancellation_passes_through_nested_streams(connect: Connect) -> None:
    watch = Watch()
    inner = await hanging(connect, watch)

    async def forward(request: pb.ExpandRequest, context: Any) -> AsyncIterator[Any]:
        async for response in inner.stub.Expand(request):
            yield response

    call = start(await connect(Expand=forward), "Expand")
    await soon(anext(aiter(call)))
    await soon(watch.started.wait())
    call.cancel()
    assert await watch.was_cancelled()


async def test_cancellation_while_the_handler_waits_for_the_reader(connect: Connect) -> None:
    watch = Watch()

    async def endless(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            while True:
                watch.started.set()
                yield pb.ExpandResponse(payload=bytes(100_000))
        finally:
            watch.finals += 1
            watch.ended.set()

    call = (await connect(Expand=endless)).stub.Expand(pb.ExpandRequest())
    await soon(watch.started.wait())
    await asyncio.sleep(0.05)
    call.cancel()
    await soon(watch.ended.wait())
    assert watch.finals == 1
