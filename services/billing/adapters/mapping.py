"""Between rows and the domain's values."""

from typing import Any

from services.billing.domain.event import UsageEvent
from services.billing.domain.price import PriceState
from services.billing.domain.rate import Cost
from services.billing.domain.usage import Tokens, Usage
from services.billing.ports import Aggregate, Booked

PRICE_STATES = {PriceState.PRICED: 1, PriceState.FREE: 2, PriceState.UNKNOWN: 3}
_STATES = {number: state for state, number in PRICE_STATES.items()}


def to_row(producer_id: str, sequence: int, booked: Booked) -> tuple[Any, ...]:
    """The columns of usage_event, in their order."""
    event, cost = booked.event, booked.cost
    return (
        event.event_id,
        producer_id,
        sequence,
        event.payload_hash,
        event.request_id,
        event.attempt,
        event.key_id,
        event.provider,
        event.model,
        event.requested_model,
        event.provider_model,
        event.operation,
        event.door,
        event.outcome,
        event.error_reason,
        event.day,
        event.started_at,
        event.duration,
        event.first_token,
        *event.usage.tokens.counts(),
        event.measure,
        event.usage_message,
        PRICE_STATES[cost.state],
        cost.price,
        cost.pico,
        cost.nano,
        booked.recorded_at,
    )


def from_row(row: Any) -> Booked:
    """The event of a whole row of usage_event; of its usage, the message and the counts."""
    values = tuple(row)
    tokens = Tokens(*values[19:27])
    event = UsageEvent(
        event_id=values[0],
        payload_hash=values[3],
        request_id=values[4],
        attempt=values[5],
        key_id=values[6],
        provider=values[7],
        model=values[8],
        requested_model=values[9],
        provider_model=values[10],
        operation=values[11],
        door=values[12],
        outcome=values[13],
        error_reason=values[14],
        started_at=values[16],
        duration=values[17],
        first_token=values[18],
        usage=Usage(tokens),
        usage_message=values[28],
        measure=values[27],
    )
    return Booked(event, Cost(_STATES[values[29]], values[31], values[32], values[30]), values[33])


def sums_of(booked: Booked) -> tuple[int, ...]:
    """What one event adds to its day, in the order of SUM_COLUMNS."""
    event, cost = booked.event, booked.cost
    return (
        1,
        int(event.failed),
        int(cost.state is PriceState.UNKNOWN),
        cost.nano or 0,
        *(count or 0 for count in event.usage.tokens.counts()),
    )


def to_aggregate(row: Any) -> Aggregate:
    """A group from its four names and its sums."""
    day, key_id, provider, model, attempts, failed, unpriced, cost_nano, *tokens = row
    return Aggregate(day, key_id, provider, model, attempts, failed, unpriced, cost_nano, Tokens(*tokens))
