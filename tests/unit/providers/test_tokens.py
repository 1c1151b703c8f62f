"""Tokens that expire: one flight for all who wait, renewal ahead of time, failures that pass."""

from __future__ import annotations

import asyncio

import pytest

from services.providers.platforms.tokens import Token, TokenSource
from services.runtime.errors import UpstreamAuthFailed, UpstreamFailed


class Endpoint:
    """Gives tokens, each when it is let."""

    def __init__(self, *lives: float) -> None:
        self.asked = 0
        self.lives = list(lives)
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def fetch(self) -> Token:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Token(f"token-{number}", self.lives[min(number, len(self.lives)) - 1])


async def landed(source: TokenSource) -> None:
    """Let a flight in the background end."""
    while source._flight is not None:
        await asyncio.sleep(0)


async def test_many_who_wait_ask_once() -> None:
    endpoint = Endpoint(3600)
    endpoint.gate.clear()
    async with TokenSource("p", endpoint.fetch) as source:
        assert source.at_hand() is None
        waiting = [asyncio.create_task(source.get()) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        endpoint.gate.set()
        assert await asyncio.gather(*waiting[1:]) == ["token-1"] * 19
        assert waiting[0].cancelled()
        assert source.at_hand() == "token-1"
    assert endpoint.asked == 1


async def test_a_token_near_its_end_is_renewed_while_it_is_still_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = Endpoint(1000, 5000)
    loop = asyncio.get_running_loop()
    began, passed = loop.time(), 0.0
    monkeypatch.setattr(loop, "time", lambda: began + passed)
    async with TokenSource("p", endpoint.fetch) as source:
        await source.get()
        passed = 799.0
        assert source.at_hand() == "token-1"
        assert endpoint.asked == 1
        passed = 801.0
        assert source.at_hand() == "token-1"
        await landed(source)
        assert source.at_hand() == "token-2"
        passed = 5795.0
        assert source.at_hand() is None


async def test_a_renewal_that_fails_is_tried_again_and_the_token_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = Endpoint(1000)
    loop = asyncio.get_running_loop()
    began, passed = loop.time(), 0.0
    monkeypatch.setattr(loop, "time", lambda: began + passed)
    async with TokenSource("p", endpoint.fetch) as source:
        await source.get()
        endpoint.failure = UpstreamFailed("down")
        passed = 850.0
        assert source.at_hand() == "token-1"
        await landed(source)
        assert source.at_hand() == "token-1"
        assert endpoint.asked == 2
        passed = 881.0
        source.at_hand()
        await landed(source)
        assert endpoint.asked == 3
        passed = 991.0
        with pytest.raises(UpstreamFailed):
            await source.get()


async def test_a_failure_is_told_to_all_who_wait_and_is_not_kept() -> None:
    endpoint = Endpoint(3600)
    endpoint.failure = UpstreamAuthFailed("no")
    async with TokenSource("p", endpoint.fetch) as source:
        results = await asyncio.gather(source.get(), source.get(), return_exceptions=True)
        assert [type(each) for each in results] == [UpstreamAuthFailed] * 2
        endpoint.failure = None
        assert await source.get() == "token-2"


async def test_a_flight_ends_with_its_source() -> None:
    endpoint = Endpoint(3600)
    endpoint.gate.clear()
    async with TokenSource("p", endpoint.fetch) as source:
        waiting = asyncio.create_task(source.get())
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
