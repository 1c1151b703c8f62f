"""What must be seen of a fault by the caller and in the books."""

from __future__ import annotations

import uuid

import grpc

from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import Outcome as Booked
from llmhub.types.v1.usage_pb2 import Measure
from llmhub.usage.v1.usage_service_pb2 import UsageRecord
from tests.failures.table import ANTHROPIC_STATUS, CODE, OPENAI_STATUS, Fault
from tests.support.doors import HTTP_OF, Door
from tests.support.outcome import Outcome
from tests.support.replay import Replay


def meet(
    fault: Fault, dialect: str, door: Door, replay: Replay, prefix: str = ""
) -> tuple[str, str, Outcome]:
    """Make one call that meets the fault; return provider, model and what was seen."""
    provider, model = fault.target(dialect, f"{prefix}{fault}-{dialect}-{door.name}")
    program = fault.make(dialect, door.name.endswith("-stream"))
    assert program is not None
    replay.answer(provider, model, program)
    return provider, model, door.ask(f"{provider}/{model}", str(uuid.uuid4()))


def assert_told(fault: Fault, dialect: str, door: str, got: Outcome) -> None:
    """Hold what the caller saw against the table."""
    assert not got.clean
    kind = door.removesuffix("-stream")
    if fault.content:
        assert got.text
    if fault.content or (fault.event and dialect == kind):
        _assert_broken_off(kind, got)
    elif kind in {"grpc", "rest"}:
        assert got.reason == fault.reason
        assert got.status == HTTP_OF[grpc.StatusCode[CODE[fault.reason]]]
        assert got.retry_after == fault.retry_after
    else:
        assert got.status == _vendor_status(fault, dialect, kind), got.message
        assert got.retry_after == fault.retry_after
        assert got.error.endswith("Error")
        assert isinstance(got.body, dict)


def _vendor_status(fault: Fault, dialect: str, kind: str) -> int:
    """Return the status on a vendor's door: the provider's own where it is relayed, ours where it is translated."""
    if fault.status is not None and dialect == kind:
        return fault.status
    if kind == "anthropic":
        return ANTHROPIC_STATUS.get(fault.reason, 500)
    return OPENAI_STATUS.get(fault.reason, 503)


def _assert_broken_off(kind: str, got: Outcome) -> None:
    if kind in {"grpc", "rest"}:
        assert got.reason == "STREAM_INTERRUPTED"
        assert got.status == (503 if kind == "grpc" else 200)
    else:
        assert got.status == 200
        assert got.error == {"openai": "APIError", "anthropic": "APIStatusError"}[kind]


def assert_booked(fault: Fault, door: str, record: UsageRecord) -> None:
    """Hold the usage row against the table."""
    kind = door.removesuffix("-stream")
    assert record.attempt == 1
    assert record.door == {"rest": "grpc"}.get(kind, kind)
    reason = ErrorReason.Name(record.error_reason).removeprefix("ERROR_REASON_")
    assert reason in {fault.reason, fault.other_reason}
    if fault.provider == "closed":
        assert record.outcome == Booked.OUTCOME_NOT_SENT
    else:
        assert record.outcome == Booked.OUTCOME_UPSTREAM_ERROR
    _assert_consumed(record, content=fault.content)


def _assert_consumed(record: UsageRecord, *, content: bool) -> None:
    """Content that arrived is charged by the provider, and nothing else is."""
    usage = record.usage
    if content:
        assert usage.output_tokens > 0
        assert usage.input_tokens > 0
        assert usage.measure == Measure.MEASURE_ESTIMATED
        assert record.HasField("first_token")
    else:
        assert usage.output_tokens + usage.reasoning_tokens == 0
        assert not record.HasField("first_token")
