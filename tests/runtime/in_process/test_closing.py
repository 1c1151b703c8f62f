import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, Watch, failure, soon, texts


class Held:
    """A handler that answers when it is let go."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.let_go = asyncio.Event()

    async def echo(self, request: Any, context: Any) -> pb.EchoResponse:
        self.watch.started.set()
        try:
            await self.let_go.wait()
        except BaseException as error:
            self.watch.errors.append(type(error))
            raise
        finally:
            self.watch.finals += 1
            self.watch.ended.set()
        return pb.EchoResponse(text="done")


@pytest.mark.parametrize("grace", [None, 0.1])
async def test_closing_the_channel_cancels_its_calls(connect: Connect, grace: float | None) -> None:
    held = Held()
    connection = await connect(Echo=held.echo)
    call = connection.stub.Echo(pb.EchoRequest())
    await soon(held.watch.started.wait())
    await soon(connection.channel.close(grace))
    with pytest.raises(asyncio.CancelledError):
        await soon(call)
    assert await call.code() is Code.CANCELLED
    assert await held.watch.was_cancelled()
    with pytest.raises(grpc.aio.UsageError):
        await connection.stub.Echo(pb.EchoRequest())
    await connection.channel.close()


async def test_closing_the_channel_with_grace_waits_for_its_calls(connect: Connect) -> None:
    held = Held()
    connection = await connect(Echo=held.echo)
    call = connection.stub.Echo(pb.EchoRequest())
    await soon(held.watch.started.wait())
    closing = asyncio.create_task(connection.channel.close(30))
    await asyncio.sleep(0.01)
    assert not closing.done()
    held.let_go.set()
    assert (await soon(call)).text == "done"
    await soon(closing)


async def test_the_state_of_a_channel(connect: Connect) -> None:
    channel = (await connect(Echo=Held().echo)).channel
    await soon(channel.channel_ready())
    ready = grpc.ChannelConnectivity.READY
    assert channel.get_state() is ready
    assert channel.get_state(try_to_connect=True) is ready
    await soon(channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE))
    await channel.close()
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN


@pytest.mark.parametrize("grace", [None, 0.1])
async def test_stopping_the_server_ends_its_calls(connect: Connect, grace: float | None) -> None:
    held = Held()
    connection = await connect(Echo=held.echo)
    call = connection.stub.Echo(pb.EchoRequest())
    await soon(held.watch.started.wait())
    await soon(connection.server.stop(grace))
    assert (await failure(call)).code() is Code.UNAVAILABLE
    assert await held.watch.was_cancelled()


async def test_stopping_the_server_in_the_middle_of_a_stream(connect: Connect) -> None:
    watch = Watch()

    async def hang(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        await watch.hang()

    connection = await connect(Expand=hang)
    received = aiter(connection.stub.Expand(pb.ExpandRequest()))
    assert (await soon(anext(received))).text == "one"
    await soon(watch.started.wait())
    await soon(connection.server.stop(None))
    assert (await failure(texts(received))).code() is Code.UNAVAILABLE
    assert await watch.was_cancelled()


async def test_stopping_the_server_with_grace_lets_calls_end_and_refuses_new_ones(connect: Connect) -> None:
    held = Held()
    connection = await connect(Echo=held.echo)
    call = connection.stub.Echo(pb.EchoRequest())
    await soon(held.watch.started.wait())
    stopping = asyncio.create_task(connection.server.stop(30))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    refused = await failure(connection.stub.Echo(pb.EchoRequest()))
    assert refused.code() is Code.UNAVAILABLE
    held.let_go.set()
    assert (await soon(call)).text == "done"
    await soon(stopping)
    await soon(connection.server.wait_for_termination(10))
