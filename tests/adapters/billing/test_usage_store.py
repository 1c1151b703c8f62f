import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from llmhub.types.v1.route_pb2 import OUTCOME_NOT_SENT, OUTCOME_UPSTREAM_ERROR
from llmhub.types.v1.usage_pb2 import Usage
from llmhub.usage.v1.metering_service_pb2 import UsageRecordEntry
from services.billing.adapters.auditor import OutboxState, audit
from services.billing.adapters.usage_books import SqlUsageBooks
from services.billing.adapters.usage_store import SqlUsageStore
from services.billing.domain.price import PriceState
from services.billing.ports import Ack, Filter
from services.runtime.database import migrate
from services.runtime.errors import StorageUnavailable
from tests.adapters.billing.conftest import StillClock
from tests.adapters.billing.usage_records import NOON, PRODUCER, batch, begun, finished, progressed

Opener = Callable[[str], AbstractAsyncContextManager[SqlUsageStore]]
EVERYTHING = (
    "SELECT * FROM usage_event ORDER BY event_id",
    "SELECT * FROM usage_day ORDER BY day, key_id, provider, model",
    "SELECT producer_id, contiguous, highest FROM producer_mark ORDER BY producer_id",
)


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


async def test_a_finished_attempt_is_one_row_with_its_cost(store: SqlUsageStore, engine: Engine) -> None:
    ack = await store.ingest(batch([begun("a", 1), progressed("a", 2), finished("a", 3)]))
    assert ack == Ack(3)
    assert rows(
        engine, "SELECT event_id, sequence, day, price_state, cost_pico, cost_nano, price FROM usage_event"
    ) == [("a", 3, "2026-09-21", 1, 210_000_000, 210_000, "genai-prices-0.2.3:openai/gpt-4o-mini")]
    assert audit(engine) == []


async def test_the_same_event_again_changes_nothing(store: SqlUsageStore, engine: Engine) -> None:
    first = await store.ingest(batch([finished("a", 1)]))
    before = [rows(engine, query) for query in EVERYTHING]
    assert await store.ingest(batch([finished("a", 1)])) == first == Ack(1)
    assert await store.ingest(batch([finished("a", 1), finished("a", 1)])) == first
    assert [rows(engine, query) for query in EVERYTHING] == before


async def test_the_same_id_with_other_content_goes_to_the_dead_letters(
    store: SqlUsageStore, engine: Engine
) -> None:
    await store.ingest(batch([finished("a", 1)]))
    ack = await store.ingest(batch([finished("a", 2, model="gpt-4o")]))
    again = await store.ingest(batch([finished("a", 2, model="gpt-4o")]))
    assert ack == again
    assert (ack.contiguous, [sequence for sequence, _ in ack.rejected]) == (2, [2])
    assert rows(engine, "SELECT model FROM usage_event") == [("gpt-4o-mini",)]
    assert rows(engine, "SELECT count(*) FROM dead_letter") == [(1,)]
    assert [d.check for d in audit(engine)] == ["no dead letters"]


async def test_one_sequence_for_two_events_is_refused(store: SqlUsageStore, engine: Engine) -> None:
    await store.ingest(batch([finished("a", 1)]))
    ack = await store.ingest(batch([finished("b", 1), finished("c", 2)]))
    assert [sequence for sequence, _ in ack.rejected] == [1]
    assert rows(engine, "SELECT event_id FROM usage_event ORDER BY 1") == [("a",), ("c",)]


@pytest.mark.parametrize(
    "entry",
    [
        finished("a", 1, usage=Usage(input_tokens=-1)),
        finished("a", 1, usage=Usage(output_tokens=1 << 41)),
        finished("", 1),
        finished("x" * 41, 1),
        UsageRecordEntry(event_id="a", sequence=1, schema=1),
        UsageRecordEntry(event_id="a", sequence=1, schema=2, finish=finished("a", 1).finish),
    ],
)
async def test_what_cannot_be_booked_is_kept_apart_and_does_not_stop_the_rest(
    store: SqlUsageStore, engine: Engine, entry: UsageRecordEntry
) -> None:
    ack = await store.ingest(batch([entry, finished("b", 2)]))
    assert (ack.contiguous, len(ack.rejected)) == (2, 1)
    assert rows(engine, "SELECT event_id FROM usage_event") == [("b",)]
    assert rows(engine, "SELECT count(*) FROM dead_letter") == [(1,)]


async def test_a_gap_holds_the_mark_until_it_is_filled(store: SqlUsageStore, engine: Engine) -> None:
    await store.ingest(batch([finished("a", 1)]))
    assert await store.ingest(batch([finished("c", 3)])) == Ack(1)
    assert [d.check for d in audit(engine)] == ["sequence without a gap"]
    assert await store.ingest(batch([finished("b", 2), finished("c", 3)])) == Ack(3)
    assert audit(engine) == []


async def test_records_that_their_producer_has_lost_are_a_lasting_difference(
    store: SqlUsageStore, engine: Engine
) -> None:
    assert await store.ingest(batch([finished("d", 4)], opens_stream=True)) == Ack(4)
    (difference,) = audit(engine)
    assert (difference.check, difference.found) == ("records not lost", "3 (1 to 3)")
    found = [finished(name, n) for n, name in ((1, "a"), (2, "b"), (3, "c"))]
    assert await store.ingest(batch(found, opens_stream=True)) == Ack(4)
    assert audit(engine) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32))
async def test_duplicates_and_another_order_give_the_same_books(
    seed: int, tmp_path_factory: pytest.TempPathFactory, opened_store: Opener
) -> None:
    chance = random.Random(seed)
    producers = [f"{n}0000000-0000-4000-8000-000000000000" for n in range(2)]
    batches = []
    for producer in producers:
        number = 0
        for _ in range(4):
            entries = []
            for _ in range(chance.randrange(1, 6)):
                number += 1
                usage = Usage(input_tokens=chance.randrange(5000), output_tokens=chance.randrange(900))
                made = finished(
                    f"{producer[0]}-{number}",
                    number,
                    key_id=f"key-{chance.randrange(2)}",
                    model=chance.choice(["gpt-4o-mini", "gpt-4o", "no-such-model"]),
                    at=NOON - chance.randrange(3) * 86_400,
                    usage=usage,
                )
                entries.append(chance.choice([made, made, begun(made.event_id, number)]))
            batches.append(batch(entries, producer))
    in_order = await books_after(batches, tmp_path_factory, opened_store)
    shuffled = batches * 2
    chance.shuffle(shuffled)
    assert await books_after([*shuffled, *batches], tmp_path_factory, opened_store) == in_order


async def books_after(
    batches: list[Any], tmp_path_factory: pytest.TempPathFactory, opened_store: Opener
) -> list[list[tuple[Any, ...]]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('books') / 'billing.db'}"
    migrate(url, "services.billing")
    async with opened_store(url) as store:
        await asyncio.gather(*(store.ingest(one) for one in batches))
        assert audit(store._engine) == []
        return [rows(store._engine, query) for query in EVERYTHING]


async def test_events_cannot_be_changed(store: SqlUsageStore, engine: Engine) -> None:
    await store.ingest(batch([finished("a", 1)]))
    for statement in ("UPDATE usage_event SET cost_nano = 0", "DELETE FROM usage_event"):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))


async def test_nothing_of_a_failed_transaction_is_acknowledged(store: SqlUsageStore, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE usage_day"))
    with pytest.raises(StorageUnavailable):
        await store.ingest(batch([finished("a", 1)]))
    assert rows(engine, "SELECT count(*) FROM usage_event") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM producer_mark") == [(0,)]


@pytest.mark.parametrize(
    ("entry", "state", "nano"),
    [
        (finished("a", 1, provider="acme", model="m"), PriceState.UNKNOWN, None),
        (finished("a", 1, provider="sim", model="echo"), PriceState.FREE, 0),
        (finished("a", 1, usage=Usage()), PriceState.UNKNOWN, None),
        (finished("a", 1, usage=Usage(), outcome=OUTCOME_NOT_SENT), PriceState.PRICED, 0),
        (finished("a", 1, usage=Usage(), outcome=OUTCOME_UPSTREAM_ERROR), PriceState.PRICED, 0),
        (finished("a", 1, usage=Usage(), operation="count_tokens"), PriceState.PRICED, 0),
    ],
)
async def test_unknown_is_never_zero(
    store: SqlUsageStore, books: SqlUsageBooks, entry: UsageRecordEntry, state: PriceState, nano: int | None
) -> None:
    await store.ingest(batch([entry]))
    (booked,) = await books.page(Filter(), 10, None)
    assert (booked.cost.state, booked.cost.nano) == (state, nano)


@pytest.mark.parametrize("at", [0, NOON + 3600])
async def test_an_impossible_time_becomes_the_time_of_arrival(
    store: SqlUsageStore, engine: Engine, clock: StillClock, at: int
) -> None:
    await store.ingest(batch([finished("a", 1, at=at)]))
    assert rows(engine, "SELECT started_at FROM usage_event") == [(int(clock.time) * 1_000_000,)]


async def test_the_auditor_sees_what_was_tampered_with(store: SqlUsageStore, engine: Engine) -> None:
    await store.ingest(batch([finished("a", 1), finished("b", 2)]))
    with engine.begin() as connection:
        connection.execute(text("UPDATE usage_day SET cost_nano = cost_nano + 2"))
        connection.execute(text("DROP TRIGGER usage_event_no_update"))
        connection.execute(text("UPDATE usage_event SET cost_nano = cost_nano + 1 WHERE event_id = 'b'"))
        connection.execute(text("UPDATE producer_mark SET highest = 9"))
    assert [d.check for d in audit(engine)] == ["sequence without a gap", "sums of a day", "cost of an event"]
    outboxes = [OutboxState(PRODUCER, 5, 4), OutboxState(PRODUCER, 1, 1)]
    checks = [d.check for d in audit(engine, outboxes)]
    assert checks[3:] == ["acknowledged is booked", "outbox is shipped", "outbox is not older than the books"]
