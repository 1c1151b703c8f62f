"""Issue 2, item 3: every fault on every door, relayed and translated, and what is booked of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest

from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import Outcome as Booked
from llmhub.types.v1.usage_pb2 import Measure
from llmhub.usage.v1.usage_service_pb2 import UsageRecord
from tests.failures.table import ANTHROPIC_STATUS, CODE, FAULTS, OPENAI_STATUS, Fault
from tests.support.books import Books, Records
from tests.support.doors import HTTP_OF, Door, every_door
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.outcome import Outcome
from tests.support.replay import Replay

DOORS = [f"{door}{stream}" for stream in ("", "-stream") for door in ("openai", "anthropic", "grpc", "rest")]
CASES = [
    pytest.param(fault, dialect, door, id=f"{fault}-{dialect}-through-{door}")
    for fault in FAULTS
    for dialect in ("openai", "anthropic")
    for door in DOORS
    if fault.make(dialect, door.endswith("-stream")) is not None
]


@dataclass(frozen=True, slots=True)
class Run:
    """All calls of the table, made once."""

    seen: dict[tuple[str, str, str], Outcome]
    booked: Records


@pytest.fixture(scope="module")
def run(mesh: Mesh, replay: Replay) -> Iterator[Run]:
    before = len(replay.faults)
    with (
        grpc.insecure_channel(mesh.target) as channel,
        every_door(mesh.base_url, channel, ADMIN_KEY) as opened,
        ThreadPoolExecutor(8) as threads,
    ):
        doors = {door.name: door for door in opened}
        jobs = {}
        for fault, dialect, name in (case.values for case in CASES):
            assert isinstance(fault, Fault)
            key = (fault.name, str(dialect), str(name))
            jobs[key] = threads.submit(meet, fault, str(dialect), doors[str(name)], replay)
        seen = {key: job.result() for key, job in jobs.items()}
        booked = Books(channel).all({outcome.request_id: 1 for outcome in seen.values()})
        yield Run(seen, booked)
    assert replay.faults[before:] == []


def meet(fault: Fault, dialect: str, door: Door, replay: Replay) -> Outcome:
    """Make one call that meets the fault."""
    provider, model = fault.target(dialect, f"{fault}-{dialect}-{door.name}")
    program = fault.make(dialect, door.name.endswith("-stream"))
    assert program is not None
    replay.answer(provider, model, program)
    return door.ask(f"{provider}/{model}", str(uuid.uuid4()))


@pytest.mark.parametrize(("fault", "dialect", "door"), CASES)
def test_the_caller_is_told(fault: Fault, dialect: str, door: str, run: Run) -> None:
    got = run.seen[fault.name, dialect, door]
    assert not got.clean
    kind = door.removesuffix("-stream")
    if fault.content:
        assert got.text
        assert_broken_off(kind, got)
    elif kind in {"grpc", "rest"}:
        assert got.reason == fault.reason
        code = CODE[fault.reason]
        assert got.status == HTTP_OF[grpc.StatusCode[code]]
        assert got.retry_after == fault.retry_after
    else:
        assert got.status == vendor_status(fault, dialect, kind), got.message
        assert got.retry_after == fault.retry_after
        assert got.error.endswith("Error")
        assert isinstance(got.body, dict)


def vendor_status(fault: Fault, dialect: str, kind: str) -> int:
    """Return the status on a vendor's door: the provider's own where it is relayed, ours where it is translated."""
    if fault.status is not None and dialect == kind:
        return fault.status
    if kind == "anthropic":
        return ANTHROPIC_STATUS.get(fault.reason, 500)
    return OPENAI_STATUS.get(fault.reason, 503)


def assert_broken_off(kind: str, got: Outcome) -> None:
    if kind in {"grpc", "rest"}:
        assert got.reason == "STREAM_INTERRUPTED"
        assert got.status == (503 if kind == "grpc" else 200)
    else:
        assert got.status == 200
        assert got.error == {"openai": "APIError", "anthropic": "APIStatusError"}[kind]


@pytest.mark.parametrize(("fault", "dialect", "door"), CASES)
def test_the_books_are_right(fault: Fault, dialect: str, door: str, run: Run) -> None:
    got = run.seen[fault.name, dialect, door]
    (record,) = run.booked[got.request_id]
    provider, model = fault.target(dialect, f"{fault}-{dialect}-{door}")
    assert (record.provider, record.model, record.attempt) == (provider, model, 1)
    assert record.door == {"rest": "grpc"}.get(door.removesuffix("-stream"), door.removesuffix("-stream"))
    booked = ErrorReason.Name(record.error_reason).removeprefix("ERROR_REASON_")
    assert booked in {fault.reason, fault.other_reason}
    if fault.provider == "closed":
        assert record.outcome == Booked.OUTCOME_NOT_SENT
    else:
        assert record.outcome == Booked.OUTCOME_UPSTREAM_ERROR
    assert_consumed(record, content=fault.content)


def assert_consumed(record: UsageRecord, *, content: bool) -> None:
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
