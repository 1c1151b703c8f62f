"""Recorded traffic of one dialect through the contract into the other: the other's official SDK reads the same."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec, DecodedRequest
from services.dialects.fold import fold
from services.dialects.openai import OpenAICodec
from tests.dialects.anthropic import official as anthropic_sdk
from tests.dialects.openai import official as openai_sdk
from tests.support.exchanges import Exchange, recorded
from tests.support.recordings import recordings

OPENAI: ChatCodec = OpenAICodec()
ANTHROPIC: ChatCodec = AnthropicCodec()
TO_OPENAI = recorded("anthropic.messages")
TO_ANTHROPIC = recordings("openai.chat")
ASKED = DecodedRequest(GenerateRequest(), stream=True, include_usage=True)


def whole(exchange: Exchange, codec: ChatCodec) -> GenerateResponse | None:
    if not exchange.streaming:
        return codec.decode_response(exchange.answer)
    decoder = codec.stream_decoder()
    events = [*decoder.feed(exchange.answer), *decoder.close()]
    return fold(events) if events[-1].finished.complete else None


def written(exchange: Exchange, source: ChatCodec, target: ChatCodec) -> bytes:
    if not exchange.streaming:
        return target.encode_response(source.decode_response(exchange.answer))
    decoder, encoder = source.stream_decoder(), target.stream_encoder(ASKED)
    return encoder.encode([*decoder.feed(exchange.answer), *decoder.close()])


def text(response: GenerateResponse) -> str:
    """Text and refusals: Anthropic has no part for these."""
    parts = response.candidates[0].parts if response.candidates else []
    return "".join(part.text or part.refusal for part in parts)


def calls(response: GenerateResponse) -> list[tuple[str, Any]]:
    parts = response.candidates[0].parts if response.candidates else []
    made = [part.tool_call for part in parts if part.WhichOneof("kind") == "tool_call"]
    return [(call.name, json.loads(call.arguments or "{}")) for call in made]


@pytest.mark.parametrize("exchange", [each for each in TO_OPENAI if each.body], ids=str)
def test_requests_to_openai(exchange: Exchange) -> None:
    asked = ANTHROPIC.decode_request(json.dumps(exchange.body).encode())
    wire = OPENAI.encode_request(asked.request, "gpt-5", stream=asked.stream)
    body = json.loads(wire.body)
    assert body["messages"]
    assert {message["role"] for message in body["messages"]} <= {"system", "user", "assistant", "tool"}
    answered = {message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"}
    asked_for = {call["id"] for message in body["messages"] for call in message.get("tool_calls", ())}
    assert answered <= asked_for
    assert "$shape" not in wire.body.decode()
    assert "\\u0000" not in wire.body.decode()


@pytest.mark.parametrize("exchange", [each for each in TO_OPENAI if each.status == 200], ids=str)
def test_answers_to_openai(exchange: Exchange) -> None:
    response = whole(exchange, ANTHROPIC)
    assert response is not None
    data = written(exchange, ANTHROPIC, OPENAI)
    if exchange.streaming:
        chunks = openai_sdk.streamed(data)
        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == text(response)
        pieces = [call for delta in deltas for call in delta.tool_calls or []]
        found = {piece.index: ["", ""] for piece in pieces}
        for piece in pieces:
            assert piece.function is not None
            found[piece.index][0] += piece.function.name or ""
            found[piece.index][1] += piece.function.arguments or ""
        assert [(name, json.loads(words or "{}")) for name, words in found.values()] == calls(response)
        assert any(chunk.choices[0].finish_reason for chunk in chunks if chunk.choices)
        usage = chunks[-1].usage
    else:
        completion = openai_sdk.whole(data)
        assert (completion.choices[0].message.content or "") == text(response)
        functions = [
            call.function
            for call in completion.choices[0].message.tool_calls or []
            if call.type == "function"
        ]
        assert [(each.name, json.loads(each.arguments or "{}")) for each in functions] == calls(response)
        usage = completion.usage
    assert usage is not None
    ours = response.usage
    written_to_cache = ours.cache_write_tokens + ours.cache_write_5m_tokens + ours.cache_write_1h_tokens
    assert usage.prompt_tokens == ours.input_tokens + ours.cache_read_tokens + written_to_cache
    assert usage.completion_tokens == ours.output_tokens + ours.reasoning_tokens


@pytest.mark.parametrize("exchange", [each for each in TO_ANTHROPIC if each.body], ids=str)
def test_requests_to_anthropic(exchange: Exchange) -> None:
    asked = OPENAI.decode_request(json.dumps(exchange.body).encode())
    wire = ANTHROPIC.encode_request(asked.request, "claude-sonnet-4-5", stream=asked.stream)
    body = json.loads(wire.body)
    assert body["messages"]
    assert "$shape" not in wire.body.decode()
    assert "\\u0000" not in wire.body.decode()


@pytest.mark.parametrize("exchange", [each for each in TO_ANTHROPIC if each.status == 200], ids=str)
def test_answers_to_anthropic(exchange: Exchange) -> None:
    response = whole(exchange, OPENAI)
    if response is None:
        assert b"message_stop" not in written(exchange, OPENAI, ANTHROPIC)
        return
    data = written(exchange, OPENAI, ANTHROPIC)
    read = anthropic_sdk.streamed_message if exchange.streaming else anthropic_sdk.whole_message
    message = read(data)
    assert "".join(block.text for block in message.content if block.type == "text") == text(response)
    made = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert made == calls(response)
    assert message.stop_reason
    assert message.usage.input_tokens == response.usage.input_tokens
