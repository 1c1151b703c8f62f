"""What the contract says of an answer agrees with what the official SDK reads from the same bytes."""

import json
from typing import Any

import pytest
from ollama import ChatResponse, ResponseError

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.generation_pb2 import FinishReason
from services.dialects.fold import fold
from services.dialects.ollama import OllamaCodec
from services.runtime.errors import LlmhubError
from tests.dialects.ollama.cases import ANSWERS, STREAMS, stream
from tests.dialects.ollama.official import (
    embedded,
    embedded_of_old,
    error_of,
    sent_body,
    streamed_answers,
    whole_answer,
)
from tests.support.exceptions import MISFILED
from tests.support.exchanges import Exchange, random_pieces, recorded

CHATS = recorded("ollama.chat")
STREAMED = [each for each in CHATS if "streaming" in each.features]
WHOLE = [each for each in CHATS if "streaming" not in each.features]
READABLE = {name: body for name, body in ANSWERS.items() if name != "picture"}
"""The SDK reads no pictures in answers."""
FOLDED = {name: values for name, values in STREAMS.items() if name != "odd lines"}

codec = OllamaCodec()


def agrees(response: GenerateResponse, answers: list[ChatResponse]) -> None:
    (candidate,) = response.candidates
    parts, last = candidate.parts, answers[-1]
    messages = [each.message for each in answers]
    assert "".join(part.text for part in parts) == "".join(each.content or "" for each in messages)
    assert "".join(part.reasoning.text for part in parts) == "".join(each.thinking or "" for each in messages)
    calls = [
        (part.tool_call.name, json.loads(part.tool_call.arguments))
        for part in parts
        if part.HasField("tool_call")
    ]
    expected = [call.function for each in messages for call in each.tool_calls or []]
    assert calls == [(function.name, function.arguments) for function in expected]
    ids = [part.tool_call.id for part in parts if part.HasField("tool_call")]
    assert len(set(ids)) == len(ids)
    assert response.provider_model == (last.model or "")
    if last.done:
        assert candidate.finish.provider_reason == (last.done_reason or "")
        finished_by_call = candidate.finish.reason == FinishReason.FINISH_REASON_TOOL_CALL
        assert finished_by_call == (bool(calls) and last.done_reason == "stop")
    usage = response.usage
    assert usage.HasField("input_tokens") == (last.prompt_eval_count is not None)
    assert usage.input_tokens == (last.prompt_eval_count or 0)
    assert usage.output_tokens == (last.eval_count or 0)
    items = json.loads(candidate.logprobs_json)["logprobs"] if candidate.logprobs_json else []
    told = [item.model_dump(exclude_none=True) for each in answers for item in each.logprobs or []]
    assert items == told


def folded(data: bytes) -> GenerateResponse:
    decoder = codec.stream_decoder()
    events = [event for piece in random_pieces(data, 5) for event in decoder.feed(piece)]
    return fold(events + decoder.close())


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_recorded_answer(exchange: Exchange) -> None:
    agrees(codec.decode_response(exchange.answer), [whole_answer(exchange.answer)])


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE)
def test_answer_of_ours(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    agrees(codec.decode_response(data), [whole_answer(data)])


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_recorded_stream(exchange: Exchange) -> None:
    same_stream(exchange.answer)


@pytest.mark.parametrize("values", FOLDED.values(), ids=FOLDED)
def test_stream_of_ours(values: list[Any]) -> None:
    same_stream(stream(values))


def same_stream(data: bytes) -> None:
    response = folded(data)
    agrees(response, streamed_answers(data))
    # And written as a whole answer, the SDK reads the same again.
    agrees(response, [whole_answer(codec.encode_response(response))])


def test_calls_without_an_id_get_one_that_is_taken_off_again() -> None:
    data = stream(STREAMS["calls"])
    calls = [part.tool_call for part in folded(data).candidates[0].parts if part.HasField("tool_call")]
    assert [(call.id, call.id_generated) for call in calls] == [
        ("call_202507072022191_0", True),
        ("x", False),
        ("call_202507072022191_2", True),
    ]
    again = json.loads(codec.encode_response(folded(data)))["message"]["tool_calls"]
    assert [call.get("id") for call in again] == [None, "x", None]


def test_vectors() -> None:
    (exchange,) = (each for each in recorded("openai.embeddings") if each.name in MISFILED)
    (vector,) = codec.decode_embed_response(exchange.answer).embeddings
    assert list(vector.floats.values) == embedded_of_old(exchange.answer).embedding
    body = b'{"model":"m","embeddings":[[0.5,1],[2e-3,-1]],"prompt_eval_count":3}'
    vectors = codec.decode_embed_response(body).embeddings
    assert [list(each.floats.values) for each in vectors] == embedded(body).embeddings


@pytest.mark.parametrize("exchange", CHATS, ids=str)
def test_the_sdk_sends_the_requests_that_we_write(exchange: Exchange) -> None:
    """The SDK takes our body for its arguments; what it sends means the same to us."""
    assert exchange.body is not None
    read = codec.decode_request(json.dumps(exchange.body, separators=(",", ":")).encode())
    written = json.loads(codec.encode_request(read.request, exchange.model, stream=False).body)
    sent = codec.decode_request(sent_body(written))
    for ours, theirs in zip(read.request.messages, sent.request.messages, strict=True):
        assert (ours.role, list(ours.parts)) == (theirs.role, list(theirs.parts))
    assert read.request.options == sent.request.options
    assert [tool.function.name for tool in read.request.tools] == [
        tool.function.name for tool in sent.request.tools
    ]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_errors(status: int) -> None:
    body = b'{"error":"no such luck"}'
    ours, sdk = codec.decode_error(status, {}, body), error_of(status, body)
    assert ours.upstream is not None
    assert (ours.upstream.http_status, ours.upstream.message) == (sdk.status_code, sdk.error)


def test_a_failure_in_the_stream() -> None:
    data = stream([*STREAMS["text"][:2], {"error": "it broke"}])
    with pytest.raises(ResponseError, match="it broke"):
        streamed_answers(data)
    with pytest.raises(LlmhubError, match="it broke"):
        folded(data)


@pytest.mark.parametrize(
    ("fraction", "nanos"), [("", 0), (".3", 300_000_000), (".39151", 391_510_000), (".1234567", 123_456_700)]
)
def test_times_as_go_writes_them_are_read(fraction: str, nanos: int) -> None:
    body = {**ANSWERS["text"], "created_at": f"2024-05-24T20:26:46{fraction}Z"}
    assert codec.decode_response(json.dumps(body).encode()).created_at.nanos == nanos
    assert codec.decode_response(json.dumps(body).encode()).created_at.seconds == 1716582406
