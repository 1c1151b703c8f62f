"""The one file that calls providers, against a server that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from services.providers.domain.limits import Deadlines
from services.providers.transport import HttpTransport
from services.runtime.errors import (
    LlmhubError,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.support import faults
from tests.support.ports import free_port
from tests.support.replay import Replay

BODY = b'{"model":"m"}'


@pytest.fixture
def provider() -> Iterator[Replay]:
    with Replay() as server:
        yield server


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with HttpTransport("acme", max_connections=4, max_response_bytes=1000) as opened:
        yield opened


def deadlines(
    connect: float = 5.0, first_token: float = 5.0, inter_token: float = 5.0, total: float = 5.0
) -> Deadlines:
    now = asyncio.get_running_loop().time()
    return Deadlines(connect, now + first_token, inter_token, now + total)


def url(provider: Replay) -> str:
    return provider.base_url("acme") + "/chat/completions"


HEADERS = {"authorization": "Bearer sk-upstream-acme", "content-type": "application/json"}


async def read(transport: HttpTransport, address: str, limits: Deadlines) -> bytes:
    async with transport.post(address, HEADERS, BODY, limits) as answer:
        return await answer.read()


async def left(provider: Replay) -> bool:
    """Whether the provider saw its connection closed; waits in a thread, for the loop has the closing to do."""
    seen = await asyncio.to_thread(provider.journal.wait, lambda seen: seen.over)
    return seen.left_at is not None


async def test_an_answer_arrives_whole(provider: Replay, transport: HttpTransport) -> None:
    provider.answer("acme", "m", faults.answer(201, b"{}", {"X-Thing": "1"}))
    async with transport.post(url(provider), HEADERS, BODY, deadlines()) as answer:
        assert answer.status == 201
        assert answer.headers["x-thing"] == "1"
        assert await answer.read() == b"{}"
    (seen,) = provider.journal.since()
    assert seen.body == BODY
    assert seen.headers["accept-encoding"] == "identity"


async def test_a_connection_is_used_again_after_a_whole_answer(
    provider: Replay, transport: HttpTransport
) -> None:
    provider.answer("acme", "m", faults.answer(200, b"{}"))
    for _ in range(3):
        await read(transport, url(provider), deadlines())
    assert len({seen.connection for seen in provider.journal.since()}) == 1


async def test_nobody_listening_is_unreachable(transport: HttpTransport) -> None:
    with pytest.raises(UpstreamUnreachable):
        await read(transport, f"http://127.0.0.1:{free_port()}/", deadlines())


@pytest.mark.parametrize(
    ("program", "limits", "phase"),
    [
        (faults.silent(), {"first_token": 0.05}, "first_token"),
        (faults.silent(), {"total": 0.05}, "total"),
        (faults.events([], faults.Stall()), {"first_token": 0.05}, "first_token"),
    ],
)
async def test_silence_ends_in_its_phase(
    provider: Replay, transport: HttpTransport, program: faults.Program, limits: dict[str, float], phase: str
) -> None:
    provider.answer("acme", "m", program)
    with pytest.raises(UpstreamTimeout) as caught:
        await read(transport, url(provider), deadlines(**limits))
    assert caught.value.metadata["phase"] == phase
    assert await left(provider)


async def test_a_gap_between_tokens_ends_the_stream(provider: Replay, transport: HttpTransport) -> None:
    provider.answer("acme", "m", faults.events([b"data: 1\n\n"], faults.Stall()))
    limits = deadlines(inter_token=0.05)
    with pytest.raises(UpstreamTimeout) as caught:
        async with transport.post(url(provider), HEADERS, BODY, limits) as answer:
            async for _ in answer.chunks():
                limits.first_token_seen = True
    assert caught.value.metadata["phase"] == "inter_token"


async def test_the_callers_slowness_is_not_the_providers(provider: Replay, transport: HttpTransport) -> None:
    gate = faults.Gate()
    provider.answer(
        "acme", "m", faults.events([b"data: 1\n\n"], gate, faults.Send(b"data: 2\n\n"), faults.End())
    )
    limits = deadlines(inter_token=0.2)
    got = b""
    async with transport.post(url(provider), HEADERS, BODY, limits) as answer:
        async for chunk in answer.chunks():
            limits.first_token_seen = True
            got += chunk
            if b"1" in chunk:
                gate.open()
                await asyncio.sleep(0.4)  # longer than the gap that is allowed to the provider
    assert got == b"data: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (faults.hang_up(), UpstreamFailed),
        (faults.hang_up(reset=False), UpstreamFailed),
        (faults.short_body(b"{", 10), UpstreamFailed),
        (faults.events([b"data: 1\n\n"], faults.Cut()), UpstreamFailed),
        (faults.not_http(), UpstreamProtocol),
        (faults.huge_header(100_000), UpstreamProtocol),
        (faults.answer(200, b"x" * 1001), UpstreamProtocol),
    ],
    ids=["reset", "closed", "short", "cut", "not-http", "huge-header", "too-large"],
)
async def test_broken_answers_are_typed(
    provider: Replay, transport: HttpTransport, program: faults.Program, error: type[LlmhubError]
) -> None:
    provider.answer("acme", "m", program)
    with pytest.raises(error):
        await read(transport, url(provider), deadlines())


async def test_a_redirect_is_not_followed(provider: Replay, transport: HttpTransport) -> None:
    provider.answer("acme", "m", faults.redirect(url(provider)))
    async with transport.post(url(provider), HEADERS, BODY, deadlines()) as answer:
        assert answer.status == 307
    assert len(provider.journal.since()) == 1


async def test_leaving_closes_the_socket(provider: Replay, transport: HttpTransport) -> None:
    provider.answer("acme", "m", faults.events([b"data: 1\n\n"], faults.Stall()))

    async def call() -> None:
        async with transport.post(url(provider), HEADERS, BODY, deadlines()) as answer:
            async for _ in answer.chunks():
                reached.set()

    reached = asyncio.Event()
    task = asyncio.create_task(call())
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await left(provider)
