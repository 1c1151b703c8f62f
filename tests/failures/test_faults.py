"""Every fault on every door, relayed and translated, and what is booked of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest

from tests.failures.checks import assert_booked, assert_told, meet
from tests.failures.table import FAULTS, Fault
from tests.support.books import Books, Records
from tests.support.doors import every_door
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.outcome import Outcome
from tests.support.replay import Replay

DOORS = [f"{door}{stream}" for stream in ("", "-stream") for door in ("openai", "anthropic", "grpc", "rest")]
TABLE = [
    (fault, dialect, door)
    for fault in FAULTS
    for dialect in ("openai", "anthropic")
    for door in DOORS
    if fault.make(dialect, door.endswith("-stream")) is not None
]
CASES = [pytest.param(*row, id=f"{row[0]}-{row[1]}-through-{row[2]}") for row in TABLE]


@dataclass(frozen=True, slots=True)
class Run:
    """All calls of the table, made once: provider, model and what was seen; and the books."""

    seen: dict[tuple[str, str, str], tuple[str, str, Outcome]]
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
        jobs = {
            (fault.name, dialect, door): threads.submit(meet, fault, dialect, doors[door], replay)
            for fault, dialect, door in TABLE
        }
        seen = {key: job.result() for key, job in jobs.items()}
        yield Run(seen, Books(channel).all({outcome.request_id: 1 for _, _, outcome in seen.values()}))
    assert replay.faults[before:] == []


@pytest.mark.parametrize(("fault", "dialect", "door"), CASES)
def test_the_caller_is_told(fault: Fault, dialect: str, door: str, run: Run) -> None:
    _, _, got = run.seen[fault.name, dialect, door]
    assert_told(fault, dialect, door, got)


@pytest.mark.parametrize(("fault", "dialect", "door"), CASES)
def test_the_books_are_right(fault: Fault, dialect: str, door: str, run: Run) -> None:
    provider, model, got = run.seen[fault.name, dialect, door]
    (record,) = run.booked[got.request_id]
    assert (record.provider, record.model) == (provider, model)
    assert_booked(fault, door, record)
