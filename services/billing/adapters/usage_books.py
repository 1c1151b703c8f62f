"""Reads what is booked: pages by walking an index, sums from the days."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError

from services.billing.adapters.mapping import PRICE_STATES, from_row, to_aggregate
from services.billing.adapters.tables import (
    GROUP_COLUMNS,
    SUM_COLUMNS,
    TOKEN_COLUMNS,
    usage_day,
    usage_event,
)
from services.billing.domain.event import MICROS, Outcome
from services.billing.domain.price import PriceState
from services.billing.ports import Aggregate, Booked, Filter, Group, Position
from services.runtime.errors import StorageUnavailable
from services.runtime.log import get_logger

T = TypeVar("T")
_LOGGER = get_logger(__name__)
_DAY = 86_400 * MICROS
_COLUMN_OF = {Group.DAY: "day", Group.KEY: "key_id", Group.PROVIDER: "provider", Group.MODEL: "model"}


class SqlUsageBooks:
    """UsageBooks over an SQLAlchemy engine that only reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="billing-read")

    def close(self) -> None:
        """Let threads and connections go."""
        self._threads.shutdown()
        self._engine.dispose()

    async def page(self, which: Filter, limit: int, after: Position | None) -> Sequence[Booked]:
        """Return at most `limit` events older than the position, newest first."""
        query = page_query(which, limit, after)
        return await self._read(lambda connection: [from_row(row) for row in connection.execute(query)])

    async def aggregate(
        self, which: Filter, by: frozenset[Group], limit: int, after: tuple[str, str, str, str] | None
    ) -> Sequence[Aggregate]:
        """Return at most `limit` groups behind a place, ordered by day, key, provider, model."""
        query = aggregate_query(which, by, limit, after)
        return await self._read(lambda connection: [to_aggregate(row) for row in connection.execute(query)])

    async def _read(self, work: Callable[[Connection], T]) -> T:
        def call() -> T:
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                _LOGGER.exception("the usage database failed", error=type(error).__name__)
                raise StorageUnavailable("the usage database cannot be read now") from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def page_query(which: Filter, limit: int, after: Position | None) -> Select[tuple[object, ...]]:
    """Newest first; every form of it is a walk along one index."""
    event = usage_event.c
    query = select(usage_event).where(*_named(which, usage_event))
    if which.request_id:
        query = query.where(event.request_id == which.request_id)
    query = query.where(*_within(which.from_time, which.to_time))
    if after is not None:
        query = query.where(tuple_(event.started_at, event.event_id) < (after.started_at, after.event_id))
    return query.order_by(event.started_at.desc(), event.event_id.desc()).limit(limit)


def aggregate_query(
    which: Filter, by: frozenset[Group], limit: int, after: tuple[str, str, str, str] | None
) -> Select[tuple[object, ...]]:
    """Whole days come from their sums, the rest of the first and the last day from events."""
    rows = union_all(*_sources(which)).subquery()
    grouped = {_COLUMN_OF[group] for group in by}
    names = [rows.c[name] if name in grouped else literal("").label(name) for name in GROUP_COLUMNS]
    sums = [func.coalesce(func.sum(rows.c[name]), 0) for name in SUM_COLUMNS]
    keys = [rows.c[name] for name in GROUP_COLUMNS if name in grouped]
    query = select(*names, *sums)
    if after is not None and keys:
        place = [value for name, value in zip(GROUP_COLUMNS, after, strict=True) if name in grouped]
        query = query.where(tuple_(*keys) > tuple(place))
    if keys:
        query = query.group_by(*keys).order_by(*keys)
    else:
        # One group of everything; nothing at all is no group, and a second page has nothing.
        query = query.having(and_(func.count() > 0, literal(after is None)))
    return query.limit(limit)


def _sources(which: Filter) -> list[Select[tuple[object, ...]]]:
    if which.request_id:
        narrowed = usage_event.c.request_id == which.request_id
        return [_events(which, and_(narrowed, *_within(which.from_time, which.to_time)))]
    first = None if which.from_time is None else -(-which.from_time // _DAY) * _DAY
    last = None if which.to_time is None else which.to_time // _DAY * _DAY
    if first is not None and last is not None and first > last:
        return [_events(which, and_(*_within(which.from_time, which.to_time)))]
    sources = [_days(which, first, last)]
    edges = []
    if which.from_time != first:
        edges.append(and_(*_within(which.from_time, first)))
    if which.to_time != last:
        edges.append(and_(*_within(last, which.to_time)))
    if edges:
        sources.append(_events(which, or_(*edges)))
    return sources


def _days(which: Filter, first: int | None, last: int | None) -> Select[tuple[object, ...]]:
    query = select(*(usage_day.c[name] for name in (*GROUP_COLUMNS, *SUM_COLUMNS)))
    query = query.where(*_named(which, usage_day))
    if first is not None:
        query = query.where(usage_day.c.day >= _day(first))
    if last is not None:
        query = query.where(usage_day.c.day < _day(last))
    return query


def event_sums() -> Select[Any]:
    """The sums of all events by day, key, provider, model: what usage_day must hold."""
    rows = _events(Filter(), literal(value=True)).subquery()
    groups = [rows.c[name] for name in GROUP_COLUMNS]
    return select(*groups, *(func.sum(rows.c[name]) for name in SUM_COLUMNS)).group_by(*groups)


def _events(which: Filter, narrowed: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    event = usage_event.c
    unknown = PRICE_STATES[PriceState.UNKNOWN]
    sums = (
        literal(1).label("attempts"),
        case((event.outcome.in_((Outcome.OK.value, Outcome.ABORTED_CLIENT.value)), 0), else_=1).label(
            "failed"
        ),
        case((event.price_state == unknown, 1), else_=0).label("unpriced"),
        func.coalesce(event.cost_nano, 0).label("cost_nano"),
        *(func.coalesce(event[name], 0).label(name) for name in TOKEN_COLUMNS),
    )
    return select(*(event[name] for name in GROUP_COLUMNS), *sums).where(
        *_named(which, usage_event), narrowed
    )


def _named(which: Filter, table: object) -> list[ColumnElement[bool]]:
    columns = table.c  # type: ignore[attr-defined]
    wanted = {"key_id": which.key_id, "provider": which.provider, "model": which.model}
    return [columns[name] == value for name, value in wanted.items() if value]


def _within(start: int | None, end: int | None) -> list[ColumnElement[bool]]:
    bounds = []
    if start is not None:
        bounds.append(usage_event.c.started_at >= start)
    if end is not None:
        bounds.append(usage_event.c.started_at < end)
    return bounds


def _day(micros: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).date().isoformat()
