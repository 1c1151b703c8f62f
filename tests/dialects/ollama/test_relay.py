"""Relaying: every byte goes on as it came, and what it says is noted."""

import json
from typing import Any

import pytest

from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_UNSPECIFIED, Progress
from services.dialects.fold import fold
from services.dialects.ollama import OllamaCodec
from services.dialects.progress import observe
from services.runtime.errors import RequestInvalid, UpstreamProtocol
from tests.dialects.ollama.cases import ANSWERS, STREAMS, stream
from tests.support.exchanges import Exchange, random_pieces, recorded

CHATS = recorded("ollama.chat")
STREAMED = [each for each in CHATS if "streaming" in each.features]
WHOLE = [each for each in CHATS if "streaming" not in each.features]
codec = OllamaCodec()


def watched(parts: list[bytes]) -> tuple[bytes, Progress]:
    tap = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    out = b""
    for part in parts:
        passed = tap.feed(part)
        assert passed.data == part
        out += passed.data
    last = tap.close()
    assert last.progress is not None
    return out + last.data, last.progress


@pytest.mark.parametrize("exchange", CHATS, ids=str)
def test_a_request_keeps_its_bytes_but_the_model(exchange: Exchange) -> None:
    body = json.dumps(exchange.question, separators=(",", ":")).encode()
    relayed = codec.relay_request(body, "other", ENDPOINT_UNSPECIFIED)
    was = json.dumps(exchange.model).encode()
    assert relayed.body == body.replace(b'"model":' + was, b'"model":"other"')
    assert not relayed.hide_usage


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":', b"\xff"])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.relay_request(body, "m", ENDPOINT_UNSPECIFIED)


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_recorded_stream(exchange: Exchange) -> None:
    for seed in range(2):
        out, progress = watched(random_pieces(exchange.answer, seed))
        assert out == exchange.answer
        agrees_with_the_fold(progress, exchange.answer)


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "failed"])
def test_stream_of_ours(name: str) -> None:
    data = stream(STREAMS[name])
    agrees_with_the_fold(watched([data])[1], data)


def agrees_with_the_fold(progress: Progress, data: bytes) -> None:
    decoder = codec.stream_decoder()
    events = decoder.feed(data) + decoder.close()
    whole = fold(events)
    assert progress.complete
    assert progress.usage == whole.usage
    assert progress.finish == whole.candidates[0].finish
    assert progress.response_id == whole.response_id
    assert progress.provider_model == whole.provider_model
    assert progress.content
    assert progress.output_characters == observe(events).output_characters
    assert not progress.HasField("error")


def test_a_cut_stream_is_not_whole() -> None:
    data = STREAMED[0].answer
    for end in (0, 10, len(data) // 2, len(data) - 5):
        _, progress = watched([data[:end]])
        assert not progress.complete
        assert progress.HasField("error")


def test_what_cannot_be_read_still_passes() -> None:
    junk = [STREAMED[0].answer[:300], b"data: {\n\n{]\n", b"more"]
    out, progress = watched(junk)
    assert out == b"".join(junk)
    assert not progress.complete
    assert progress.error.message


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_recorded_answer(exchange: Exchange) -> None:
    answer_agrees(exchange.answer)


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_answer_of_ours(body: dict[str, Any]) -> None:
    answer_agrees(json.dumps(body).encode())


def answer_agrees(body: bytes) -> None:
    response = codec.decode_response(body)
    progress = codec.relay_answer(body, ENDPOINT_UNSPECIFIED)
    assert progress.complete == (json.loads(body).get("done") is not False)
    assert progress.usage == response.usage
    assert progress.finish == response.candidates[0].finish
    assert progress.content == bool(response.candidates[0].parts)
    text = sum(len(part.text) for part in response.candidates[0].parts)
    assert progress.output_characters >= text


def test_vectors() -> None:
    body = b'{"model":"m","embeddings":[[1]],"prompt_eval_count":3}'
    progress = codec.relay_answer(body, ENDPOINT_UNSPECIFIED)
    assert (progress.content, progress.complete, progress.usage.input_tokens) == (True, True, 3)
    progress = codec.relay_answer(b'{"embedding":[1]}', ENDPOINT_UNSPECIFIED)
    assert progress.complete
    assert not progress.HasField("usage")


def test_a_failure_inside_an_answer() -> None:
    progress = codec.relay_answer(b'{"error":"no luck"}', ENDPOINT_UNSPECIFIED)
    assert not progress.complete
    assert progress.error.message == "no luck"
    with pytest.raises(UpstreamProtocol):
        codec.relay_answer(b"[]", ENDPOINT_UNSPECIFIED)
    _, progress = watched([stream([*STREAMS["text"][:1], {"error": "it broke"}])])
    assert not progress.complete
    assert progress.error.message == "it broke"
