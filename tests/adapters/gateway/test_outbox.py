import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmhub.types.v1.route_pb2 import OUTCOME_CRASHED, OUTCOME_NOT_SENT, OUTCOME_OK
from llmhub.types.v1.usage_pb2 import MEASURE_ESTIMATED
from services.gateway.adapters import outbox_file
from services.gateway.adapters.outbox import Outbox, OutboxOptions, open_outbox
from services.gateway.adapters.outbox_file import OutboxFile
from services.runtime.errors import Overloaded, ShuttingDown, StorageUnavailable
from services.runtime.ids import new_id
from tests.adapters.gateway.outbox_records import entries, finish, intent, progress, sequences

SMALL = OutboxOptions(ballast_bytes=0, open_limit=64, linger_seconds=0.001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
async def outbox(path: Path) -> AsyncIterator[Outbox]:
    async with open_outbox(path, SMALL) as opened:
        yield opened


async def abandon(path: Path, *, sent: bool = False, output_tokens: int = 0) -> str:
    """Leave an attempt without an end behind, as a process that died does."""
    event_id = new_id()
    async with open_outbox(path, SMALL) as outbox:
        await outbox.intent(event_id, intent())
        if sent:
            outbox.sent(event_id)
        if output_tokens:
            outbox.progress(event_id, progress(output_tokens))
    return event_id


async def test_a_record_is_on_disk_when_the_wait_ends(outbox: Outbox, path: Path) -> None:
    begun = intent()
    await outbox.intent("a", begun)
    assert [e.intent for e in entries(path)] == [begun]
    await outbox.finish("a", finish(begun))
    assert [e.WhichOneof("body") for e in entries(path)] == ["intent", "finish"]


async def test_sequences_have_no_gap_over_reopening_and_trimming(path: Path) -> None:
    for _ in range(3):
        async with open_outbox(path, SMALL) as outbox:
            await asyncio.gather(*(outbox.record(new_id(), finish()) for _ in range(40)))
            outbox.acknowledge(outbox.last_sequence)
    async with open_outbox(path, SMALL) as outbox:
        assert (outbox.last_sequence, outbox.acknowledged) == (120, 120)
        assert entries(path) == []
        await outbox.record("z", finish())
        assert sequences(path) == [121]


async def test_the_producer_keeps_its_name(path: Path) -> None:
    async with open_outbox(path, SMALL) as outbox:
        name = outbox.producer_id
    async with open_outbox(path, SMALL) as outbox:
        assert outbox.producer_id == name


async def test_many_waiting_records_share_a_batch(outbox: Outbox) -> None:
    await asyncio.gather(*(outbox.record(new_id(), finish()) for _ in range(200)))
    batches = await outbox.batches_after(0)
    assert [(b.first, b.last) for b in batches] == [(1, 200)]


async def test_a_second_owner_is_refused(outbox: Outbox, path: Path) -> None:
    with pytest.raises(StorageUnavailable, match=r"in use by process \d+"):
        OutboxFile(path)


async def test_an_attempt_that_was_not_sent_costs_nothing_after_a_crash(path: Path) -> None:
    event_id = await abandon(path)
    async with open_outbox(path, SMALL) as outbox:
        end = entries(path)[-1]
        assert (end.event_id, end.sequence, outbox.recovered_attempts) == (event_id, 2, 1)
        assert end.finish.outcome == OUTCOME_NOT_SENT
        assert not end.finish.usage.HasField("input_tokens")


async def test_a_sent_attempt_is_charged_its_estimated_input_after_a_crash(path: Path) -> None:
    event_id = await abandon(path, sent=True)
    async with open_outbox(path, SMALL):
        end = entries(path)[-1]
        assert (end.event_id, end.finish.outcome) == (event_id, OUTCOME_CRASHED)
        assert (end.finish.usage.input_tokens, end.finish.usage.measure) == (41, MEASURE_ESTIMATED)
        assert end.finish.intent.model == "gpt-4o-mini"


async def test_a_crashed_stream_is_charged_by_its_last_progress(path: Path) -> None:
    await abandon(path, output_tokens=250)
    async with open_outbox(path, SMALL):
        usage = entries(path)[-1].finish.usage
        assert (usage.input_tokens, usage.output_tokens, usage.measure) == (41, 250, MEASURE_ESTIMATED)


async def test_after_a_machine_crash_marks_are_not_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await abandon(path)
    other = path.with_name("boot_id")
    other.write_text("another-boot")
    monkeypatch.setattr(outbox_file, "_BOOT_ID", other)
    async with open_outbox(path, SMALL):
        assert entries(path)[-1].finish.outcome == OUTCOME_CRASHED


async def test_a_running_attempt_survives_trimming(path: Path) -> None:
    event_id = new_id()
    async with open_outbox(path, SMALL) as outbox:
        await outbox.intent(event_id, intent())
        outbox.progress(event_id, progress(9))
        for _ in range(5):
            await outbox.record(new_id(), finish())
        outbox.acknowledge(outbox.last_sequence)
    assert len(entries(path)) < 7
    async with open_outbox(path, SMALL) as outbox:
        end = entries(path)[-1]
        assert (end.event_id, end.sequence) == (event_id, 8)
        assert end.finish.usage.output_tokens == 9


async def test_a_full_queue_refuses_new_attempts_but_no_end(path: Path) -> None:
    async with open_outbox(path, OutboxOptions(ballast_bytes=0, open_limit=64, queue_limit=2)) as outbox:
        running = [asyncio.create_task(outbox.intent(name, intent())) for name in ("a", "b")]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await outbox.intent("c", intent())
        await asyncio.gather(outbox.finish("a", finish()), *running)
        await outbox.intent("c", intent())


async def test_the_number_of_running_attempts_is_bounded(path: Path) -> None:
    async with open_outbox(path, OutboxOptions(ballast_bytes=0, open_limit=1)) as outbox:
        await outbox.intent("a", intent())
        with pytest.raises(Overloaded):
            await outbox.intent("b", intent())
        await outbox.finish("a", finish())
        await outbox.intent("b", intent())


async def test_a_cancelled_wait_does_not_disturb_the_others(outbox: Outbox, path: Path) -> None:
    async def record(event_id: str) -> None:
        await outbox.record(event_id, finish())

    tasks = [asyncio.create_task(record(str(n))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(d) for d in done] == [type(None), asyncio.CancelledError, type(None)]
    assert sequences(path) == [1, 2, 3]


async def test_progress_alone_gets_to_disk(outbox: Outbox, path: Path) -> None:
    await outbox.intent("a", intent())
    outbox.progress("a", progress(5))
    outbox.progress("unknown", progress(5))
    await outbox.wait_beyond(1)
    assert [e.WhichOneof("body") for e in entries(path)] == ["intent", "progress"]


async def test_closing_writes_what_is_queued_and_refuses_the_rest(path: Path) -> None:
    async with open_outbox(path, SMALL) as outbox:
        end = asyncio.create_task(outbox.record("a", finish()))
        await asyncio.sleep(0)
    await end
    assert sequences(path) == [1]
    with pytest.raises(ShuttingDown):
        await outbox.record("b", finish())


async def test_flush_waits_for_billing(outbox: Outbox) -> None:
    await outbox.record("a", finish())
    assert not await outbox.flush(timeout=0.01)
    flushed = asyncio.create_task(outbox.flush(timeout=5))
    await asyncio.sleep(0)
    outbox.acknowledge(1)
    assert await flushed


async def test_figures(outbox: Outbox) -> None:
    await outbox.intent("a", intent())
    await outbox.record("b", finish())
    stats = outbox.stats()
    assert (stats.depth, stats.open_attempts, stats.queued, stats.ready) == (2, 1, 0, True)
    outbox.acknowledge(2)
    assert outbox.stats().depth == 0


async def test_the_backlog_is_read_from_disk_when_memory_has_let_it_go(path: Path) -> None:
    options = OutboxOptions(ballast_bytes=0, open_limit=64, tail_bytes=500)
    async with open_outbox(path, options) as outbox:
        for _ in range(20):
            await outbox.record(new_id(), finish())
        seen, cursor = [], 0
        while cursor < outbox.last_sequence:
            batches = await outbox.batches_after(cursor)
            seen += [(b.first, b.last) for b in batches]
            cursor = batches[-1].last
        assert seen == [(n, n) for n in range(1, 21)]


async def test_a_broken_file_is_named(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StorageUnavailable, match=r"outbox\.db"):
        async with open_outbox(path, SMALL):
            pass


def test_the_file_syncs_every_commit(path: Path) -> None:
    for name, number in (("full", 2), ("normal", 1)):
        file = OutboxFile(path, synchronous=name)  # type: ignore[arg-type]
        connection: sqlite3.Connection = file._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (number,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        file.close()


async def test_its_state_can_be_read_beside_its_owner(outbox: Outbox, path: Path, tmp_path: Path) -> None:
    await outbox.record("a", finish())
    await outbox.record("b", finish())
    assert outbox_file.state_of(path) == (outbox.producer_id, 2, 0)
    with pytest.raises(StorageUnavailable):
        outbox_file.state_of(tmp_path / "none.db")


async def test_ok_is_kept_through_reopening(path: Path) -> None:
    async with open_outbox(path, SMALL) as outbox:
        await outbox.intent("a", intent())
        await outbox.finish("a", finish())
    async with open_outbox(path, SMALL) as outbox:
        assert [e.finish.outcome for e in entries(path)[1:]] == [OUTCOME_OK]
        assert outbox.recovered_attempts == 0
