"""What every KeyStore promises, asked of the fake and of SQLite."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from services.auth.domain.api_key import ApiKey, Secret, revoked, rotated
from services.auth.domain.errors import KeyExists, RequestIdUsed
from services.auth.domain.key import Peppers
from services.auth.domain.policy import OPERATOR, Grant
from services.auth.ports import Changes, KeyStore, Position
from services.runtime.database import open_engine
from services.runtime.errors import KeyNotFound, StorageUnavailable
from tests.support.auth_store import sqlite_store
from tests.support.fakes_auth import PEPPERS, FakeKeyStore

REQUEST_ID = "0190b5a4-2f5e-7e3a-8c1d-3a2b1c0d9e8f"


@pytest.fixture(params=["fake", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeyStore]:
    if request.param == "fake":
        yield FakeKeyStore()
    else:
        async with sqlite_store(tmp_path / "auth.db") as opened:
            yield opened


def key(number: int, *, created_at: int = 0, request_id: str = "") -> ApiKey:
    key_id = f"{number:012d}"
    grant = Grant(frozenset({1, 4}), ("openai/*", "schnell ✓"), "test", expires_at=10**13)
    secret = Secret(PEPPERS.digest(key_id))
    return ApiKey(key_id, f"key {number}", grant, created_at, (secret,), request_id=request_id)


async def test_a_key_comes_back_as_it_was(store: KeyStore) -> None:
    added = await store.add(key(1, request_id=REQUEST_ID))
    assert added == key(1, request_id=REQUEST_ID)
    assert await store.get(added.key_id) == added
    plain = ApiKey("abc456789012", "", OPERATOR, 5, (Secret(PEPPERS.digest("x")),))
    await store.add(plain)
    assert await store.get("abc456789012") == plain


async def test_an_unknown_key_is_not_found(store: KeyStore) -> None:
    with pytest.raises(KeyNotFound):
        await store.get("000000000009")
    with pytest.raises(KeyNotFound):
        await store.change("000000000009", lambda key: key)


async def test_ids_differ_in_case(store: KeyStore) -> None:
    upper, lower = (replace(key(1), key_id=key_id) for key_id in ("AAAAAAAAAAAA", "aaaaaaaaaaaa"))
    await store.add(replace(upper, secrets=()))
    await store.add(replace(lower, secrets=()))
    assert (await store.get("aaaaaaaaaaaa")).key_id == "aaaaaaaaaaaa"


async def test_a_key_is_found_by_any_of_its_secrets_and_any_pepper(store: KeyStore) -> None:
    await store.add(key(1))
    both = Peppers({1: PEPPERS.versions[1], 2: b"q" * 32})
    changed = await store.change(
        "000000000001", lambda key: rotated(key, both.digest("newer"), old_valid_until=7)
    )
    assert [secret.valid_until for secret in changed.secrets] == [None, 7]
    for known in ("000000000001", "newer"):
        assert await store.find(both.digests(known)) == changed
    assert await store.find(both.digests("other")) is None
    assert await store.find([]) is None
    assert await store.pepper_versions() == {1, 2}


async def test_a_secret_that_was_dropped_is_not_found(store: KeyStore) -> None:
    await store.add(key(1))
    for newer in ("second", "third"):
        await store.change(
            "000000000001",
            lambda key, newer=newer: rotated(key, PEPPERS.digest(newer), 7),  # type: ignore[misc]
        )
    assert await store.find(PEPPERS.digests("000000000001")) is None
    assert await store.find(PEPPERS.digests("second")) is not None


async def test_a_taken_id_is_refused(store: KeyStore) -> None:
    await store.add(key(1))
    with pytest.raises(KeyExists):
        await store.add(replace(key(1), name="other", secrets=()))
    assert (await store.get("000000000001")).name == "key 1"


async def test_a_request_id_makes_one_key(store: KeyStore) -> None:
    await store.add(key(1, request_id=REQUEST_ID))
    with pytest.raises(RequestIdUsed) as caught:
        await store.add(key(2, request_id=REQUEST_ID))
    assert caught.value.metadata == {"request_id": REQUEST_ID, "key_id": "000000000001"}
    assert [key.key_id for key in await store.page(9, None)] == ["000000000001"]


async def test_many_keys_have_no_request_id(store: KeyStore) -> None:
    for number in range(3):
        await store.add(key(number))
    assert len(await store.page(9, None)) == 3


async def test_each_change_raises_the_version(store: KeyStore) -> None:
    await store.add(key(1))
    changed = await store.change("000000000001", lambda key: replace(key, name="new"))
    assert (changed.version, changed.name) == (2, "new")
    assert await store.get("000000000001") == changed
    assert (await store.change("000000000001", lambda key: revoked(key, 5))).version == 3


async def test_nothing_changed_is_nothing_written(store: KeyStore) -> None:
    added = await store.add(key(1))
    before = await store.revision()
    assert await store.change(added.key_id, replace) == added
    assert await store.revision() == before
    assert await store.changes_since(before, 10) == Changes(before)


async def test_a_step_that_raises_changes_nothing(store: KeyStore) -> None:
    added = await store.add(key(1))
    before = await store.revision()

    def step(key: ApiKey) -> ApiKey:
        raise KeyNotFound("refused")

    with pytest.raises(KeyNotFound, match="refused"):
        await store.change(added.key_id, step)
    assert (await store.get(added.key_id), await store.revision()) == (added, before)


async def test_changes_come_in_the_order_of_their_commits(store: KeyStore) -> None:
    assert await store.revision() == 0
    for number in range(4):
        await store.add(key(number))
    first = await store.changes_since(0, 3)
    assert first.key_ids == ("000000000000", "000000000001", "000000000002")
    await store.change("000000000000", lambda key: replace(key, name="new"))
    rest = await store.changes_since(first.revision, 3)
    assert rest.key_ids == ("000000000003", "000000000000")
    assert rest.revision == await store.revision()


async def test_pages_are_newest_first_and_whole(store: KeyStore) -> None:
    for number in range(25):
        await store.add(key(number, created_at=number // 5))
    found: list[ApiKey] = []
    after: Position | None = None
    while page := await store.page(4, after):
        assert len(page) <= 4
        found += page
        after = Position(page[-1].created_at, page[-1].key_id)
    assert [key.key_id for key in found] == [f"{number:012d}" for number in reversed(range(25))]
    assert all(key.secrets == () for key in found)


async def test_a_key_made_meanwhile_shifts_no_page(store: KeyStore) -> None:
    for number in range(4):
        await store.add(key(number, created_at=number))
    first = await store.page(2, None)
    await store.add(key(9, created_at=9))
    second = await store.page(2, Position(first[-1].created_at, first[-1].key_id))
    assert [key.created_at for key in first + second] == [3, 2, 1, 0]


async def test_racing_adds_of_one_request_id_make_one_key(store: KeyStore) -> None:
    outcomes = await asyncio.gather(
        *(store.add(key(number, request_id=REQUEST_ID)) for number in range(20)), return_exceptions=True
    )
    assert sum(isinstance(outcome, ApiKey) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RequestIdUsed) for outcome in outcomes) == 19
    assert len(await store.page(100, None)) == 1


async def test_racing_changes_lose_none(store: KeyStore) -> None:
    await store.add(replace(key(1), name=""))
    await asyncio.gather(
        *(store.change("000000000001", lambda key: replace(key, name=key.name + "x")) for _ in range(20))
    )
    found = await store.get("000000000001")
    assert (found.name, found.version) == ("x" * 20, 21)


async def test_two_processes_writing_at_once_lose_nothing_and_skip_no_revision(tmp_path: Path) -> None:
    file = tmp_path / "auth.db"
    async with sqlite_store(file) as one, sqlite_store(file) as other:
        outcomes = await asyncio.gather(
            *(
                (one, other)[number % 2].add(key(number, request_id=REQUEST_ID if number < 4 else ""))
                for number in range(24)
            ),
            return_exceptions=True,
        )
        made = [outcome for outcome in outcomes if isinstance(outcome, ApiKey)]
        assert len(made) == 21
        assert all(isinstance(outcome, ApiKey | RequestIdUsed) for outcome in outcomes)
        changes = await one.changes_since(0, 100)
        assert (len(changes.key_ids), changes.revision) == (21, 21)
        assert await other.changes_since(0, 100) == changes


async def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'auth.db'}")
    async with sqlite_store(tmp_path / "auth.db") as store:
        await store.add(key(1))
        with engine.begin():
            async with asyncio.timeout(5):
                assert await store.find(PEPPERS.digests("000000000001")) == key(1)
    engine.dispose()


async def test_a_database_that_fails_is_unavailable_and_tells_nothing(tmp_path: Path) -> None:
    file = tmp_path / "auth.db"
    async with sqlite_store(file) as store:
        await store.add(key(1))
        engine = open_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE auth_secret"))
        engine.dispose()
        with pytest.raises(StorageUnavailable) as caught:
            await store.find(PEPPERS.digests("000000000001"))
    assert "auth_secret" not in caught.value.message
