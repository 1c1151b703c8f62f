"""From and to OpenAI's dialect by way of the contract, with both official SDKs as readers."""

import json
from typing import Any

import pytest
from ollama import Message, Tool
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.generation_pb2 import FINISH_REASON_TOOL_CALL as TOOL_CALL
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from services.dialects.ollama import OllamaCodec
from services.dialects.openai import OpenAICodec
from services.runtime.errors import LlmhubError
from tests.dialects.ollama.cases import ANSWERS, REQUESTS, STREAMS, stream
from tests.dialects.ollama.official import streamed_answers, whole_answer
from tests.dialects.openai import official as openai_sdk
from tests.support.exchanges import Exchange, random_pieces, recorded
from tests.support.recordings import recordings

CHATS = recordings("openai.chat")
ASKED = [each for each in CHATS if each.body is not None]
WHOLE = [each for each in CHATS if each.status == 200 and not each.streaming]
STREAMED = [each for each in CHATS if each.status == 200 and each.streaming]
OWN = recorded("ollama.chat")

codec = OllamaCodec()
openai = OpenAICodec()
PLAIN = codec.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
TO_OPENAI = DecodedRequest(PLAIN.request, stream=True, include_usage=True)
MESSAGES: TypeAdapter[Any] = TypeAdapter(list[Message])
TOOLS: TypeAdapter[Any] = TypeAdapter(list[Tool])


def test_the_types_can_refuse() -> None:
    with pytest.raises(ValueError, match="arguments"):
        MESSAGES.validate_python([{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}])


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_requests_of_openai_callers_fit_the_sdks_types(exchange: Exchange) -> None:
    read = openai.decode_request(json.dumps(exchange.body).encode())
    sent = codec.encode_request(read.request, "qwen3:8b", stream=read.stream)
    body = json.loads(sent.body)
    MESSAGES.validate_python([as_the_sdk_takes_it(each) for each in body["messages"]])
    TOOLS.validate_python(body.get("tools", []))
    assert body["messages"]
    asked = [each for each in exchange.question["messages"] if each["role"] == "tool"]
    assert len([each for each in body["messages"] if each["role"] == "tool"]) == len(asked)
    assert all(warning.field and warning.message and warning.kind for warning in sent.warnings)
    # What was written is a request of this dialect.
    codec.decode_request(sent.body)


def as_the_sdk_takes_it(message: dict[str, Any]) -> dict[str, Any]:
    """The SDK makes objects of pictures that are strings before its types see them."""
    images = [{"value": each} for each in message.get("images", [])]
    return {**message, "images": images} if images else message


def texts(response: GenerateResponse) -> str:
    return "".join(part.text or part.refusal for part in response.candidates[0].parts)


def calls(response: GenerateResponse) -> list[tuple[str, Any]]:
    found = [part.tool_call for part in response.candidates[0].parts if part.HasField("tool_call")]
    return [(call.name, json.loads(call.arguments or "{}")) for call in found]


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_answers_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    response = openai.decode_response(exchange.answer)
    if not response.candidates:
        return
    body = codec.encode_response(response)
    whole_answer(body)
    same(response, codec.decode_response(body))


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_streams_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    decoder = openai.stream_decoder()
    pieces = random_pieces(exchange.answer, 11)
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
    encoder = codec.stream_encoder(PLAIN)
    data = b"".join(encoder.encode([event]) for event in events)
    reader = codec.stream_decoder()
    again = reader.feed(data) + reader.close()
    assert again[-1].finished.complete == events[-1].finished.complete
    if events[-1].finished.complete:
        streamed_answers(data)
        same(fold(events), fold(again))


def same(response: GenerateResponse, again: GenerateResponse) -> None:
    assert texts(again) == texts(response)
    assert calls(again) == calls(response)
    thought = "".join(part.reasoning.text for part in response.candidates[0].parts)
    assert "".join(part.reasoning.text for part in again.candidates[0].parts) == thought
    if response.HasField("usage"):
        usage, copy = response.usage, again.usage
        read = (
            usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.tool_prompt_tokens
        )
        assert copy.input_tokens == read
        assert copy.output_tokens + copy.reasoning_tokens == usage.output_tokens + usage.reasoning_tokens


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_requests_can_go_to_openai(body: dict[str, Any]) -> None:
    read = codec.decode_request(json.dumps(body).encode())
    sent = openai.encode_request(read.request, "gpt", stream=False)
    written = json.loads(sent.body)
    assert len(written["messages"]) >= len(read.request.messages) - 3
    extension = read.request.extensions["ollama"]
    assert ("keep_alive" in body) <= ("keep_alive" in extension)


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_answers_are_completions_of_openai(body: dict[str, Any]) -> None:
    response = codec.decode_response(json.dumps(body).encode())
    agrees(response, openai_sdk.whole(openai.encode_response(response)))


def agrees(response: GenerateResponse, sdk: ChatCompletion) -> None:
    (choice,) = sdk.choices
    assert (choice.message.content or "") == texts(response)
    told = [each.function for each in choice.message.tool_calls or [] if each.type == "function"]
    assert [(each.name, json.loads(each.arguments or "{}")) for each in told] == calls(response)
    if calls(response):
        assert choice.finish_reason == "tool_calls"
    if sdk.usage is not None:
        assert sdk.usage.prompt_tokens == response.usage.input_tokens
        assert sdk.usage.completion_tokens == response.usage.output_tokens + response.usage.reasoning_tokens


@pytest.mark.parametrize("data", [stream(each) for each in STREAMS.values()], ids=STREAMS)
def test_streams_of_ours_are_chunks_of_openai(data: bytes) -> None:
    chunks_agree(data)


@pytest.mark.parametrize("exchange", [each for each in OWN if "streaming" in each.features], ids=str)
def test_recorded_streams_are_chunks_of_openai(exchange: Exchange) -> None:
    chunks_agree(exchange.answer)


def chunks_agree(data: bytes) -> None:
    decoder = codec.stream_decoder()
    events: list[StreamEvent] = decoder.feed(data) + decoder.close()
    written = openai.stream_encoder(TO_OPENAI).encode(events)
    if not events[-1].finished.complete:
        assert b'"error"' in written
        assert b"[DONE]" not in written
        return
    whole = fold(events)
    chunks = openai_sdk.streamed(written)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == texts(whole)
    names = [
        call.function.name for choice in choices for call in choice.delta.tool_calls or [] if call.function
    ]
    assert [name for name in names if name] == [name for name, _ in calls(whole)]
    ended = [choice.finish_reason for choice in choices if choice.finish_reason]
    assert len(ended) == 1
    assert (ended == ["tool_calls"]) == (
        bool(calls(whole)) and whole.candidates[0].finish.reason == TOOL_CALL
    )


@pytest.mark.parametrize("exchange", [each for each in CHATS if each.status >= 400], ids=str)
def test_failures_of_openai_are_told(exchange: Exchange) -> None:
    error = openai.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    assert isinstance(error, LlmhubError)
    answer = codec.encode_error(error, "r")
    assert answer.status >= 400
    again = codec.decode_error(answer.status, answer.headers, answer.body)
    assert again.upstream is not None
    assert again.upstream.message
