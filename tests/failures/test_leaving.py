"""A caller's cancel and deadline reach the provider's socket within 100 ms, on every door."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Iterator

import grpc
import pytest

from llmhub.types.v1.route_pb2 import Outcome as Booked
from tests.failures.table import STREAM
from tests.support import faults
from tests.support.books import Books
from tests.support.faults import Gate, Program
from tests.support.leavers import RawCall, Start, starts
from tests.support.mesh import Mesh
from tests.support.replay import Replay

LIMIT = 0.1
TRIES = 5
"""The median of so many counts: other programs on the machine take their turns too."""
DEADLINE = 0.25
DEADLINE_TRIES = 3
DOORS = [
    f"{door}{stream}"
    for door in ("openai", "anthropic", "grpc", "grpc-web", "rest")
    for stream in ("", "-stream")
]
CASES = [
    pytest.param(door, dialect, stage, id=f"{door}-to-{dialect}-{stage}")
    for door in DOORS
    for dialect in ("openai", "anthropic")
    for stage in ("before-headers", "in-stream")
    if stage == "before-headers" or door.endswith("-stream")
]


@pytest.fixture(scope="module")
def doors(mesh: Mesh) -> Iterator[dict[str, Start]]:
    with grpc.insecure_channel(mesh.target) as channel:
        yield starts(mesh, channel)


@pytest.fixture(scope="module")
def books(mesh: Mesh) -> Iterator[Books]:
    with grpc.insecure_channel(mesh.target) as channel:
        yield Books(channel)


def program(dialect: str, stage: str) -> tuple[Program, Gate]:
    """Return an answer that stands still at a gate nobody opens."""
    gate = Gate()
    return ((gate,) if stage == "before-headers" else faults.events(STREAM[dialect][:5], gate)), gate


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize(("door", "dialect", "stage"), CASES)
def test_cancel(
    door: str, dialect: str, stage: str, doors: dict[str, Start], books: Books, replay: Replay
) -> None:
    waits, ids = [], []
    for attempt in range(TRIES):
        model, request_id = f"left-{door}-{dialect}-{stage}-{attempt}", str(uuid.uuid4())
        answer, gate = program(dialect, stage)
        replay.answer(dialect, model, answer)
        call = doors[door](f"{dialect}/{model}", request_id, None)
        assert gate.reached.wait(10)
        left = time.monotonic()
        call.leave()
        waits.append(left_after(replay, model, left))
        ids.append(request_id)
    show(f"cancel {door} {dialect} {stage}", waits)
    assert statistics.median(waits) < LIMIT
    booked = books.all(dict.fromkeys(ids, 1))
    records = [record for request_id in ids for record in booked[request_id]]
    assert [record.outcome for record in records] == [Booked.OUTCOME_ABORTED_CLIENT] * TRIES
    # What arrived before the caller left is charged; now and then he is faster than the content.
    assert any(record.usage.output_tokens > 0 for record in records) == (stage == "in-stream")


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize("door", DOORS)
def test_deadline(door: str, doors: dict[str, Start], books: Books, replay: Replay) -> None:
    waits, request_id = [], ""
    for attempt in range(DEADLINE_TRIES):
        model, request_id = f"late-{door}-{attempt}", str(uuid.uuid4())
        answer, _ = program("openai", "in-stream" if door.endswith("-stream") else "before-headers")
        replay.answer("openai", model, answer)
        due = time.monotonic() + DEADLINE
        call = doors[door](f"openai/{model}", request_id, DEADLINE)
        waits.append(left_after(replay, model, due))
        if isinstance(call, RawCall):
            assert call.status() == expected_status(door)
        call.leave()
    show(f"deadline {door}", waits)
    assert statistics.median(waits) < LIMIT
    assert min(waits) > -0.05
    (record,) = books.of(request_id)
    assert record.outcome == Booked.OUTCOME_ABORTED_CLIENT


def expected_status(door: str) -> int:
    """Return the HTTP status of a call whose time ran out; a stream had begun, and gRPC-Web says it in its trailers."""
    return 200 if door.endswith("-stream") or door.startswith("grpc-web") else 504


def left_after(replay: Replay, model: str, moment: float) -> float:
    """Return how long after a moment the provider's socket was closed, in seconds."""
    arrival = replay.journal.wait(lambda each: each.model == model and each.over)
    assert arrival.left_at is not None
    return arrival.left_at - moment


def show(what: str, waits: list[float]) -> None:
    """Print the figures; pytest shows them of failures and with -s."""
    print(f"{what}: {', '.join(f'{wait * 1000:.1f}' for wait in waits)} ms")  # noqa: T201
