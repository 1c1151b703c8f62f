"""A stream cut at every event boundary is never a clean end, on any door, relayed or translated."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.failures.table import STREAM
from tests.support import faults
from tests.support.books import Books, Records
from tests.support.doors import Door, every_door
from tests.support.faults import Cut, End, Program, Step
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.outcome import Outcome
from tests.support.replay import Replay

DOORS = ("openai-stream", "anthropic-stream", "grpc-stream", "rest-stream")
WAYS: dict[str, Step] = {"reset": Cut(), "close": Cut(reset=False), "end": End()}
# The openai dialect says nothing about an answer's end but [DONE]; when all else has come, an HTTP body that ends as
# it should is taken for the end, as with the compatible servers that never send it.
LAST = {"openai": len(STREAM["openai"]) - 1, "anthropic": len(STREAM["anthropic"])}
CASES = [
    pytest.param(dialect, way, cut, door, id=f"{dialect}-{way}-after-{cut}-through-{door}")
    for dialect in STREAM
    for way in WAYS
    for cut in range(len(STREAM[dialect]))
    if way != "end" or cut < LAST[dialect]
    for door in DOORS
]
Key = tuple[str, str, int, str]


@pytest.fixture(scope="module")
def run(mesh: Mesh, replay: Replay) -> Iterator[tuple[dict[Key, Outcome], Records]]:
    """Make all calls once."""
    with (
        grpc.insecure_channel(mesh.target) as channel,
        every_door(mesh.base_url, channel, ADMIN_KEY) as opened,
        ThreadPoolExecutor(8) as threads,
    ):
        doors = {door.name: door for door in opened}
        jobs = {}
        for case in CASES:
            dialect, way, cut, door = key = (
                str(case.values[0]),
                str(case.values[1]),
                int(str(case.values[2])),
                str(case.values[3]),
            )
            program = faults.events(STREAM[dialect][:cut], WAYS[way])
            jobs[key] = threads.submit(ask, replay, doors[door], dialect, "-".join(map(str, key)), program)
        seen = {key: job.result() for key, job in jobs.items()}
        yield seen, Books(channel).all({outcome.request_id: 1 for outcome in seen.values()})


def ask(replay: Replay, door: Door, dialect: str, model: str, program: Program) -> Outcome:
    replay.answer(dialect, model, program)
    return door.ask(f"{dialect}/{model}", str(uuid.uuid4()))


@pytest.mark.parametrize(("dialect", "way", "cut", "door"), CASES)
def test_no_clean_end(
    dialect: str, way: str, cut: int, door: str, run: tuple[dict[Key, Outcome], Records]
) -> None:
    seen, booked = run
    got = seen[dialect, way, cut, door]
    assert not got.clean
    assert got.error or got.reason, "the caller's client saw no error"
    records = booked[got.request_id]
    assert len(records) == 1
    assert records[0].error_reason
