"""OpenAI's callers on Anthropic's models and the reverse: recorded traffic through the contract."""

import itertools
import json
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from anthropic.types.beta import BetaMessage
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from pydantic import TypeAdapter

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from services.dialects.openai import OpenAICodec
from tests.dialects.anthropic.official import streamed_message, whole_message
from tests.support.exchanges import Exchange, random_pieces, recorded

CHATS = recorded("openai.chat")
ASKED = [each for each in CHATS if each.body is not None]
WHOLE = [each for each in CHATS if each.status == 200 and not each.streaming]
STREAMED = [each for each in CHATS if each.status == 200 and each.streaming]
PLAIN = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'

anthropic = AnthropicCodec()
openai = OpenAICodec()


@cache
def sdk_schema() -> jsonschema.Draft202012Validator:
    """The SDK's own types of a request, as a schema."""
    types = MessageCreateParamsNonStreaming | MessageCreateParamsStreaming
    adapter: TypeAdapter[Any] = TypeAdapter(types)
    return jsonschema.Draft202012Validator(adapter.json_schema())


def violations(body: bytes) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in sdk_schema().iter_errors(json.loads(body))]


def test_the_schema_can_refuse() -> None:
    assert violations(PLAIN) == []
    assert violations(PLAIN.replace(b'"max_tokens":1,', b""))
    assert violations(PLAIN.replace(b'"user"', b'"developer"'))


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_requests_of_openai_callers_are_what_the_sdk_would_send(exchange: Exchange) -> None:
    read = openai.decode_request(json.dumps(exchange.body).encode())
    written = anthropic.encode_request(read.request, "claude-x", stream=read.stream)
    assert violations(written.body) == []
    body = json.loads(written.body)
    roles = [message["role"] for message in body["messages"]]
    assert ("user", "user") not in itertools.pairwise(roles)
    assert all(warning.field and warning.message and warning.kind for warning in written.warnings)


def events_of(exchange: Exchange) -> list[StreamEvent]:
    decoder = openai.stream_decoder()
    pieces = random_pieces(exchange.answer, 11)
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def written(events: list[StreamEvent]) -> bytes:
    encoder = anthropic.stream_encoder(anthropic.decode_request(PLAIN))
    return b"".join(encoder.encode([event]) for event in events)


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_streams_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    events = events_of(exchange)
    stream = written(events)
    if events[-1].finished.complete:
        same(fold(events), streamed_message(stream))
    else:
        assert b"event: error\n" in stream
        assert b"message_stop" not in stream


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_answers_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    response = openai.decode_response(exchange.answer)
    same(response, whole_message(anthropic.encode_response(response)))


def same(response: GenerateResponse, message: BetaMessage) -> None:
    parts = response.candidates[0].parts
    said = "".join(part.text or part.refusal for part in parts)
    assert "".join(block.text for block in message.content if block.type == "text") == said
    calls = [
        (part.tool_call.id, part.tool_call.name, json.loads(part.tool_call.arguments or "{}"))
        for part in parts
        if part.HasField("tool_call")
    ]
    assert [
        (block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
    ] == calls
    thought = "".join(part.reasoning.text for part in parts if part.HasField("reasoning"))
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thought
    usage = response.usage
    assert message.usage.input_tokens == usage.input_tokens
    assert message.usage.output_tokens == usage.output_tokens + usage.reasoning_tokens
    assert (message.usage.cache_read_input_tokens or 0) == usage.cache_read_tokens
    assert message.id == (response.response_id or "msg_llmhub")
    assert message.model == response.provider_model
    assert message.stop_reason is not None
    if calls and message.stop_reason != "max_tokens":
        assert message.stop_reason in {"tool_use", "end_turn"}


MESSAGES = [each for each in recorded("anthropic.messages") if each.status == 200]


@pytest.mark.parametrize("exchange", [each for each in MESSAGES if each.body is not None], ids=str)
def test_requests_of_anthropic_callers_can_go_to_openai(exchange: Exchange) -> None:
    read = anthropic.decode_request(json.dumps(exchange.body).encode())
    sent = openai.encode_request(read.request, "gpt", stream=read.stream)
    body = json.loads(sent.body)
    assert body["messages"]
    assert b"cache_control" not in sent.body
    assert all(
        message["role"] in {"system", "developer", "user", "assistant", "tool"}
        for message in body["messages"]
    )


@pytest.mark.parametrize("exchange", [each for each in MESSAGES if each.streaming], ids=str)
def test_streams_of_anthropic_are_chunks_of_openai(exchange: Exchange) -> None:
    decoder = anthropic.stream_decoder()
    events = decoder.feed(exchange.answer) + decoder.close()
    asked = DecodedRequest(anthropic.decode_request(PLAIN).request, stream=True, include_usage=True)
    stream = openai.stream_encoder(asked).encode(events)
    reader = openai.stream_decoder()
    again = fold(reader.feed(stream) + reader.close())
    whole = fold(events)
    parts, copies = whole.candidates[0].parts, again.candidates[0].parts
    assert "".join(part.text for part in copies) == "".join(part.text for part in parts)
    assert [part.tool_call for part in copies if part.HasField("tool_call")] == [
        part.tool_call for part in parts if part.HasField("tool_call")
    ]
    assert again.usage.input_tokens == whole.usage.input_tokens
    assert again.usage.cache_read_tokens == whole.usage.cache_read_tokens
    assert stream.endswith(b"data: [DONE]\n\n")
