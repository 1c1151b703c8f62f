import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from sqlalchemy import Engine, text

from llmhub.types.v1.usage_pb2 import Usage
from services.billing.adapters.tables import usage_event
from services.billing.adapters.usage_books import SqlUsageBooks, aggregate_query, page_query
from services.billing.adapters.usage_store import SqlUsageStore
from services.billing.domain.event import MICROS
from services.billing.ports import Aggregate, Booked, Filter, Group, Position
from services.runtime.database import migrate, open_engine
from tests.adapters.billing.usage_records import NOON, batch, finished

DAY = 86_400
MANY = 200_000


async def fill(store: SqlUsageStore, count: int) -> None:
    chance = random.Random(7)
    entries = [
        finished(
            f"event-{number:04}",
            number,
            key_id=chance.choice(["key-1", "key-2"]),
            provider=chance.choice(["openai", "anthropic"]),
            model=chance.choice(["gpt-4o-mini", "claude-3-5-haiku-latest"]),
            at=NOON - chance.randrange(4 * DAY),
            outcome=chance.choice([1, 1, 2, 4]),
            usage=Usage(input_tokens=chance.randrange(100), output_tokens=chance.randrange(100)),
            request_id=f"request-{number % 50}",
        )
        for number in range(1, count + 1)
    ]
    await store.ingest(batch(entries))


async def every_page(books: SqlUsageBooks, which: Filter, size: int) -> list[Booked]:
    found: list[Booked] = []
    after: Position | None = None
    while page := await books.page(which, size, after):
        found += page
        after = Position(page[-1].event.started_at, page[-1].event.event_id)
    return found


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "which",
    [
        Filter(),
        Filter(key_id="key-1"),
        Filter(provider="openai", model="gpt-4o-mini"),
        Filter(request_id="request-7"),
        Filter(from_time=(NOON - DAY) * MICROS, to_time=NOON * MICROS),
        Filter(key_id="nobody"),
    ],
)
async def test_pages_are_complete_newest_first_and_without_repeats(
    store: SqlUsageStore, books: SqlUsageBooks, which: Filter, size: int
) -> None:
    await fill(store, 200)
    everything = [one.event for one in await books.page(Filter(), 1000, None)]
    expected = [event.event_id for event in everything if covered(which, event)]
    found = [one.event for one in await every_page(books, which, size)]
    assert [event.event_id for event in found] == expected
    assert all((a.started_at, a.event_id) > (b.started_at, b.event_id) for a, b in pairwise(found))


def covered(which: Filter, event: object) -> bool:
    names = ("key_id", "provider", "model", "request_id")
    if any(getattr(which, name) and getattr(which, name) != getattr(event, name) for name in names):
        return False
    at: int = event.started_at  # type: ignore[attr-defined]
    low = 0 if which.from_time is None else which.from_time
    return low <= at and (which.to_time is None or at < which.to_time)


GROUPS = [
    frozenset[Group](),
    frozenset({Group.KEY}),
    frozenset({Group.MODEL, Group.DAY}),
    frozenset({Group.KEY, Group.MODEL, Group.PROVIDER, Group.DAY}),
]
WINDOWS = [
    Filter(),
    Filter(from_time=(NOON - 2 * DAY) * MICROS),
    Filter(to_time=(NOON - 100) * MICROS),
    Filter(from_time=(NOON - 2 * DAY - 5) * MICROS, to_time=(NOON - DAY + 5) * MICROS),
    Filter(from_time=(NOON - 500) * MICROS, to_time=(NOON - 100) * MICROS),
    Filter(from_time=(NOON - DAY // 2 - 2 * DAY) * MICROS, to_time=(NOON - DAY // 2) * MICROS),
    Filter(key_id="key-2", provider="openai"),
    Filter(request_id="request-7"),
    Filter(from_time=NOON * 2 * MICROS),
]


@pytest.mark.parametrize(("which", "by"), list(product(WINDOWS, GROUPS)))
async def test_sums_are_those_of_the_events(
    store: SqlUsageStore, books: SqlUsageBooks, which: Filter, by: frozenset[Group]
) -> None:
    await fill(store, 200)
    expected: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * 6)
    for one in await books.page(Filter(), 1000, None):
        event, cost = one.event, one.cost
        if not covered(which, event):
            continue
        names = {
            Group.DAY: event.day,
            Group.KEY: event.key_id,
            Group.PROVIDER: event.provider,
            Group.MODEL: event.model,
        }
        place = tuple(
            names[group] if group in by else ""
            for group in (Group.DAY, Group.KEY, Group.PROVIDER, Group.MODEL)
        )
        tokens = event.usage.tokens
        added = (1, event.failed, cost.nano is None, cost.nano or 0, tokens.input or 0, tokens.output or 0)
        expected[place] = [a + b for a, b in zip(expected[place], added, strict=True)]
    found: list[Aggregate] = []
    while page := await books.aggregate(which, by, 3, found[-1].place if found else None):
        found += page
    figures = [
        (a.attempts, a.failed, a.unpriced, a.cost_nano, a.tokens.input, a.tokens.output) for a in found
    ]
    assert [a.place for a in found] == sorted(expected)
    assert figures == [tuple(expected[place]) for place in sorted(expected)]


@pytest.fixture(scope="module", params=[False, True], ids=["fresh", "analysed"])
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """200,000 events of 20 keys, written by the database itself."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'billing.db'}"
    migrate(url, "services.billing")
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(insert_many()))
        if request.param:
            connection.execute(text("ANALYZE"))
    yield engine
    engine.dispose()


def insert_many() -> str:
    values = {
        "event_id": "printf('event-%08d', n)",
        "producer_id": "'p'",
        "sequence": "n",
        "payload_hash": "x'00'",
        "request_id": "printf('request-%d', n % 1000)",
        "key_id": "printf('key-%d', n % 20)",
        "provider": "iif(n % 3, 'openai', 'anthropic')",
        "model": "'m'",
        "day": "'2026-09-21'",
        "started_at": f"{NOON - DAY} * 1000000 + n * 1000",
        "usage": "x''",
    }
    listed = ", ".join(values.get(column.name, "1") for column in usage_event.columns)
    numbers = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY})"
    return f"INSERT INTO usage_event {numbers} SELECT {listed} FROM c"


def plan_of(engine: Engine, query: object) -> list[str]:
    compiled = query.compile(engine, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    with engine.connect() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]


AFTER = Position((NOON - DAY) * MICROS + MANY * 500, "event-00100000")


@pytest.mark.parametrize("after", [None, AFTER])
@pytest.mark.parametrize(
    ("which", "index"),
    [
        (Filter(), "ix_usage_event_newest"),
        (Filter(from_time=NOON, to_time=NOON * 2 * MICROS), "ix_usage_event_newest"),
        (Filter(provider="openai"), "ix_usage_event_newest"),
        (Filter(key_id="key-1"), "ix_usage_event_key"),
        (Filter(key_id="key-1", from_time=NOON), "ix_usage_event_key"),
    ],
)
async def test_a_page_of_many_is_a_walk_along_an_index(
    many: Engine, which: Filter, index: str, after: Position | None
) -> None:
    plan = plan_of(many, page_query(which, 101, after))
    assert len(plan) == 1, plan
    assert f"USING INDEX {index}" in plan[0]
    if after is not None:
        assert plan[0].startswith("SEARCH")


async def test_sums_of_whole_days_do_not_touch_events(many: Engine) -> None:
    which = Filter(from_time=(NOON - DAY // 2 - DAY) * MICROS)
    for by in GROUPS:
        assert not any("usage_event" in step for step in plan_of(many, aggregate_query(which, by, 100, None)))
    bounded = Filter(from_time=(NOON - 500) * MICROS, to_time=(NOON + 2 * DAY) * MICROS)
    steps = [s for s in plan_of(many, aggregate_query(bounded, GROUPS[1], 100, None)) if "usage_event" in s]
    assert steps
    assert all(step.startswith("SEARCH") for step in steps), steps
