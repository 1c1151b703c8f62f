"""Answers that are unusual and right: they must come through whole."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import grpc
import pytest

from llmhub.types.v1.route_pb2 import Outcome as Booked
from tests.failures.table import STREAM, WHOLE, good
from tests.support import faults
from tests.support.books import Books
from tests.support.doors import Door, every_door
from tests.support.faults import End, Head, Program, Send
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

_JSON = (("content-type", "application/json"),)
_SSE = (("content-type", "text/event-stream"),)


def gzipped(dialect: str, stream: bool) -> Program:
    return faults.gzipped(good(dialect, stream=stream))


def single_bytes(dialect: str, stream: bool) -> Program:
    data = b"".join(STREAM[dialect]) if stream else WHOLE[dialect]
    head = Head(200, _SSE if stream else _JSON, None if stream else len(data))
    return (head, *(Send(data[at : at + 1]) for at in range(len(data))), End())


def carriage_returns(dialect: str, stream: bool) -> Program:
    if not stream:
        return good(dialect, stream=False)
    lines = b"".join(STREAM[dialect]).replace(b"\n", b"\r\n")
    middle = lines.index(b"\r\n") + 1
    return faults.events([lines[:middle], lines[middle:]])


def comments(dialect: str, stream: bool) -> Program:
    if not stream:
        return good(dialect, stream=False)
    return faults.events([b": waiting\n\n" + piece for piece in STREAM[dialect]])


@pytest.fixture(scope="module")
def doors(mesh: Mesh) -> Iterator[list[Door]]:
    with (
        grpc.insecure_channel(mesh.target) as channel,
        every_door(mesh.base_url, channel, ADMIN_KEY) as doors,
    ):
        yield doors


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize("make", [gzipped, single_bytes, carriage_returns, comments])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_it_comes_through(
    make: Callable[[str, bool], Program], dialect: str, doors: list[Door], mesh: Mesh, replay: Replay
) -> None:
    seen = []
    for door in doors:
        model = f"odd-{make.__name__}-{door.name}"
        stream = door.name.endswith("-stream")
        replay.answer(dialect, model, good(dialect, stream=stream))
        expected = door.ask(f"{dialect}/{model}", str(uuid.uuid4()))
        replay.answer(dialect, model, make(dialect, stream))
        got = door.ask(f"{dialect}/{model}", str(uuid.uuid4()))
        assert got.clean, (door.name, got)
        assert (got.text, got.finish) == (expected.text, expected.finish)
        seen += [expected.request_id, got.request_id]
    with grpc.insecure_channel(mesh.target) as channel:
        booked = Books(channel).all(dict.fromkeys(seen, 1))
    plain, odd = ([booked[each][0] for each in seen[first::2]] for first in (0, 1))
    assert {record.outcome for record in odd} == {Booked.OUTCOME_OK}
    assert [record.usage for record in odd] == [record.usage for record in plain]
