"""What is recorded goes through the front door by value, both ways."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.exchanges import PATHS, Exchange, random_pieces, recorded, sse_events
from tests.support.faults import Pause, Program
from tests.support.journal import Arrival
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

PASSED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
PASSED = ("content-type", "retry-after", "openai-processing-ms", "openai-version", "x-should-retry")


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.base_url, timeout=20) as client:
        yield client


def program(exchange: Exchange) -> Program:
    """Return the recorded answer in random pieces; an error in mid-stream comes after its content was seen."""
    if "error-in-stream" not in exchange.features:
        return exchange.program(random_pieces(exchange.answer, zlib.crc32(exchange.name.encode())))
    pieces = sse_events(exchange.answer)
    error = next(number for number, piece in enumerate(pieces) if b'"error"' in piece)
    head, *steps = exchange.program([b"".join(pieces[:error]), b"".join(pieces[error:])])
    return (head, steps[0], Pause(0.1), *steps[1:])


def ask(client: httpx.Client, exchange: Exchange) -> tuple[bytes, httpx.Response]:
    """Send the recorded request as its vendor's client would; the model is named in llmhub's way."""
    question = {**exchange.question, "model": f"{exchange.provider}/{exchange.model}"}
    body = json.dumps(question, ensure_ascii=False).encode()
    if exchange.dialect == "anthropic":
        version = exchange.request_headers.get("anthropic-version", "2023-06-01")
        headers = {"x-api-key": ADMIN_KEY, "anthropic-version": version}
        if beta := exchange.request_headers.get("anthropic-beta"):
            headers["anthropic-beta"] = beta
    else:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    headers["content-type"] = "application/json"
    return body, client.post(exchange.path, content=body, headers=headers)


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize("exchange", recorded(*PATHS), ids=str)
def test_recorded_exchange_goes_through(
    exchange: Exchange, client: httpx.Client, mesh: Mesh, replay: Replay
) -> None:
    replay.answer(exchange.provider, exchange.model, program(exchange))
    mark = replay.journal.mark()
    sent, answer = ask(client, exchange)

    (arrival,) = replay.journal.since(mark)
    assert arrival.path == exchange.path
    assert_request_is_the_recorded_one(exchange, sent, arrival)
    assert answer.status_code == exchange.status
    assert answer.content == exchange.answer
    for name, value in exchange.headers:
        if name in PASSED or name.startswith(PASSED_PREFIXES):
            assert answer.headers[name] == value, name
    for name in ("anthropic-version", "anthropic-beta"):
        if name in exchange.request_headers:
            assert arrival.headers[name] == exchange.request_headers[name]


def assert_request_is_the_recorded_one(exchange: Exchange, sent: bytes, arrival: Arrival) -> None:
    expected: dict[str, Any] = dict(exchange.question)
    got = arrival.json
    asks_for_usage = (expected.get("stream_options") or {}).get("include_usage")
    if exchange.endpoint == "openai.chat" and exchange.wants_stream and not asks_for_usage:
        # The one documented addition: without it the stream would carry no usage to meter.
        expected["stream_options"] = {**(expected.get("stream_options") or {}), "include_usage": True}
        assert got in (expected, exchange.question)
        return
    assert got == expected
    # Nothing but the model's name was touched: each member is the same to the byte, and in the same place.
    members, named = _MEMBERS.decode(sent), json.dumps(exchange.model).encode()
    want = [(name, named if name == "model" else bytes(raw)) for name, raw in members.items()]
    assert [(name, bytes(raw)) for name, raw in _MEMBERS.decode(arrival.body).items()] == want


def test_every_recording_is_here() -> None:
    assert len(recorded(*PATHS)) == 190
