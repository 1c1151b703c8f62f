"""One attempt as billing books it."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache

from services.billing.domain.rate import UNKNOWN, Cost
from services.billing.domain.usage import Usage

MICROS = 1_000_000


class Outcome(IntEnum):
    """How an attempt ended; numbers as in llmhub.types.v1.Outcome."""

    UNSPECIFIED = 0
    OK = 1
    ABORTED_CLIENT = 2
    ABORTED_SERVER = 3
    UPSTREAM_ERROR = 4
    CRASHED = 5
    NOT_SENT = 6


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """A finished attempt. Times are microseconds since 1970, durations microseconds or None where not known."""

    event_id: str
    payload_hash: bytes
    request_id: str
    attempt: int
    key_id: str
    provider: str
    model: str
    requested_model: str
    provider_model: str
    operation: str
    door: str
    outcome: int
    error_reason: int
    usage: Usage
    usage_message: bytes
    measure: int
    started_at: int
    duration: int | None
    first_token: int | None

    @property
    def day(self) -> str:
        """The calendar day in UTC, YYYY-MM-DD."""
        return _day(self.started_at // MICROS // 86_400)

    @property
    def failed(self) -> bool:
        """Whether the caller did not get what was asked for, for a reason that was not the caller's."""
        return self.outcome not in {Outcome.OK, Outcome.ABORTED_CLIENT}

    @property
    def must_have_usage(self) -> bool:
        """Whether a missing measurement means that the cost is not known, rather than that there was none."""
        return self.operation != "count_tokens" and self.outcome not in {
            Outcome.NOT_SENT,
            Outcome.UPSTREAM_ERROR,
        }


def booked(event: UsageEvent, cost: Cost) -> Cost:
    """The cost to book: what was not measured is never booked as zero."""
    if event.must_have_usage and not event.usage.known():
        return UNKNOWN
    return cost
