"""Responses are kept for their key until they expire, whichever process asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.gateway.adapters.response_store import SqlResponseStore
from services.gateway.domain.kept import KeptResponse
from services.runtime.errors import RequestTooLarge

NOW = 1_000_000.0
FIRST = KeptResponse("k1", "resp_1", "r1", "", "", 1, int(NOW) + 100, None, b'{"n":1}', b"[]")


class HandClock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'responses.db'}"


@pytest_asyncio.fixture
async def store(url: str, clock: HandClock) -> AsyncIterator[SqlResponseStore]:
    made = SqlResponseStore(url, clock)
    yield made
    await made.close()


async def test_what_is_kept_is_there_for_every_process(
    store: SqlResponseStore, url: str, clock: HandClock
) -> None:
    await store.save(FIRST)
    other = SqlResponseStore(url, clock)
    assert await other.get("k1", "resp_1") == FIRST
    await other.save(replace(FIRST, response=b"{}"))
    await other.close()
    found = await store.get("k1", "resp_1")
    assert found is not None
    assert found.response == b"{}"


async def test_two_processes_may_open_it_at_once(url: str, clock: HandClock) -> None:
    stores = [SqlResponseStore(url, clock) for _ in range(4)]
    await asyncio.gather(
        *(each.save(replace(FIRST, response_id=f"resp_{n}")) for n, each in enumerate(stores))
    )
    assert [await stores[0].get("k1", f"resp_{n}") is not None for n in range(4)] == [True] * 4
    for each in stores:
        await each.close()


async def test_another_key_has_nothing_of_it(store: SqlResponseStore) -> None:
    await store.save(FIRST)
    assert await store.get("k2", "resp_1") is None
    assert await store.chain("k2", "resp_1", 1000) == []
    assert not await store.delete("k2", "resp_1")
    await store.save(replace(FIRST, key_id="k2", response=b'"other"'))
    assert await store.get("k1", "resp_1") == FIRST


async def test_it_expires_and_is_removed(store: SqlResponseStore, clock: HandClock) -> None:
    await store.save(FIRST)
    clock.at = NOW + 99
    assert await store.get("k1", "resp_1") is not None
    clock.at = NOW + 100
    assert await store.get("k1", "resp_1") is None
    clock.at = NOW + 4000
    await store.save(replace(FIRST, response_id="resp_2", expires_at=int(NOW) + 9000))
    clock.at = NOW
    assert await store.get("k1", "resp_1") is None


async def test_a_chain_is_whole_and_bounded(store: SqlResponseStore) -> None:
    second = replace(FIRST, response_id="resp_2", previous_id="resp_1")
    third = replace(FIRST, response_id="resp_3", previous_id="resp_2")
    for kept in (FIRST, second, third):
        await store.save(kept)
    assert await store.chain("k1", "resp_3", 1000) == [FIRST, second, third]
    with pytest.raises(RequestTooLarge):
        await store.chain("k1", "resp_3", FIRST.size * 3 - 1)
    await store.delete("k1", "resp_2")
    assert await store.chain("k1", "resp_3", 1000) == []


async def test_a_circle_of_responses_ends(store: SqlResponseStore) -> None:
    await store.save(replace(FIRST, previous_id="resp_1", response=b"", input_items=b""))
    with pytest.raises(RequestTooLarge):
        await store.chain("k1", "resp_1", 1000)


async def test_only_one_end_is_kept(store: SqlResponseStore) -> None:
    await store.save(replace(FIRST, ends_at=int(NOW) + 50))
    assert await store.settle(replace(FIRST, response=b'"cancelled"'))
    assert not await store.settle(replace(FIRST, response=b'"completed"'))
    found = await store.get("k1", "resp_1")
    assert found is not None
    assert (found.response, found.ends_at) == (b'"cancelled"', None)
    await store.delete("k1", "resp_1")
    assert not await store.settle(FIRST)
