"""What the contract says of an answer agrees with what the official SDK reads from the same bytes."""

import json
from typing import Any

import pytest
from cohere import V2ChatResponse
from pydantic import BaseModel

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.cohere import CohereCodec
from services.dialects.fold import fold
from services.runtime.errors import UpstreamFailed
from tests.dialects.cohere.cases import ANSWERS, STREAMS, stream
from tests.dialects.cohere.official import embedded, error_of, sent_body, streamed_events, whole_answer
from tests.support.exchanges import Exchange, random_pieces, recorded

CHATS = recorded("cohere.v2.chat")
EMBEDS = recorded("cohere.v2.embed")
codec = CohereCodec()
READABLE = {name: body for name, body in ANSWERS.items() if name not in {"string content", "bare"}}
"""The SDK builds no content from a string, and no answer without an end."""
FOLDED = {
    name: values
    for name, values in STREAMS.items()
    if name not in {"failed", "odd frames", "citation far too late"}
}


def plain(value: Any) -> Any:
    """An SDK's object by value."""
    return value.model_dump(exclude_none=True, by_alias=True) if isinstance(value, BaseModel) else value


def agrees(response: GenerateResponse, sdk: V2ChatResponse) -> None:
    (candidate,) = response.candidates
    parts = candidate.parts
    message = sdk.message
    said = [
        (plain(each)["type"], plain(each).get("text") or plain(each).get("thinking"))
        for each in message.content or []
    ]
    own = [
        part for part in parts if not part.HasField("tool_call") and '"plan"' not in part.extensions["cohere"]
    ]
    assert [
        ("thinking", p.reasoning.text) if p.HasField("reasoning") else ("text", p.text) for p in own
    ] == said
    plan = [part.reasoning.text for part in parts if '"plan"' in part.extensions["cohere"]]
    assert plan == ([message.tool_plan] if message.tool_plan else [])
    calls = [part.tool_call for part in parts if part.HasField("tool_call")]
    expected = [(each.id, each.function) for each in message.tool_calls or []]
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        (identity, function.name, function.arguments)
        for identity, function in expected
        if function is not None
    ]
    cited = [citation for part in parts for citation in part.citations]
    quotes = sorted((each.start, each.end, each.text) for each in message.citations or [])
    if '"citations"' not in candidate.extensions["cohere"]:
        assert sorted((each.start, each.end, each.cited_text) for each in cited) == quotes
    assert candidate.finish.provider_reason == sdk.finish_reason
    assert response.response_id == sdk.id
    if sdk.usage is not None:
        agree_on_usage(response.usage, plain(sdk.usage))
    items = json.loads(candidate.logprobs_json)["logprobs"] if candidate.logprobs_json else []
    assert items == [plain(each) for each in sdk.logprobs or []]


def agree_on_usage(usage: Usage, sdk: dict[str, Any]) -> None:
    assert usage.measure == MEASURE_VENDOR
    billed = sdk["billed_units"]
    assert usage.input_tokens == billed["input_tokens"]
    assert usage.output_tokens + usage.reasoning_tokens == billed["output_tokens"]
    assert usage.reasoning_tokens == sdk["tokens"].get("reasoning_tokens", 0)
    assert usage.HasField("reasoning_tokens") == ("reasoning_tokens" in sdk["tokens"])
    assert usage.server_tool_calls.get("search_units", 0) == billed.get("search_units", 0)
    assert json.loads(usage.provider_json)["tokens"] == sdk["tokens"]


def folded(data: bytes) -> GenerateResponse:
    decoder = codec.stream_decoder()
    events = [event for piece in random_pieces(data, 5) for event in decoder.feed(piece)]
    return fold(events + decoder.close())


def whole_of(events: list[Any]) -> V2ChatResponse:
    """A stream's events put together, as the SDK's documentation tells its users to."""
    message: dict[str, Any] = {"role": "assistant"}
    answer: dict[str, Any] = {"message": message}
    for event in map(plain, events):
        if "logprobs" in event:
            answer.setdefault("logprobs", []).append(event["logprobs"])
        match event["type"]:
            case "message-start":
                answer["id"] = event["id"]
            case "message-end":
                answer.update(event["delta"])
            case _ if "delta" in event:
                grow(message, event["type"], event.get("index", 0), event["delta"]["message"])
            case _:
                pass
    return whole_answer(json.dumps(answer).encode())


def grow(message: dict[str, Any], kind: str, index: int, said: dict[str, Any]) -> None:
    match kind:
        case "content-start":
            message.setdefault("content", []).append(dict(said["content"]))
        case "content-delta":
            for name, text in said["content"].items():
                message["content"][index][name] += text
        case "tool-plan-delta":
            message["tool_plan"] = message.get("tool_plan", "") + said["tool_plan"]
        case "tool-call-start":
            message.setdefault("tool_calls", []).append(said["tool_calls"])
        case "tool-call-delta":
            function = message["tool_calls"][index]["function"]
            function["arguments"] += said["tool_calls"]["function"]["arguments"]
        case "citation-start":
            message.setdefault("citations", []).append(said["citations"])
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("exchange", [each for each in CHATS if not each.streaming], ids=str)
def test_recorded_answer(exchange: Exchange) -> None:
    agrees(codec.decode_response(exchange.answer), whole_answer(exchange.answer))


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE)
def test_answer_of_ours(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    agrees(codec.decode_response(data), whole_answer(data))


@pytest.mark.parametrize("exchange", [each for each in CHATS if each.streaming], ids=str)
def test_recorded_stream(exchange: Exchange) -> None:
    same_stream(exchange.answer)


@pytest.mark.parametrize("values", FOLDED.values(), ids=FOLDED)
def test_stream_of_ours(values: list[Any]) -> None:
    same_stream(stream(values))


def same_stream(data: bytes) -> None:
    response = folded(data)
    sdk = whole_of(streamed_events(data))
    agrees(response, sdk)
    # And written as a whole answer, the SDK reads the same again.
    agrees(response, whole_answer(codec.encode_response(response)))


@pytest.mark.parametrize("exchange", EMBEDS, ids=str)
def test_recorded_vectors(exchange: Exchange) -> None:
    response, sdk = codec.decode_embed_response(exchange.answer), embedded(exchange.answer)
    assert [list(each.floats.values) for each in response.embeddings] == sdk.embeddings.float_
    assert sdk.meta is not None
    assert sdk.meta.billed_units is not None
    assert response.usage.input_tokens == sdk.meta.billed_units.input_tokens


@pytest.mark.parametrize("exchange", CHATS, ids=str)
def test_the_sdk_sends_the_requests_that_we_write(exchange: Exchange) -> None:
    """The SDK takes our body for its arguments and sends the same."""
    read = codec.decode_request(json.dumps(exchange.body).encode())
    written = json.loads(codec.encode_request(read.request, exchange.model, stream=False).body)
    written.pop("stream", None)
    assert json.loads(sent_body(written)) == {**written, "stream": False}


def test_errors() -> None:
    for status in (400, 401, 403, 404, 422, 429, 498, 499, 500, 501, 503, 504):
        body = json.dumps({"message": f"no {status}", "id": "1"}).encode()
        ours, sdk = codec.decode_error(status, {}, body), error_of(status, body)
        assert ours.upstream is not None
        assert ours.upstream.http_status == sdk.status_code
        assert ours.upstream.message == sdk.body["message"]


def test_a_failure_in_the_stream() -> None:
    data = stream(STREAMS["failed"])
    end = streamed_events(data)[-1]
    with pytest.raises(UpstreamFailed, match=end.delta.error):
        folded(data)
