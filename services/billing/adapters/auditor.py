"""Compares the books with themselves and with the gateways' outboxes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from services.billing.adapters.mapping import PRICE_STATES
from services.billing.adapters.tables import (
    GROUP_COLUMNS,
    SUM_COLUMNS,
    dead_letter,
    producer_mark,
    sequence_gap,
    usage_day,
    usage_event,
)
from services.billing.adapters.usage_books import event_sums
from services.billing.domain.money import nano_from_pico
from services.billing.domain.price import PriceState

Sums = dict[tuple[str, ...], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What a gateway's outbox says of itself."""

    producer_id: str
    last_sequence: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree: which check, of what, and the two figures."""

    check: str
    subject: str
    expected: str
    found: str


def audit(engine: Engine, outboxes: Iterable[OutboxState] = ()) -> list[Difference]:
    """Every difference; none means that nothing was lost and nothing counted twice."""
    with engine.connect() as connection:
        return [
            *_producers(connection),
            *_gaps(connection),
            *_sums(connection),
            *_costs(connection),
            *_dead_letters(connection),
            *_outboxes(connection, outboxes),
        ]


def _producers(connection: Connection) -> Iterator[Difference]:
    """Per producer, nothing above the mark that reaches without a gap."""
    for producer_id, contiguous, highest in connection.execute(
        select(producer_mark.c.producer_id, producer_mark.c.contiguous, producer_mark.c.highest)
    ):
        if contiguous != highest:
            yield Difference("sequence without a gap", producer_id, str(highest), str(contiguous))
    events = select(usage_event.c.producer_id, func.max(usage_event.c.sequence)).group_by(
        usage_event.c.producer_id
    )
    marks = {
        row[0]: row[1]
        for row in connection.execute(select(producer_mark.c.producer_id, producer_mark.c.highest))
    }
    for producer_id, last in connection.execute(events):
        if last > marks.get(producer_id, 0):
            yield Difference(
                "event within its producer's mark", producer_id, str(marks.get(producer_id, 0)), str(last)
            )


def _gaps(connection: Connection) -> Iterator[Difference]:
    for producer_id, first, last in connection.execute(
        select(sequence_gap.c.producer_id, sequence_gap.c.first, sequence_gap.c.last)
    ):
        yield Difference("records not lost", producer_id, "0", f"{last - first + 1} ({first} to {last})")


def _sums(connection: Connection) -> Iterator[Difference]:
    """The sums by day are the sums of the events."""
    names = (*GROUP_COLUMNS, *SUM_COLUMNS)
    stored: Sums = {
        tuple(row[:4]): tuple(row[4:]) for row in connection.execute(select(*(usage_day.c[n] for n in names)))
    }
    counted: Sums = {tuple(row[:4]): tuple(row[4:]) for row in connection.execute(event_sums())}
    for group in sorted(stored.keys() | counted.keys()):
        if stored.get(group) != counted.get(group):
            yield Difference(
                "sums of a day", "/".join(group), str(counted.get(group)), str(stored.get(group))
            )


def _costs(connection: Connection) -> Iterator[Difference]:
    """A cost is the rounded sum of its parts, and there is none where the price is not known."""
    unknown = PRICE_STATES[PriceState.UNKNOWN]
    rows = connection.execution_options(yield_per=1000).execute(
        select(
            usage_event.c.event_id,
            usage_event.c.price_state,
            usage_event.c.cost_pico,
            usage_event.c.cost_nano,
        )
    )
    for event_id, state, pico, nano in rows:
        expected = None if state == unknown or pico is None else nano_from_pico(pico)
        if nano != expected or (state != unknown and nano is None):
            yield Difference("cost of an event", event_id, str(expected), str(nano))


def _dead_letters(connection: Connection) -> Iterator[Difference]:
    letters = (
        select(dead_letter.c.reason, func.count())
        .group_by(dead_letter.c.reason)
        .order_by(dead_letter.c.reason)
    )
    for reason, count in connection.execute(letters):
        yield Difference("no dead letters", reason, "0", str(count))


def _outboxes(connection: Connection, outboxes: Iterable[OutboxState]) -> Iterator[Difference]:
    """What an outbox has forgotten is here; what it still holds is reported until it has arrived."""
    rows = connection.execute(select(producer_mark.c.producer_id, producer_mark.c.contiguous))
    marks = {row[0]: row[1] for row in rows}
    for outbox in outboxes:
        mark = marks.get(outbox.producer_id, 0)
        if outbox.acknowledged > mark:
            yield Difference(
                "acknowledged is booked", outbox.producer_id, str(outbox.acknowledged), str(mark)
            )
        if outbox.last_sequence > mark:
            yield Difference("outbox is shipped", outbox.producer_id, str(outbox.last_sequence), str(mark))
        if outbox.last_sequence < mark:
            yield Difference(
                "outbox is not older than the books", outbox.producer_id, str(mark), str(outbox.last_sequence)
            )
