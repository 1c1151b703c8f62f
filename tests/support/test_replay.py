"""The replay server itself: what other tests rely on must fail when it should."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.faults import Cut, End, Gate, Head, Send, Stall, answer, events, hang_up, not_http
from tests.support.replay import Replay, upstream_key


@pytest.fixture
def replay() -> Iterator[Replay]:
    with Replay() as server:
        yield server


@pytest.fixture
def client(replay: Replay) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {upstream_key('openai')}"}
    with httpx.Client(base_url=replay.base_url("openai"), headers=headers) as client:
        yield client


def test_answers_by_provider_and_model_in_turn(replay: Replay, client: httpx.Client) -> None:
    replay.answer("openai", "a", answer(200, {"n": 1}), answer(429, {"n": 2}, {"retry-after": "7"}))
    got = [client.post("/chat/completions", json={"model": "a"}) for _ in range(3)]
    assert [each.status_code for each in got] == [200, 429, 429]
    assert got[1].headers["retry-after"] == "7"
    assert client.post("/chat/completions", json={"model": "b"}).status_code == 418
    assert replay.faults == []
    assert [arrival.model for arrival in replay.journal.since()] == ["a", "a", "a", "b"]


def test_complains_of_leaked_keys_and_headers(replay: Replay, client: httpx.Client) -> None:
    replay.keep_out("my-secret-key")
    replay.answer("openai", "a", answer(200, {}))
    body = {"model": "a", "note": "my-secret-key"}
    client.post("/chat/completions", json=body, headers={"x-llmhub-key": "1"})
    client.post("/chat/completions", json={"model": "a"}, headers={"authorization": "Bearer my-secret-key"})
    assert [fault.split(": ", 1)[1] for fault in replay.faults] == [
        "the caller's key came along",
        "the header x-llmhub-key is none of a provider's business",
        "the caller's key came along",
        "the credential is not the configured one",
    ]


def test_a_gate_holds_the_rest_back(replay: Replay, client: httpx.Client) -> None:
    gate = Gate()
    replay.answer("openai", "a", events([b"data: 1\n\n"], gate, Send(b"data: 2\n\n"), End()))
    with client.stream("POST", "/chat/completions", json={"model": "a"}) as got:
        pieces = got.iter_raw()
        assert next(pieces) == b"data: 1\n\n"
        assert gate.reached.wait(5)
        gate.open()
        assert b"".join(pieces) == b"data: 2\n\n"


def test_sees_the_other_side_leave(replay: Replay, client: httpx.Client) -> None:
    replay.answer("openai", "a", (Head(), Stall()))
    with client.stream("POST", "/chat/completions", json={"model": "a"}):
        left = time.monotonic()
    arrival = replay.journal.wait(lambda each: each.left_at is not None)
    assert arrival.left_at is not None
    assert 0 <= arrival.left_at - left < 1
    assert arrival.answered_at is None


def test_breaks_answers(replay: Replay, client: httpx.Client) -> None:
    for program, error in (
        ((Head(), Send(b"{"), Cut()), httpx.ReadError),
        ((Head(), Send(b"{"), Cut(reset=False)), httpx.RemoteProtocolError),
        (hang_up(), httpx.ReadError),
        (not_http(), httpx.RemoteProtocolError),
    ):
        replay.answer("openai", "a", program)
        with pytest.raises(error):
            client.post("/chat/completions", json={"model": "a"})
