"""The HTTP door's protocol, byte by byte: what the edge sends it and what it makes of that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.mesh.door import serving

App = Callable[[Any, Any, Any], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET /a%2Fb?q=1 HTTP/1.1\r\nHost: x\r\nX-Custom: Y\r\n\r\n"
END = b"\r\n\r\n"


class Door:
    """An application that a test writes, behind the real protocol on a real socket."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "door.sock")
        self.app: App | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)

    async def connect(self) -> Streams:
        return await asyncio.open_unix_connection(self.path)


@pytest.fixture
async def door(folder: Path) -> AsyncIterator[Door]:
    door = Door(folder)
    async with serving(door, (f"unix:{door.path}",), None):
        yield door


async def exchange(door: Door, *pieces: bytes) -> bytes:
    """Send the pieces and return all that comes until the other side closes."""
    reader, writer = await door.connect()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def read_whole(reader: asyncio.StreamReader, length: int) -> bytes:
    async with asyncio.timeout(10):
        await reader.readuntil(END)
        return await reader.readexactly(length)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_a_request_arrives_as_asgi_says(door: Door) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    door.app = app
    reader, writer = await door.connect()
    writer.write(GET)
    await read_whole(reader, 0)
    writer.close()
    (scope,) = seen
    assert (scope["type"], scope["method"], scope["path"]) == ("http", "GET", "/a/b")
    assert (scope["raw_path"], scope["query_string"]) == (b"/a%2Fb", b"q=1")
    assert scope["headers"] == [(b"host", b"x"), (b"x-custom", b"Y")]


async def test_one_connection_carries_many_requests_in_any_pieces(door: Door) -> None:
    door.app = echo
    reader, writer = await door.connect()
    for body in (b"one", b"", b"three" * 1000):
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for start in range(0, len(request), 700):
            writer.write(request[start : start + 700])
            await writer.drain()
        assert await read_whole(reader, len(body)) == body
    chunked = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    writer.write(chunked)
    assert await read_whole(reader, 5) == b"abcde"
    writer.close()


async def test_requests_that_come_together_are_answered_in_order(door: Door) -> None:
    door.app = echo
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    last = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n3"
    answer = await exchange(door, request + b"1" + request + b"2" + last)
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2", b"3"]


async def test_an_answer_without_a_length_is_chunked_and_prompt(door: Door) -> None:
    more = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await more.wait()
        await send({"type": "http.response.body", "body": b"last"})

    door.app = app
    reader, writer = await door.connect()
    writer.write(GET)
    async with asyncio.timeout(10):
        head = await reader.readuntil(END)
        assert b"transfer-encoding: chunked" in head
        assert await reader.readuntil(b"first\r\n") == b"5\r\nfirst\r\n"
        more.set()
        assert await reader.readuntil(b"0\r\n\r\n") == b"4\r\nlast\r\n0\r\n\r\n"
    writer.close()


async def test_head_has_the_headers_and_no_body(door: Door) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"body"})

    door.app = app
    answer = await exchange(door, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"content-length: 4\r\nconnection: close\r\n\r\n")


async def test_a_failure_before_the_answer_is_a_500(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    async def app(*_: Any) -> None:
        raise ValueError("no")

    door.app = app
    assert (await exchange(door, GET)).startswith(b"HTTP/1.1 500 ")
    assert "application failed" in caplog.text


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\0b"])
async def test_a_header_value_cannot_begin_another_header(
    door: Door, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-name", value)]})
        await send({"type": "http.response.body", "body": b"body"})

    door.app = app
    assert (await exchange(door, GET)).startswith(b"HTTP/1.1 500 ")
    assert "application failed" in caplog.text


@pytest.mark.parametrize("how", ["raises", "returns"])
async def test_a_broken_answer_never_looks_whole(
    door: Door, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        if how == "raises":
            raise ValueError("no")

    door.app = app
    try:
        answer = await exchange(door, GET)
    except ConnectionResetError:
        return
    assert not answer.endswith(b"0\r\n\r\n")


async def test_the_application_learns_that_the_caller_left(door: Door) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        told.put_nowait("began")
        told.put_nowait((await receive())["type"])

    door.app = app
    _, writer = await door.connect()
    writer.write(GET)
    async with asyncio.timeout(10):
        assert await told.get() == "began"
        writer.close()
        assert await told.get() == "http.disconnect"


async def test_a_reader_that_stops_stops_the_writer(door: Door) -> None:
    sent = 0
    left = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while sent < 4096:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                sent += 1
                await asyncio.sleep(0)
        finally:
            left.set()

    door.app = app
    _, writer = await door.connect()
    writer.write(GET)
    before = -1
    async with asyncio.timeout(10):
        while before != sent or sent == 0:
            before = sent
            for _ in range(50):
                await asyncio.sleep(0)
    assert sent < 256
    writer.close()
    async with asyncio.timeout(10):
        await left.wait()


async def test_a_body_that_nobody_reads_is_not_taken_in(door: Door) -> None:
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await echo(scope, receive, send)

    door.app = app
    reader, writer = await door.connect()
    size = 16 * 1024 * 1024
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    writer.write(b"x" * size)
    for _ in range(200):
        await asyncio.sleep(0)
    waiting = writer.transport.get_write_buffer_size()
    assert waiting > size // 2
    release.set()
    assert len(await read_whole(reader, size)) == size
    writer.close()


async def test_the_rest_of_a_body_that_was_answered_early_is_dropped(door: Door) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/":
            await echo(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    door.app = refuse
    reader, writer = await door.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nstart")
    async with asyncio.timeout(10):
        head = await reader.readuntil(END)
    assert head.startswith(b"HTTP/1.1 413 ")
    # The edge, which sends bodies on as they come, is still sending; and then uses the connection again.
    next_call = b"POST /next HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"
    writer.write(b"x" * (500000 - len(b"start")) + next_call)
    assert await read_whole(reader, 2) == b"ok"
    writer.close()


@pytest.mark.parametrize("garbage", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
async def test_garbage_is_a_400_and_the_end(door: Door, garbage: bytes) -> None:
    door.app = echo
    assert (await exchange(door, garbage)).startswith(b"HTTP/1.1 400 ")


async def test_closing_lets_the_running_exchange_end(folder: Path) -> None:
    door, began, release = Door(folder), asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        await release.wait()
        await echo(scope, receive, send)

    door.app = app
    async with serving(door, (f"unix:{door.path}",), None):
        idle = await door.connect()
        reader, writer = await door.connect()
        writer.write(GET)
        await began.wait()
        asyncio.get_running_loop().call_later(0.05, release.set)
    async with asyncio.timeout(10):
        assert b"connection: close" in await reader.read()
        assert await idle[0].read() == b""
    for each in (writer, idle[1]):
        each.close()
    assert not Path(door.path).exists()
