"""Moderations, images, speech, transcriptions and rankings go through by byte. Answers are ours, from the spec."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import openai
import pytest

from llmhub.types.v1.usage_pb2 import Measure
from tests.support.books import Books
from tests.support.faults import Cut, End, Gate, Head, Program, Send, answer
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay
from tests.support.sdks import openai_through

pytestmark = pytest.mark.usefixtures("clean_wire")

SOUND = b"ID3\x04" + bytes(range(256)) * 40
WAVE = b"RIFF\r\n--boundary\r\n\r\n" + bytes(range(256)) * 4000
MP3 = (("content-type", "audio/mpeg"), ("x-request-id", "req_theirs"))
EVENTS = (("content-type", "text/event-stream"),)


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[openai.OpenAI]:
    with openai_through(mesh) as client:
        yield client


@pytest.fixture(scope="module")
def books(mesh: Mesh) -> Iterator[Books]:
    with grpc.insecure_channel(mesh.target) as channel:
        yield Books(channel)


def named() -> dict[str, str]:
    """Headers that give a call an id, to find it in the books by."""
    return {"x-request-id": str(uuid.uuid4())}


def test_moderations(client: openai.OpenAI, replay: Replay, books: Books) -> None:
    categories = {"hate": False}
    result = {"flagged": False, "categories": categories, "category_scores": {}}
    replay.answer("openai", "omni", answer(200, {"id": "modr-1", "model": "omni-1", "results": [result]}))
    call = named()
    got = client.moderations.create(model="openai/omni", input=["Hello"], extra_headers=call)
    assert got.model == "omni-1"
    assert not got.results[0].flagged
    (sent,) = replay.journal.of("omni")
    assert (sent.path, sent.json) == ("/v1/moderations", {"input": ["Hello"], "model": "omni"})
    (row,) = books.of(call["x-request-id"])
    assert row.operation == "moderate"
    assert not row.usage.HasField("input_tokens")
    assert row.usage.measure == Measure.MEASURE_UNSPECIFIED


def test_moderations_without_a_model_ask_for_one_where_many_could_be_meant(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="model: is required"):
        client.moderations.create(input="Hello")


def test_images(client: openai.OpenAI, replay: Replay, books: Books) -> None:
    told = {"input_tokens": 9, "output_tokens": 4160, "total_tokens": 4169, "input_tokens_details": {}}
    body = {"created": 1, "data": [{"b64_json": "QUJD" * 1000}], "usage": told}
    replay.answer("openai", "painter", answer(200, body))
    call = named()
    got = client.images.generate(
        model="openai/painter", prompt="A house", size="1024x1024", extra_headers=call
    )
    assert got.data is not None
    assert got.data[0].b64_json == "QUJD" * 1000
    assert replay.journal.of("painter")[0].path == "/v1/images/generations"
    (row,) = books.of(call["x-request-id"])
    assert (row.usage.input_tokens, row.usage.output_tokens) == (9, 4160)
    assert row.usage.measure == Measure.MEASURE_VENDOR


def test_streamed_images(client: openai.OpenAI, replay: Replay) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0},
        {
            "type": "image_generation.completed",
            "b64_json": "BBBB",
            "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        },
    ]
    pieces = [f"event: {part['type']}\ndata: {json.dumps(part)}\n\n".encode() for part in parts]
    replay.answer("openai", "live", (Head(200, EVENTS), *map(Send, pieces), End()))
    got = client.images.generate(model="openai/live", prompt="A house", stream=True)
    assert [event.type for event in got] == [part["type"] for part in parts]


def test_speech_is_passed_on_as_it_comes(client: openai.OpenAI, replay: Replay, books: Books) -> None:
    gate = Gate()
    replay.answer("openai", "voice", (Head(200, MP3), Send(SOUND[:5000]), gate, Send(SOUND[5000:]), End()))
    call = named()
    with client.audio.speech.with_streaming_response.create(
        model="openai/voice", voice="alloy", input="Good morning", extra_headers=call
    ) as got:
        assert got.headers["content-type"] == "audio/mpeg"
        assert got.headers["x-request-id"] == call["x-request-id"]
        pieces = got.iter_bytes()
        heard = next(pieces)
        while len(heard) < 5000:
            heard += next(pieces)
        # The provider has not sent the rest yet.
        assert heard == SOUND[:5000]
        gate.open()
        assert heard + b"".join(pieces) == SOUND
    (row,) = books.of(call["x-request-id"])
    assert (row.operation, row.usage.measure) == ("speech", Measure.MEASURE_UNSPECIFIED)
    assert not row.usage.HasField("output_tokens")


def test_sound_that_is_cut_off_never_looks_whole(mesh: Mesh, replay: Replay) -> None:
    replay.answer("openai", "cut-voice", (Head(200, MP3), Send(SOUND[:5000]), Cut()))
    body = {"model": "openai/cut-voice", "voice": "alloy", "input": "Hi"}
    with pytest.raises(httpx.RemoteProtocolError):
        post(mesh, "/v1/audio/speech", body)


def test_transcriptions(client: openai.OpenAI, replay: Replay, books: Books) -> None:
    told = {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}
    replay.answer("openai", "scribe", answer(200, {"text": "Hallo Welt", "usage": told}))
    call = named()
    got = client.audio.transcriptions.create(
        model="openai/scribe",
        file=("a.wav", WAVE, "audio/wav"),
        language="de",
        timestamp_granularities=["word", "segment"],
        extra_headers=call,
    )
    assert got.text == "Hallo Welt"
    (sent,) = replay.journal.of("scribe")
    assert sent.path == "/v1/audio/transcriptions"
    assert sent.body.count(b"scribe") == 1
    assert b"openai/scribe" not in sent.body
    assert WAVE in sent.body
    assert b'name="timestamp_granularities[]"\r\n\r\nsegment\r\n' in sent.body
    (row,) = books.of(call["x-request-id"])
    assert (row.usage.input_tokens, row.usage.output_tokens) == (14, 5)


def test_all_of_a_form_but_its_model_keeps_its_bytes(mesh: Mesh, replay: Replay) -> None:
    form = (
        b'--xY\r\nContent-Disposition: form-data; name="file"; filename="\xc3\xa4.wav"\r\n\r\n'
        + WAVE
        + b'\r\n--xY\r\nX-Other: 1\r\ncontent-disposition: form-data; name="model"\r\n\r\nopenai/bytes\r\n--xY--\r\n'
    )
    replay.answer("openai", "bytes", (Head(200, (("content-type", "text/vtt"),)), Send(b"WEBVTT"), End()))
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "multipart/form-data; boundary=xY"}
    got = httpx.post(f"{mesh.base_url}/v1/audio/transcriptions", content=form, headers=headers, timeout=20)
    assert (got.status_code, got.text, got.headers["content-type"]) == (200, "WEBVTT", "text/vtt")
    (sent,) = replay.journal.of("bytes")
    assert sent.body == form.replace(b"openai/bytes", b"bytes")
    assert sent.headers["content-type"] == "multipart/form-data; boundary=xY"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"model": "openai/x"}'),
        ("multipart/form-data; boundary=xY", b"--xY\r\n"),
        ("multipart/form-data; boundary=xY", b"--xY--\r\n"),
    ],
)
def test_a_broken_form_is_the_caller_s_fault(mesh: Mesh, content_type: str, body: bytes) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": content_type}
    got = httpx.post(f"{mesh.base_url}/v1/audio/transcriptions", content=body, headers=headers, timeout=20)
    assert got.status_code == 400
    assert got.json()["error"]["type"] == "invalid_request_error"


def test_rankings(mesh: Mesh, replay: Replay, books: Books) -> None:
    body = {"results": [{"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 38}}
    replay.answer("vllm", "ranker", answer(200, body))
    call = named()
    got = post(mesh, "/v1/rerank", {"model": "vllm/ranker", "query": "q", "documents": ["a", "b"]}, call)
    assert (got.status_code, got.json()) == (200, body)
    (row,) = books.of(call["x-request-id"])
    assert (row.operation, row.usage.input_tokens, row.usage.output_tokens) == ("rerank", 38, 0)


REFUSED = [
    ("/v1/moderations", {"model": "anthropic/x", "input": "a"}),
    ("/v1/images/generations", {"model": "anthropic/x", "prompt": "a"}),
    ("/v1/audio/speech", {"model": "anthropic/x", "input": "a", "voice": "b"}),
    ("/v1/rerank", {"model": "anthropic/x", "query": "a", "documents": []}),
    ("/v1/embeddings", {"model": "anthropic/x", "input": "a"}),
]


@pytest.mark.parametrize(("path", "body"), REFUSED, ids=[path for path, _ in REFUSED])
def test_what_a_provider_does_not_offer_is_refused_for_good(
    mesh: Mesh, path: str, body: dict[str, Any]
) -> None:
    got = post(mesh, path, body)
    assert got.status_code == 400, got.text
    assert got.json()["error"]["code"] == "operation_unsupported"
    assert got.headers["x-should-retry"] == "false"
    assert got.headers["x-request-id"]


def test_a_target_that_cannot_is_passed_over(client: openai.OpenAI, replay: Replay) -> None:
    program: Program = answer(200, {"created": 1, "data": [{"url": "https://x/y.png"}]})
    replay.answer("openai", "pair-101", program)
    got = client.images.generate(model="pair-101", prompt="A house")
    assert got.data is not None
    assert got.data[0].url == "https://x/y.png"


def post(
    mesh: Mesh, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    given = {"authorization": f"Bearer {ADMIN_KEY}", **(headers or {})}
    return httpx.post(f"{mesh.base_url}{path}", json=body, headers=given, timeout=20)
