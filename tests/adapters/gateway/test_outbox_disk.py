import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from services.gateway.adapters.outbox import Outbox, OutboxOptions, open_outbox
from services.gateway.adapters.outbox_file import OutboxFile
from services.runtime.errors import StorageUnavailable
from services.runtime.ids import new_id
from tests.adapters.gateway.outbox_records import entries, finish, intent, sequences

OPTIONS = OutboxOptions(ballast_bytes=1 << 20, open_limit=64, probe_seconds=0.005)


class Disk:
    """Breaks an outbox's file at the database (`full`) and for the ballast (`no_reserve`)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.no_reserve = False
        append, trim, reserve, release = (
            OutboxFile.append,
            OutboxFile.trim,
            OutboxFile.reserve_space,
            OutboxFile.release_space,
        )
        self.ballast_helps = True

        def guarded(work: Callable[..., None]) -> Callable[..., None]:
            def wrapped(file: OutboxFile, *arguments: object) -> None:
                if self.full:
                    raise sqlite3.OperationalError("disk I/O error")
                work(file, *arguments)

            return wrapped

        def reserving(file: OutboxFile) -> None:
            if self.no_reserve:
                raise OSError(28, "No space left on device")
            reserve(file)

        def releasing(file: OutboxFile) -> None:
            release(file)
            self.full = self.full and not self.ballast_helps

        monkeypatch.setattr(OutboxFile, "append", guarded(append))
        monkeypatch.setattr(OutboxFile, "trim", guarded(trim))
        monkeypatch.setattr(OutboxFile, "reserve_space", reserving)
        monkeypatch.setattr(OutboxFile, "release_space", releasing)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def until_ready(outbox: Outbox) -> None:
    async with asyncio.timeout(5):
        while not outbox.ready:
            await asyncio.sleep(0.002)


async def test_new_attempts_are_refused_and_running_ones_end_on_the_ballast(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "outbox.db"
    async with open_outbox(path, OPTIONS) as outbox:
        await outbox.intent("running", intent())
        disk.full = disk.no_reserve = True
        with pytest.raises(StorageUnavailable):
            await asyncio.gather(outbox.intent("new", intent()), outbox.finish("running", finish()))
        assert not outbox.ready
        with pytest.raises(StorageUnavailable):
            await outbox.intent("next", intent())
        await outbox.wait_beyond(1)
        assert [(e.event_id, e.sequence) for e in entries(path)] == [("running", 1), ("running", 2)]
        assert path.with_name("outbox.db.ballast").stat().st_size == 0
        disk.full = disk.no_reserve = False
        await until_ready(outbox)
        await outbox.intent("new", intent())
        assert sequences(path) == [1, 2, 3]
        assert path.with_name("outbox.db.ballast").stat().st_size == 1 << 20


async def test_an_end_that_cannot_be_written_is_written_later_once(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "outbox.db"
    disk.ballast_helps = False
    async with open_outbox(path, OPTIONS) as outbox:
        await outbox.intent("a", intent())
        disk.full = True
        with pytest.raises(StorageUnavailable):
            await outbox.finish("a", finish())
        disk.full = False
        await until_ready(outbox)
        await outbox.wait_beyond(1)
        assert [e.WhichOneof("body") for e in entries(path)] == ["intent", "finish"]
        assert outbox.stats().queued == 0


async def test_a_failing_trim_loses_nothing(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "outbox.db"
    async with open_outbox(path, OutboxOptions(open_limit=64, trim_seconds=0, probe_seconds=0.005)) as outbox:
        await outbox.record("a", finish())
        disk.full = True
        outbox.acknowledge(1)
        async with asyncio.timeout(5):
            while outbox.ready:
                await asyncio.sleep(0.002)
        disk.full = False
        await until_ready(outbox)
        await outbox.record("b", finish())
        assert sequences(path) == [2]


async def test_a_database_that_may_not_grow(tmp_path: Path) -> None:
    """The real thing: SQLite itself says that it is full, and has room again later."""
    path = tmp_path / "outbox.db"
    async with open_outbox(path, OPTIONS) as outbox:
        await outbox.record("first", finish())
        limit = outbox._file._connection.execute
        (pages,) = limit("PRAGMA page_count").fetchone()
        limit(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageUnavailable):
            for _ in range(2000):
                await outbox.record(new_id(), finish())
        written = outbox.last_sequence
        limit("PRAGMA max_page_count = 1000000")
        await until_ready(outbox)
        await outbox.record("last", finish())
    found = entries(path)
    assert [e.sequence for e in found] == list(range(1, len(found) + 1))
    assert found[-1].event_id == "last"
    assert len(found) >= written
