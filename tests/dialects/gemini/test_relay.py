"""A relayed answer passes byte for byte, and what it says is what the contract says of it."""

import json

import pytest

from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_GEMINI_BATCH_EMBED,
    ENDPOINT_GEMINI_COUNT_TOKENS,
    ENDPOINT_GEMINI_EMBED,
    ENDPOINT_GEMINI_GENERATE,
    Progress,
)
from services.dialects.fold import fold
from services.dialects.gemini import GeminiCodec
from services.dialects.gemini.paths import relay_path
from services.runtime.errors import RequestInvalid, UpstreamProtocol
from tests.dialects.gemini.recorded import CONTENT, COUNTS, EMBEDDINGS, STREAMS, WHOLE, body_of, decoded
from tests.support.exchanges import Exchange, random_pieces

codec = GeminiCodec()


def tapped(pieces: list[bytes]) -> tuple[bytes, list[Progress], Progress]:
    """The bytes passed on, every progress on the way, and the last."""
    tap = codec.relay_tap(ENDPOINT_GEMINI_GENERATE, hide_usage=False)
    passed = [tap.feed(piece) for piece in pieces]
    last = tap.close()
    assert last.progress is not None
    noted = [each.progress for each in passed if each.progress is not None]
    return b"".join(each.data for each in (*passed, last)), noted, last.progress


@pytest.mark.parametrize("exchange", CONTENT, ids=str)
def test_a_request_keeps_its_bytes(exchange: Exchange) -> None:
    body = body_of(exchange)
    relayed = codec.relay_request(body, "another", ENDPOINT_GEMINI_GENERATE)
    assert relayed.body is body
    assert not relayed.hide_usage


@pytest.mark.parametrize("body", [b"[1]", b"{", b'"x"', b"\xff"])
def test_what_is_no_request(body: bytes) -> None:
    for endpoint in (ENDPOINT_GEMINI_GENERATE, ENDPOINT_GEMINI_BATCH_EMBED):
        with pytest.raises(RequestInvalid):
            codec.relay_request(body, "m", endpoint)


def test_bodies_that_name_the_model_name_the_one_that_is_called() -> None:
    odd = b'{"text":"x", "n":1.0}'
    batch = b'{"requests":[{"model":"models/alias","content":%b}],"extra":[1E2]}' % odd
    relayed = codec.relay_request(batch, "real", ENDPOINT_GEMINI_BATCH_EMBED).body
    assert relayed == batch.replace(b"alias", b"real")
    count = b'{"generateContentRequest":{"model":"models/alias","contents":[%b]}}' % odd
    relayed = codec.relay_request(count, "tunedModels/real", ENDPOINT_GEMINI_COUNT_TOKENS).body
    assert relayed == count.replace(b"models/alias", b"tunedModels/real")
    single = b'{"model":"models/alias","content":%b}' % odd
    assert b"models/real" in codec.relay_request(single, "real", ENDPOINT_GEMINI_EMBED).body
    without = b'{"content":%b}' % odd
    assert codec.relay_request(without, "real", ENDPOINT_GEMINI_EMBED).body == without


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams_pass_and_are_understood(exchange: Exchange) -> None:
    events = decoded(exchange.answer)
    whole = fold(events)
    for pieces in (
        [exchange.answer],
        exchange.answer.splitlines(keepends=True),
        random_pieces(exchange.answer, 4),
    ):
        data, noted, last = tapped(pieces)
        assert data == exchange.answer
        assert last.complete
        assert not any(each.complete for each in noted), "only the end of the bytes is an end"
        assert last.content
        assert last.usage == whole.usage
        assert last.finish == whole.candidates[0].finish
        assert (last.response_id, last.provider_model) == (whole.response_id, whole.provider_model)
        assert last.output_characters > 0
    if exchange.answer.startswith(b"["):
        progress = codec.relay_answer(exchange.answer, ENDPOINT_GEMINI_GENERATE)
        assert progress == tapped([exchange.answer])[2]


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_cut_stream_is_not_complete(exchange: Exchange) -> None:
    answer = exchange.answer.rstrip()
    for cut in (len(answer) // 3, len(answer) // 2, len(answer) - 1):
        assert not tapped([answer[:cut]])[2].complete
    if answer.startswith(b"["):
        assert not codec.relay_answer(answer[:-1], ENDPOINT_GEMINI_GENERATE).complete


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answers(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    progress = codec.relay_answer(exchange.answer, ENDPOINT_GEMINI_GENERATE)
    assert progress.complete
    assert progress.usage == response.usage
    assert progress.finish == response.candidates[0].finish
    said = sum(len(part.text) + len(part.reasoning.text) for part in response.candidates[0].parts)
    called = any(part.HasField("tool_call") for part in response.candidates[0].parts)
    assert progress.content == bool(said or called)
    assert called or progress.output_characters == said


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_counts(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, ENDPOINT_GEMINI_COUNT_TOKENS)
    assert progress == Progress(content=True, complete=True)


@pytest.mark.parametrize("exchange", [each for each in EMBEDDINGS if each.status == 200], ids=str)
def test_embeddings(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, ENDPOINT_GEMINI_BATCH_EMBED)
    assert progress.complete
    told = json.loads(exchange.answer).get("usageMetadata", {}).get("promptTokenCount", 0)
    assert progress.usage.input_tokens == told


def test_an_error_inside_a_stream_is_told_and_passes() -> None:
    chunk = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"index":0}]}\r\n\r\n'
    error = b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n'
    data, _, last = tapped([chunk, error])
    assert data == chunk + error
    assert not last.complete
    assert last.error.message == "busy"
    assert last.output_characters == 1


def test_a_stream_without_a_reason_for_its_end_is_not_complete() -> None:
    chunk = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"index":%d%b}]}\r\n\r\n'
    end = b',"finishReason":"STOP"'
    assert not tapped([chunk % (0, b""), chunk % (0, b"")])[2].complete
    assert not tapped([chunk % (0, b""), chunk % (1, end)])[2].complete
    assert tapped([chunk % (0, b""), chunk % (1, end), chunk % (0, end)])[2].complete
    assert not codec.relay_answer(b'{"usageMetadata":{}}', ENDPOINT_GEMINI_GENERATE).complete


def test_what_cannot_be_read_passes_but_is_not_complete() -> None:
    data, _, last = tapped([b"data: {]\n\n", b"data: more\n\n"])
    assert data == b"data: {]\n\ndata: more\n\n"
    assert not last.complete
    assert last.HasField("error")
    with pytest.raises(UpstreamProtocol):
        codec.relay_answer(b'{"hello":1}', ENDPOINT_GEMINI_GENERATE)
    with pytest.raises(UpstreamProtocol):
        codec.relay_answer(b'{"hello":1}', ENDPOINT_GEMINI_COUNT_TOKENS)


@pytest.mark.parametrize(
    ("endpoint", "model", "stream", "query", "path"),
    [
        (ENDPOINT_GEMINI_GENERATE, "gemini-2.5-pro", False, "", "models/gemini-2.5-pro:generateContent"),
        (ENDPOINT_GEMINI_GENERATE, "m", True, "", "models/m:streamGenerateContent"),
        (ENDPOINT_GEMINI_GENERATE, "m", True, "alt=sse", "models/m:streamGenerateContent?alt=sse"),
        (ENDPOINT_GEMINI_GENERATE, "m", True, "key=K&alt=sse", "models/m:streamGenerateContent?alt=sse"),
        (ENDPOINT_GEMINI_GENERATE, "m", False, "access_token=T&key=K", "models/m:generateContent"),
        # What the call used must stay in its answer.
        (ENDPOINT_GEMINI_GENERATE, "m", False, "fields=candidates", "models/m:generateContent"),
        (ENDPOINT_GEMINI_GENERATE, "m", False, "$fields=candidates", "models/m:generateContent"),
        (
            ENDPOINT_GEMINI_GENERATE,
            "m",
            False,
            "$alt=json;enum-encoding=int",
            "models/m:generateContent?$alt=json;enum-encoding=int",
        ),
        (ENDPOINT_GEMINI_GENERATE, "../x?y#z:k", False, "", "models/..%2Fx%3Fy%23z%3Ak:generateContent"),
        (ENDPOINT_GEMINI_COUNT_TOKENS, "models/m", False, "", "models/m:countTokens"),
        (ENDPOINT_GEMINI_EMBED, "tunedModels/a/b", False, "", "tunedModels/a%2Fb:embedContent"),
        (ENDPOINT_GEMINI_BATCH_EMBED, "m", False, "", "models/m:batchEmbedContents"),
    ],
)
def test_relay_path(endpoint: int, model: str, *, stream: bool, query: str, path: str) -> None:
    assert relay_path(endpoint, model, stream=stream, query=query) == f"/v1beta/{path}"  # type: ignore[arg-type]
