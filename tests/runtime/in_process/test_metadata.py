import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from llmhub_test.v1 import echo_service_pb2 as pb
from tests.runtime.in_process.harness import Code, Connect, failure, soon, texts

ENTRIES = (("k", "v"), ("k", "v2"), ("raw-bin", b"\x00\xff"), ("text", " spaces inside "))


def own(metadata: Any) -> list[tuple[str, str | bytes]]:
    """Without what the transport adds; a real one groups equal keys."""
    return sorted((key, value) for key, value in metadata if key != "user-agent")


async def test_invocation_metadata(connect: Connect) -> None:
    seen: list[Any] = []

    async def look(request: Any, context: Any) -> pb.EchoResponse:
        seen.extend(context.invocation_metadata())
        return pb.EchoResponse()

    stub = (await connect(Echo=look)).stub
    await stub.Echo(pb.EchoRequest(), metadata=ENTRIES)
    assert own(seen) == sorted(ENTRIES)
    assert {entry.key: entry.value for entry in seen}["raw-bin"] == b"\x00\xff"
    seen.clear()
    await stub.Echo(pb.EchoRequest(), metadata=grpc.aio.Metadata(("a", "b")))
    assert own(seen) == [("a", "b")]
    seen.clear()
    await stub.Echo(pb.EchoRequest())
    assert own(seen) == []


@pytest.mark.parametrize(
    "entry", [("Upper", "x"), ("sp ace", "x"), ("", "x"), ("line", "a\nb"), ("accent", "\u00e9")]
)
async def test_what_the_wire_refuses(connect: Connect, entry: tuple[str, str]) -> None:
    async def echo(request: Any, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse()

    stub = (await connect(Echo=echo)).stub
    with pytest.raises(grpc.aio.InternalError):
        await soon(stub.Echo(pb.EchoRequest(), metadata=(entry,)))


@pytest.mark.parametrize("entry", [("key", 1), ("text-bin", "text")])
async def test_wrong_types(connect: Connect, entry: Any) -> None:
    async def echo(request: Any, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse()

    stub = (await connect(Echo=echo)).stub
    with pytest.raises(TypeError):
        await soon(stub.Echo(pb.EchoRequest(), metadata=(entry,)))


async def test_initial_and_trailing_metadata_of_a_unary_call(connect: Connect) -> None:
    async def tell(request: Any, context: Any) -> pb.EchoResponse:
        await context.send_initial_metadata((("early", "1"), ("early-bin", b"\x01")))
        context.set_trailing_metadata((("late", "0"),))
        context.set_trailing_metadata((("late", "1"), ("late-bin", b"\x02")))
        assert tuple(context.trailing_metadata()) == (("late", "1"), ("late-bin", b"\x02"))
        return pb.EchoResponse()

    call = (await connect(Echo=tell)).stub.Echo(pb.EchoRequest())
    await call
    assert own(await call.initial_metadata()) == [("early", "1"), ("early-bin", b"\x01")]
    assert own(await call.trailing_metadata()) == [("late", "1"), ("late-bin", b"\x02")]


async def test_initial_metadata_comes_before_the_first_message(connect: Connect) -> None:
    go_on = asyncio.Event()

    async def tell(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        await context.send_initial_metadata((("early", "1"),))
        await go_on.wait()
        yield pb.ExpandResponse(text="one")

    call = (await connect(Expand=tell)).stub.Expand(pb.ExpandRequest())
    assert own(await soon(call.initial_metadata())) == [("early", "1")]
    assert not call.done()
    go_on.set()
    assert await soon(texts(call)) == ["one"]


async def test_initial_metadata_comes_with_the_first_message(connect: Connect) -> None:
    go_on = asyncio.Event()

    async def stream(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        await go_on.wait()

    call = (await connect(Expand=stream)).stub.Expand(pb.ExpandRequest())
    assert own(await soon(call.initial_metadata())) == []
    go_on.set()
    assert await soon(texts(call)) == ["one"]


async def test_initial_metadata_is_sent_once(connect: Connect) -> None:
    refused: list[type[Exception]] = []

    async def twice(request: Any, context: Any) -> pb.EchoResponse:
        await context.send_initial_metadata((("early", "1"),))
        try:
            await context.send_initial_metadata((("early", "2"),))
        except grpc.aio.BaseError as error:
            refused.append(type(error))
        return pb.EchoResponse()

    call = (await connect(Echo=twice)).stub.Echo(pb.EchoRequest())
    await call
    assert refused
    assert own(await call.initial_metadata()) == [("early", "1")]


async def test_trailing_metadata_of_a_stream(connect: Connect) -> None:
    async def stream(request: Any, context: Any) -> AsyncIterator[pb.ExpandResponse]:
        yield pb.ExpandResponse(text="one")
        context.set_trailing_metadata((("count", "1"),))

    call = (await connect(Expand=stream)).stub.Expand(pb.ExpandRequest())
    assert await soon(texts(call)) == ["one"]
    assert own(await call.trailing_metadata()) == [("count", "1")]


async def test_metadata_of_an_error(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> pb.EchoResponse:
        await context.send_initial_metadata((("early", "1"),))
        await context.abort(Code.NOT_FOUND, "gone", (("late-bin", b"\x02"),))
        raise AssertionError

    call = (await connect(Echo=fail)).stub.Echo(pb.EchoRequest())
    error = await failure(call)
    assert own(error.initial_metadata()) == [("early", "1")]
    assert own(error.trailing_metadata()) == [("late-bin", b"\x02")]
    assert own(await call.initial_metadata()) == [("early", "1")]
    assert own(await call.trailing_metadata()) == [("late-bin", b"\x02")]


async def test_abort_keeps_trailing_metadata_and_details_set_before(connect: Connect) -> None:
    async def fail(request: Any, context: Any) -> pb.EchoResponse:
        context.set_trailing_metadata((("late", "1"),))
        context.set_details("explained before")
        await context.abort(Code.NOT_FOUND)
        raise AssertionError

    error = await failure((await connect(Echo=fail)).stub.Echo(pb.EchoRequest()))
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "explained before")
    assert own(error.trailing_metadata()) == [("late", "1")]


async def test_what_the_handler_knows_of_its_peer(connect: Connect) -> None:
    async def look(request: Any, context: Any) -> pb.EchoResponse:
        assert context.peer_identities() is None
        assert context.peer_identity_key() is None
        assert context.auth_context()["transport_security_type"]
        context.set_compression(grpc.Compression.NoCompression)
        context.disable_next_message_compression()
        return pb.EchoResponse(text=context.peer())

    response = await (await connect(Echo=look)).stub.Echo(pb.EchoRequest())
    assert response.text == {"in_process": "inproc", "grpc": "unix:"}[connect.transport]
