"""What a provider may do, as short programs of steps that a replay server plays."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.support.wire import Wire

Json = Mapping[str, Any]


class Step(Protocol):
    """One thing that is done to the connection."""

    async def play(self, wire: Wire) -> None:
        """Do it."""
        ...


Program = Sequence[Step]


class Gate:
    """A place where a program waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        """Set when a program has come here: all before it has been written."""
        self._lock = threading.Lock()
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        """Let every program pass, now and later. Any thread may call it."""
        with self._lock:
            self._open = True
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)
            self._waiting.clear()

    async def play(self, wire: Wire) -> None:
        """Wait until the gate is open."""
        passed = asyncio.Event()
        with self._lock:
            if self._open:
                passed.set()
            else:
                self._waiting.append((asyncio.get_running_loop(), passed))
        self.reached.set()
        await passed.wait()


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers; without `length` the body is chunked."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    length: int | None = None

    async def play(self, wire: Wire) -> None:
        """Send it."""
        await wire.head(self.status, self.headers, self.length)


@dataclass(frozen=True, slots=True)
class Send:
    """A piece of the body, in a write of its own."""

    data: bytes

    async def play(self, wire: Wire) -> None:
        """Send it and give the loop a turn, so that the next piece is another packet."""
        await wire.send(self.data)
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes past all framing."""

    data: bytes

    async def play(self, wire: Wire) -> None:
        """Put them on the socket."""
        await wire.raw(self.data)
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class End:
    """The proper end of the body."""

    async def play(self, wire: Wire) -> None:
        """End it."""
        await wire.end()


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends where it is."""

    reset: bool = True

    async def play(self, wire: Wire) -> None:
        """Cut."""
        wire.cut(reset=self.reset)


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence until the other side leaves."""

    async def play(self, wire: Wire) -> None:
        """Wait to be cancelled."""
        await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Pause:
    """Time between two steps, where the time itself is the fault (slow headers, paced events)."""

    seconds: float

    async def play(self, wire: Wire) -> None:
        """Sleep."""
        await asyncio.sleep(self.seconds)


# ------------------------------------------------------------------------------------ whole answers


def answer(
    status: int,
    body: bytes | Json,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "application/json",
) -> Program:
    """Return an answer of known length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    extra = tuple((headers or {}).items())
    return (Head(status, (("content-type", content_type), *extra), len(data)), Send(data), End())


def events(pieces: Sequence[bytes], *tail: Step, headers: Mapping[str, str] | None = None) -> Program:
    """Return a server-sent event stream of these pieces; it ends properly unless `tail` says otherwise."""
    head = Head(200, (("content-type", "text/event-stream; charset=utf-8"), *(headers or {}).items()))
    return (head, *(Send(piece) for piece in pieces), *(tail or (End(),)))


# ------------------------------------------------------------------------------------ broken answers


def silent() -> Program:
    """Return a provider that takes the request and never answers."""
    return (Stall(),)


def hang_up(*, reset: bool = True) -> Program:
    """Return a provider that closes without a word."""
    return (Cut(reset),)


def not_http() -> Program:
    """Return a provider that answers with something else than HTTP."""
    return (Raw(b"\x16\x03\x01 this is not HTTP\r\n\r\n"), Cut(reset=False))


def short_body(body: bytes, missing: int) -> Program:
    """Return an answer that promises more bytes than it sends."""
    head = Head(200, (("content-type", "application/json"),), len(body) + missing)
    return (head, Send(body), Cut(reset=False))


def redirect(location: str) -> Program:
    """Return a redirection, which a gateway must not follow with its credentials."""
    return answer(307, b"", {"location": location})


def huge_header(size: int) -> Program:
    """Return an answer whose head no client accepts."""
    return answer(200, b"{}", {"x-huge": "x" * size})


def dripping_head(seconds: float) -> Program:
    """Return an answer whose head comes in single bytes, `seconds` apart."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    return tuple(step for byte in head for step in (Raw(bytes([byte])), Pause(seconds)))


def gzipped(program: Program) -> Program:
    """Return the same answer in gzip, which some servers send whatever they are asked for."""
    head, *steps = program
    assert isinstance(head, Head)
    pieces = [step.data for step in steps if isinstance(step, Send)]
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces] + [packer.flush()]
    headers = (*head.headers, ("content-encoding", "gzip"))
    return (Head(head.status, headers), *(Send(piece) for piece in packed if piece), End())
