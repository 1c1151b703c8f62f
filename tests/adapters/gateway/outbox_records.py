"""What a gateway would record, for the outbox's tests."""

import sqlite3
from pathlib import Path

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
from services.runtime.ids import new_id


def intent(**changes: object) -> Intent:
    made = Intent(
        request_id=new_id(),
        attempt=1,
        key_id="key-1",
        provider="openai",
        model="gpt-4o-mini",
        requested_model="fast",
        operation="generate",
        door="openai",
        started_at=Timestamp(seconds=1_790_000_000),
        estimated_input_tokens=41,
    )
    made.MergeFrom(Intent(**changes))  # type: ignore[arg-type]
    return made


def finish(of: Intent | None = None) -> Finish:
    usage = Usage(input_tokens=40, output_tokens=7, measure=MEASURE_VENDOR)
    return Finish(intent=of or intent(), outcome=OUTCOME_OK, usage=usage)


def progress(output_tokens: int) -> ProgressMark:
    return ProgressMark(usage=Usage(output_tokens=output_tokens))


def entries(path: Path) -> list[UsageRecordEntry]:
    """Every record in the file, oldest first, read apart from the code under test."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT records FROM batch ORDER BY first_sequence").fetchall()
    finally:
        connection.close()
    return [entry for (records,) in rows for entry in IngestUsageRequest.FromString(records).records]


def sequences(path: Path) -> list[int]:
    return [entry.sequence for entry in entries(path)]
