"""What one batch of records does to the database, inside a transaction of the caller."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, delete, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert

from services.billing.adapters.mapping import sums_of, to_row
from services.billing.adapters.tables import (
    GROUP_COLUMNS,
    SUM_COLUMNS,
    dead_letter,
    producer_mark,
    sequence_gap,
    usage_day,
    usage_event,
)
from services.billing.domain.event import MICROS, UsageEvent
from services.billing.ports import Ack, Arrival, Booked, PriceBook, RecordBatch
from services.runtime.clock import Clock
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)
_FUTURE_ALLOWED = 300 * MICROS


class Intake:
    """Books each event once, whatever arrives twice, late or in another order, and moves the producer's mark."""

    def __init__(self, dialect: Dialect, prices: PriceBook, clock: Clock) -> None:
        self._prices = prices
        self._clock = clock
        self._add_events = _Compiled(insert(usage_event), dialect)
        self._add_sums = _Compiled(_adding(dialect), dialect)
        self._mark = _Compiled(_MARK, dialect)
        self._set_mark = _Compiled(_SET_MARK, dialect)
        self._add_dead = _Compiled(_upsert(dialect, dead_letter).on_conflict_do_nothing(), dialect)

    def apply(self, connection: Connection, batch: RecordBatch, *, careful: bool = True) -> Ack:
        """Book a batch; what is returned holds once the transaction is committed.

        Not careful, numbers above the producer's highest are taken for new events without a look. Where that is wrong
        the database raises IntegrityError, and the transaction is to be done again with care.
        """
        now = int(self._clock.now() * MICROS)
        mark = self._mark.one(connection, {"producer": batch.producer_id})
        look = careful or mark is None or min(batch.sequences, default=0) <= mark[1]
        rejected: list[tuple[Arrival, str]] = []
        booked = self._new(connection, batch, now, rejected, look=look)
        if booked:
            self._add_events.run(
                connection, [to_row(batch.producer_id, sequence, one) for sequence, one in booked]
            )
            self._add_sums.run(connection, _sums([one for _, one in booked]))
        if rejected:
            self._bury(connection, batch.producer_id, rejected, now)
        contiguous = self._move_mark(connection, batch, now, mark)
        return Ack(contiguous, tuple((arrival.sequence, reason) for arrival, reason in rejected))

    def _new(
        self,
        connection: Connection,
        batch: RecordBatch,
        now: int,
        rejected: list[tuple[Arrival, str]],
        *,
        look: bool,
    ) -> list[tuple[int, Booked]]:
        """The events that are not in the database, with their cost; what cannot be booked is added to `rejected`."""
        known, used = self._known(connection, batch) if look else ({}, set())
        booked: list[tuple[int, Booked]] = []
        for arrival in batch.arrivals:
            event = arrival.event
            if event is None:
                rejected.append((arrival, arrival.fault))
                continue
            earlier = known.get(event.event_id)
            if earlier is not None:
                if earlier != event.payload_hash:
                    rejected.append((arrival, "the event id was used for other content"))
                continue
            if arrival.sequence in used:
                rejected.append((arrival, "the sequence was used for another event"))
                continue
            known[event.event_id] = event.payload_hash
            used.add(arrival.sequence)
            event = _at_a_possible_time(event, now)
            booked.append((arrival.sequence, Booked(event, self._prices.cost(event), now)))
        return booked

    def _known(self, connection: Connection, batch: RecordBatch) -> tuple[dict[str, bytes], set[int]]:
        if not batch.arrivals:
            return {}, set()
        ids = [arrival.event_id for arrival in batch.arrivals]
        rows = connection.execute(_KNOWN_IDS, {"ids": ids})
        known: dict[str, bytes] = {row[0]: row[1] for row in rows}
        low = min(arrival.sequence for arrival in batch.arrivals)
        high = max(arrival.sequence for arrival in batch.arrivals)
        spans = connection.execute(_USED, {"producer": batch.producer_id, "low": low, "high": high})
        return known, {row[0] for row in spans}

    def _bury(
        self, connection: Connection, producer_id: str, rejected: Sequence[tuple[Arrival, str]], now: int
    ) -> None:
        rows = []
        for arrival, reason in rejected:
            _LOGGER.error("usage went to the dead letters", reason=reason)
            digest = blake2b(arrival.record, digest_size=16).digest()
            rows.append(
                (producer_id, arrival.sequence, digest, arrival.event_id, reason, arrival.record, now)
            )
        self._add_dead.run(connection, rows)

    def _move_mark(self, connection: Connection, batch: RecordBatch, now: int, mark: Any) -> int:
        """Advance over what follows without a gap; a stream's first batch cannot leave out what still exists."""
        contiguous, highest, low_time = mark or (0, 0, None)
        sequences = sorted(batch.sequences)
        if sequences:
            highest = max(highest, sequences[-1])
            if batch.opens_stream and sequences[0] > contiguous + 1:
                self._note_gap(connection, batch.producer_id, contiguous + 1, sequences[0] - 1, now)
                contiguous = sequences[0] - 1
            for sequence in sequences:
                if sequence == contiguous + 1:
                    contiguous = sequence
            if sequences[-1] < contiguous:
                self._fill_gap(connection, batch.producer_id, sequences)
            elif sequences[-1] > contiguous:
                _LOGGER.warning("usage records are missing", count=sequences[-1] - contiguous)
        values = {
            "contiguous": contiguous,
            "highest": highest,
            "last_seen": now,
            "low_time": batch.low_time if batch.low_time is not None else low_time,
        }
        if mark is None:
            connection.execute(insert(producer_mark).values(producer_id=batch.producer_id, **values))
        else:
            self._set_mark.one(connection, {"producer": batch.producer_id, **values})
        return contiguous

    def _note_gap(self, connection: Connection, producer_id: str, first: int, last: int, now: int) -> None:
        _LOGGER.error(
            "usage records are lost: their producer does not have them any more", count=last - first + 1
        )
        values = {"producer_id": producer_id, "first": first, "last": last, "seen_at": now}
        connection.execute(insert(sequence_gap).values(**values))

    def _fill_gap(self, connection: Connection, producer_id: str, sequences: Sequence[int]) -> None:
        """Forget gaps that a batch of old records fills whole."""
        gaps = connection.execute(
            select(sequence_gap.c.first, sequence_gap.c.last).where(sequence_gap.c.producer_id == producer_id)
        ).all()
        have = set(sequences)
        for first, last in gaps:
            if last - first < len(have) and all(number in have for number in range(first, last + 1)):
                connection.execute(
                    delete(sequence_gap)
                    .where(sequence_gap.c.producer_id == producer_id)
                    .where(sequence_gap.c.first == first)
                )


class _Compiled:
    """A Core statement compiled once and run by the driver, which costs a third of running it through Core."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._names: list[str] = list(compiled.positiontup or compiled.params)
        self._positional = bool(compiled.positional)

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run once per row, whose values stand in the order of the table's columns."""
        if self._positional:
            connection.exec_driver_sql(self._sql, list(rows))
        else:
            connection.exec_driver_sql(self._sql, [dict(zip(self._names, row, strict=True)) for row in rows])

    def one(self, connection: Connection, values: dict[str, Any]) -> Any:
        """Run with named values; the first row of what it returns, if it returns rows and has one."""
        parameters = tuple([values[name] for name in self._names]) if self._positional else values
        result = connection.exec_driver_sql(self._sql, parameters)
        return result.first() if result.returns_rows else None


def _upsert(dialect: Dialect, table: Any) -> Any:
    if dialect.name != "postgresql":
        return sqlite.insert(table)
    # Five megabytes that only an installation with PostgreSQL needs.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)


def _adding(dialect: Dialect) -> Insert:
    adding = _upsert(dialect, usage_day)
    sums = {name: usage_day.c[name] + adding.excluded[name] for name in SUM_COLUMNS}
    statement: Insert = adding.on_conflict_do_update(index_elements=list(GROUP_COLUMNS), set_=sums)
    return statement


def _sums(booked: Sequence[Booked]) -> list[tuple[Any, ...]]:
    """One row per group, so that a batch touches each sum once."""
    sums: dict[tuple[str, str, str, str], tuple[int, ...]] = {}
    for one in booked:
        group = (one.event.day, one.event.key_id, one.event.provider, one.event.model)
        added = sums_of(one)
        earlier = sums.get(group)
        sums[group] = added if earlier is None else tuple(a + b for a, b in zip(earlier, added, strict=True))
    return [(*group, *values) for group, values in sums.items()]


def _at_a_possible_time(event: UsageEvent, now: int) -> UsageEvent:
    """A producer's clock may be wrong: the future, and no time at all, become the time of arrival."""
    if 0 < event.started_at <= now + _FUTURE_ALLOWED:
        return event
    _LOGGER.warning("an attempt's time is impossible; its arrival counts", provider=event.provider)
    return replace(event, started_at=now)


_KNOWN_IDS = select(usage_event.c.event_id, usage_event.c.payload_hash).where(
    usage_event.c.event_id.in_(bindparam("ids", expanding=True))
)
_USED = (
    select(usage_event.c.sequence)
    .where(usage_event.c.producer_id == bindparam("producer"))
    .where(usage_event.c.sequence.between(bindparam("low"), bindparam("high")))
)
_MARK = select(producer_mark.c.contiguous, producer_mark.c.highest, producer_mark.c.low_time).where(
    producer_mark.c.producer_id == bindparam("producer")
)
_SET_MARK = (
    producer_mark.update()
    .where(producer_mark.c.producer_id == bindparam("producer"))
    .values({name: bindparam(name) for name in ("contiguous", "highest", "last_seen", "low_time")})
)
