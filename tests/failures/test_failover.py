"""Another target is tried only while nothing has gone out, and never for a request that is at fault itself."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

import grpc
import pytest

from llmhub.types.v1.route_pb2 import Outcome as Booked
from tests.failures.table import FAULTS, FINAL, Fault, good
from tests.support.books import Books
from tests.support.doors import Door, every_door
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay
from tests.support.world import brief_pair, pair

DOORS = ("openai", "anthropic-stream", "grpc-stream", "rest")
TABLE = [fault for fault in FAULTS if fault.provider != "closed"]
CASES = [
    pytest.param(fault, door, id=f"{fault}-through-{door}")
    for fault in TABLE
    for door in DOORS
    if fault.make("openai", door.endswith("-stream")) is not None
]
PAIRS = {"": itertools.count(2), "brief": itertools.count(2)}


@pytest.fixture(scope="module")
def doors(mesh: Mesh) -> Iterator[dict[str, Door]]:
    with (
        grpc.insecure_channel(mesh.target) as channel,
        every_door(mesh.base_url, channel, ADMIN_KEY) as opened,
    ):
        yield {door.name: door for door in opened}


@pytest.fixture(scope="module")
def books(mesh: Mesh) -> Iterator[Books]:
    with grpc.insecure_channel(mesh.target) as channel:
        yield Books(channel)


def fresh_pair(kind: str) -> tuple[str, str, str]:
    """Return an alias whose targets no other test spoils."""
    make = brief_pair if kind == "brief" else pair
    return make(next(PAIRS[kind]))


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize(("fault", "door"), CASES)
def test_failover(fault: Fault, door: str, doors: dict[str, Door], books: Books, replay: Replay) -> None:
    alias, first, second = fresh_pair(fault.provider)
    stream = door.endswith("-stream")
    (provider, model), (other, _) = first.split("/"), second.split("/")
    program = fault.make(dialect_of(provider), stream)
    assert program is not None
    replay.answer(provider, model, program)
    replay.answer(other, model, good(dialect_of(other), stream=stream))
    got = doors[door].ask(alias, str(uuid.uuid4()))

    asked = [
        arrival.provider for arrival in replay.journal.of(model) if arrival.provider in {provider, other}
    ]
    if fault.content or fault.reason in FINAL:
        assert not got.clean
        assert asked == [provider]
        (record,) = books.of(got.request_id)
        assert record.outcome == Booked.OUTCOME_UPSTREAM_ERROR
        return
    assert got.clean, got
    assert got.text
    assert asked == [provider, other]
    records = books.of(got.request_id, attempts=2)
    assert [(record.attempt, record.provider) for record in records] == [(1, provider), (2, other)]
    assert [record.outcome for record in records] == [Booked.OUTCOME_UPSTREAM_ERROR, Booked.OUTCOME_OK]
    assert {record.requested_model for record in records} == {alias}
    assert records[0].usage.output_tokens == 0
    assert records[1].usage.output_tokens > 0


def dialect_of(provider: str) -> str:
    return "anthropic" if "anthropic" in provider else "openai"


def test_the_last_error_is_told_when_no_target_works(
    doors: dict[str, Door], books: Books, replay: Replay
) -> None:
    broken = next(fault for fault in FAULTS if fault.name == "500")
    limited = next(fault for fault in FAULTS if fault.name == "429")
    alias, first, second = fresh_pair("")
    for target, fault in ((first, broken), (second, limited)):
        provider, model = target.split("/")
        program = fault.make(dialect_of(provider), False)
        assert program is not None
        replay.answer(provider, model, program)
    got = doors["grpc"].ask(alias, str(uuid.uuid4()))
    assert got.reason == "UPSTREAM_RATE_LIMITED"
    assert got.retry_after == 7.0
    assert len(books.of(got.request_id, attempts=2)) == 2


def test_a_good_first_target_is_the_only_one(doors: dict[str, Door], books: Books, replay: Replay) -> None:
    alias, first, second = fresh_pair("")
    for target in (first, second):
        provider, model = target.split("/")
        replay.answer(provider, model, good(dialect_of(provider), stream=False))
    for door in ("openai", "anthropic", "grpc", "rest"):
        got = doors[door].ask(alias, str(uuid.uuid4()))
        assert got.clean
        (record,) = books.of(got.request_id)
        assert record.outcome == Booked.OUTCOME_OK
        assert record.provider == first.partition("/")[0]
