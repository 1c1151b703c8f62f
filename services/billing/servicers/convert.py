"""Between the contract's messages and billing's own values."""

from hashlib import blake2b

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.types.v1 import usage_pb2
from llmhub.types.v1.usage_pb2 import Money
from llmhub.usage.v1 import usage_service_pb2 as pb
from llmhub.usage.v1.metering_service_pb2 import (
    Finish,
    IngestUsageRequest,
    IngestUsageResponse,
    RejectedRecord,
    UsageRecordEntry,
)
from services.billing.domain.event import MICROS, UsageEvent
from services.billing.domain.money import units_and_nanos
from services.billing.domain.price import PriceState
from services.billing.domain.rate import Cost
from services.billing.domain.usage import Modality, Share, TokenClass, Tokens, Usage
from services.billing.ports import Ack, Aggregate, Arrival, Booked, Filter, RecordBatch

SCHEMA_VERSION = 1
LONGEST_ID = 40
CURRENCY = "USD"
_LAST_DAY = 253_402_214_400 * MICROS

_CLASSES = {
    usage_pb2.USAGE_CLASS_INPUT: TokenClass.INPUT,
    usage_pb2.USAGE_CLASS_CACHE_READ: TokenClass.CACHE_READ,
    usage_pb2.USAGE_CLASS_CACHE_WRITE: TokenClass.CACHE_WRITE,
    usage_pb2.USAGE_CLASS_OUTPUT: TokenClass.OUTPUT,
    usage_pb2.USAGE_CLASS_REASONING: TokenClass.REASONING,
}
_MODALITIES = {
    usage_pb2.MODALITY_TEXT: Modality.TEXT,
    usage_pb2.MODALITY_IMAGE: Modality.IMAGE,
    usage_pb2.MODALITY_AUDIO: Modality.AUDIO,
    usage_pb2.MODALITY_VIDEO: Modality.VIDEO,
    usage_pb2.MODALITY_DOCUMENT: Modality.DOCUMENT,
}
_STATES = {
    PriceState.PRICED: pb.PRICE_STATE_PRICED,
    PriceState.FREE: pb.PRICE_STATE_FREE,
    PriceState.UNKNOWN: pb.PRICE_STATE_UNKNOWN,
}


def batch_from(request: IngestUsageRequest, *, opens_stream: bool) -> RecordBatch:
    """A batch of records; those that begin an attempt or mark its progress count by their number alone."""
    arrivals = [
        _arrival(entry) for entry in request.records if entry.WhichOneof("body") not in {"intent", "progress"}
    ]
    return RecordBatch(
        producer_id=request.producer_id,
        sequences=tuple([entry.sequence for entry in request.records]),
        arrivals=tuple(arrivals),
        low_time=_micros(request.low_time) if request.HasField("low_time") else None,
        opens_stream=opens_stream,
    )


def _arrival(entry: UsageRecordEntry) -> Arrival:
    if not entry.HasField("finish"):
        return Arrival(
            entry.sequence, entry.event_id, None, "an unknown kind of record", entry.SerializeToString()
        )
    record = entry.finish.SerializeToString(deterministic=True)
    if entry.schema != SCHEMA_VERSION:
        return Arrival(entry.sequence, entry.event_id, None, f"schema {entry.schema} is not known", record)
    if not 0 < len(entry.event_id) <= LONGEST_ID:
        return Arrival(entry.sequence, entry.event_id, None, "no event id", record)
    event = _event(entry.event_id, entry.finish, record)
    fault = event.usage.fault()
    return Arrival(entry.sequence, entry.event_id, None if fault else event, fault or "", record)


def _event(event_id: str, finish: Finish, record: bytes) -> UsageEvent:
    intent, usage = finish.intent, finish.usage
    return UsageEvent(
        event_id=event_id,
        payload_hash=blake2b(record, digest_size=16).digest(),
        request_id=intent.request_id,
        attempt=intent.attempt,
        key_id=intent.key_id,
        provider=intent.provider,
        model=intent.model,
        requested_model=intent.requested_model,
        provider_model=finish.provider_model,
        operation=intent.operation,
        door=intent.door,
        outcome=finish.outcome,
        error_reason=finish.error_reason,
        usage=usage_from(usage),
        usage_message=usage.SerializeToString(),
        measure=usage.measure,
        started_at=_micros(intent.started_at),
        duration=_duration(finish.duration) if finish.HasField("duration") else None,
        first_token=_duration(finish.first_token) if finish.HasField("first_token") else None,
    )


def usage_from(usage: usage_pb2.Usage) -> Usage:
    """What was consumed; shares of unknown classes or modalities are left to the price of their class."""
    has = usage.HasField
    tokens = Tokens(
        usage.input_tokens if has("input_tokens") else None,
        usage.cache_read_tokens if has("cache_read_tokens") else None,
        usage.cache_write_5m_tokens if has("cache_write_5m_tokens") else None,
        usage.cache_write_1h_tokens if has("cache_write_1h_tokens") else None,
        usage.cache_write_tokens if has("cache_write_tokens") else None,
        usage.output_tokens if has("output_tokens") else None,
        usage.reasoning_tokens if has("reasoning_tokens") else None,
        usage.tool_prompt_tokens if has("tool_prompt_tokens") else None,
    )
    shares = tuple(
        [
            Share(_CLASSES[share.usage_class], _MODALITIES[share.modality], share.tokens)
            for share in usage.modalities
            if share.usage_class in _CLASSES and share.modality in _MODALITIES
        ]
    )
    return Usage(tokens, shares, tuple(sorted(usage.server_tool_calls.items())), usage.service_tier)


def ack_to_proto(producer_id: str, ack: Ack) -> IngestUsageResponse:
    """What the outbox may forget."""
    rejected = [RejectedRecord(sequence=sequence, reason=reason) for sequence, reason in ack.rejected]
    return IngestUsageResponse(producer_id=producer_id, contiguous_sequence=ack.contiguous, rejected=rejected)


def filter_from(message: pb.UsageFilter, key_id: str) -> Filter:
    """The filter, narrowed to a key."""
    return Filter(
        key_id=key_id,
        provider=message.provider,
        model=message.model,
        request_id=message.request_id,
        from_time=_bound(message.from_time) if message.HasField("from_time") else None,
        to_time=_bound(message.to_time) if message.HasField("to_time") else None,
    )


def record_to_proto(booked: Booked) -> pb.UsageRecord:
    """One attempt."""
    event = booked.event
    record = pb.UsageRecord(
        event_id=event.event_id,
        request_id=event.request_id,
        attempt=event.attempt,
        key_id=event.key_id,
        provider=event.provider,
        model=event.model,
        requested_model=event.requested_model,
        operation=event.operation,
        door=event.door,
        outcome=event.outcome,  # type: ignore[arg-type]
        error_reason=event.error_reason,  # type: ignore[arg-type]
        usage=usage_pb2.Usage.FromString(event.usage_message),
        price_state=_STATES[booked.cost.state],
        cost=_money(booked.cost),
        price_version=booked.cost.price,
        started_at=_timestamp(event.started_at),
        recorded_at=_timestamp(booked.recorded_at),
    )
    if event.duration is not None:
        record.duration.CopyFrom(_length(event.duration))
    if event.first_token is not None:
        record.first_token.CopyFrom(_length(event.first_token))
    return record


def aggregate_to_proto(aggregate: Aggregate) -> pb.UsageAggregate:
    """One group."""
    units, nanos = units_and_nanos(aggregate.cost_nano)
    tokens = aggregate.tokens
    return pb.UsageAggregate(
        key_id=aggregate.key_id,
        provider=aggregate.provider,
        model=aggregate.model,
        day=aggregate.day,
        attempts=aggregate.attempts,
        usage=usage_pb2.Usage(
            input_tokens=tokens.input,
            cache_read_tokens=tokens.cache_read,
            cache_write_5m_tokens=tokens.cache_write_5m,
            cache_write_1h_tokens=tokens.cache_write_1h,
            cache_write_tokens=tokens.cache_write,
            output_tokens=tokens.output,
            reasoning_tokens=tokens.reasoning,
            tool_prompt_tokens=tokens.tool_prompt,
        ),
        cost=Money(currency_code=CURRENCY, units=units, nanos=nanos),
        unpriced_attempts=aggregate.unpriced,
        failed_attempts=aggregate.failed,
    )


def _money(cost: Cost) -> Money | None:
    if cost.nano is None:
        return None
    units, nanos = units_and_nanos(cost.nano)
    return Money(currency_code=CURRENCY, units=units, nanos=nanos)


def _micros(moment: Timestamp) -> int:
    return moment.seconds * MICROS + moment.nanos // 1000


def _bound(moment: Timestamp) -> int:
    return min(max(_micros(moment), 0), _LAST_DAY)


def _duration(length: Duration) -> int:
    return length.seconds * MICROS + length.nanos // 1000


def _timestamp(micros: int) -> Timestamp:
    seconds, rest = divmod(micros, MICROS)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def _length(micros: int) -> Duration:
    seconds, rest = divmod(micros, MICROS)
    return Duration(seconds=seconds, nanos=rest * 1000)
