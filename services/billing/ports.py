"""What billing needs from its database and its price lists."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from services.billing.domain.event import UsageEvent
from services.billing.domain.rate import Cost
from services.billing.domain.usage import Tokens


class PriceBook(Protocol):
    """Knows what attempts cost."""

    def cost(self, event: UsageEvent) -> Cost:
        """The cost by the price in force when the attempt began. Called from one thread; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """One finished attempt as it came: with an event, or with the reason why it is none."""

    sequence: int
    event_id: str
    event: UsageEvent | None
    fault: str
    record: bytes


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one producer. `sequences` has all of them, `arrivals` those that end an attempt."""

    producer_id: str
    sequences: tuple[int, ...]
    arrivals: tuple[Arrival, ...]
    low_time: int | None = None
    opens_stream: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """What is in the database: every record up to `contiguous`; `rejected` went to the dead letters."""

    contiguous: int
    rejected: tuple[tuple[int, str], ...] = ()


class UsageSink(Protocol):
    """Takes records, each event once."""

    async def ingest(self, batch: RecordBatch) -> Ack:
        """Return when the batch is committed. Raises StorageUnavailable: then nothing of it is."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Narrows usage; times in microseconds since 1970, from inclusive, to exclusive."""

    key_id: str = ""
    provider: str = ""
    model: str = ""
    request_id: str = ""
    from_time: int | None = None
    to_time: int | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """An event with its cost."""

    event: UsageEvent
    cost: Cost
    recorded_at: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of events ended."""

    started_at: int
    event_id: str


class Group(IntEnum):
    """Dimensions; numbers as in llmhub.usage.v1.Dimension."""

    KEY = 1
    MODEL = 2
    PROVIDER = 3
    DAY = 4


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Sums over a group; what is not grouped by is empty."""

    day: str = ""
    key_id: str = ""
    provider: str = ""
    model: str = ""
    attempts: int = 0
    failed: int = 0
    unpriced: int = 0
    cost_nano: int = 0
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where it stands in the order of aggregates."""
        return (self.day, self.key_id, self.provider, self.model)


class UsageBooks(Protocol):
    """Reads what is booked. Raises StorageUnavailable."""

    async def page(self, which: Filter, limit: int, after: Position | None) -> Sequence[Booked]:
        """Return at most `limit` events older than the position, newest first."""
        ...

    async def aggregate(
        self, which: Filter, by: frozenset[Group], limit: int, after: tuple[str, str, str, str] | None
    ) -> Sequence[Aggregate]:
        """Return at most `limit` groups behind a place, ordered by day, key, provider, model."""
        ...
