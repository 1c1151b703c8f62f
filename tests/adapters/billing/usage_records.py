"""What gateways send to billing."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.types.v1.route_pb2 import OUTCOME_OK
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from llmhub.usage.v1.metering_service_pb2 import (
    Finish,
    IngestUsageRequest,
    Intent,
    ProgressMark,
    UsageRecordEntry,
)
from services.billing.ports import RecordBatch
from services.billing.servicers.convert import batch_from

NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200
"""Noon of 21 September 2026, UTC."""
PRODUCER = "11111111-1111-4111-8111-111111111111"


def finished(
    event_id: str,
    sequence: int,
    *,
    key_id: str = "key-1",
    provider: str = "openai",
    model: str = "gpt-4o-mini",
    at: int = NOON,
    outcome: int = OUTCOME_OK,
    usage: Usage | None = None,
    request_id: str = "request-1",
    operation: str = "generate",
) -> UsageRecordEntry:
    if usage is None:
        usage = Usage(input_tokens=1000, output_tokens=100, measure=MEASURE_VENDOR)
    intent = Intent(
        request_id=request_id,
        attempt=1,
        key_id=key_id,
        provider=provider,
        model=model,
        requested_model="fast",
        operation=operation,
        door="openai",
        started_at=Timestamp(seconds=at),
    )
    finish = Finish(
        intent=intent,
        outcome=outcome,  # type: ignore[arg-type]
        usage=usage,
        duration=Duration(seconds=2, nanos=500_000_000),
        first_token=Duration(nanos=300_000_000),
    )
    return UsageRecordEntry(event_id=event_id, sequence=sequence, schema=1, finish=finish)


def begun(event_id: str, sequence: int) -> UsageRecordEntry:
    return UsageRecordEntry(event_id=event_id, sequence=sequence, schema=1, intent=Intent(request_id="r"))


def progressed(event_id: str, sequence: int) -> UsageRecordEntry:
    mark = ProgressMark(usage=Usage(output_tokens=5))
    return UsageRecordEntry(event_id=event_id, sequence=sequence, schema=1, progress=mark)


def message(entries: Sequence[UsageRecordEntry], producer_id: str = PRODUCER) -> IngestUsageRequest:
    return IngestUsageRequest(producer_id=producer_id, records=entries)


def batch(entries: Sequence[UsageRecordEntry], producer_id: str = PRODUCER, **options: Any) -> RecordBatch:
    return batch_from(message(entries, producer_id), opens_stream=bool(options.get("opens_stream")))
