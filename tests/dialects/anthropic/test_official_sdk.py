"""What the contract says of an answer agrees with what the official SDK reads from the same bytes."""

import json
from typing import Any

import pytest
from anthropic import BaseModel
from anthropic.types.beta import BetaMessage, BetaUsage

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Citation, Part
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.anthropic import AnthropicCodec
from services.dialects.anthropic.opaque import whole_block
from services.dialects.fold import fold
from tests.dialects.anthropic.official import counted_tokens, error_of, message_of, whole_message
from tests.support.exchanges import Exchange, random_pieces, recorded

ANSWERS = [each for each in recorded("anthropic.messages") if each.status == 200]
WHOLE = [each for each in ANSWERS if not each.streaming]
STREAMS = [each for each in ANSWERS if each.streaming]
COUNTS = [each for each in recorded("anthropic.count_tokens") if each.status == 200]
FAILED = [each for each in recorded("anthropic.messages", "anthropic.count_tokens") if each.status >= 400]

REASONS = {
    "end_turn": FinishReason.FINISH_REASON_END,
    "max_tokens": FinishReason.FINISH_REASON_MAX_TOKENS,
    "stop_sequence": FinishReason.FINISH_REASON_STOP_SEQUENCE,
    "tool_use": FinishReason.FINISH_REASON_TOOL_CALL,
    "pause_turn": FinishReason.FINISH_REASON_PAUSE,
}

codec = AnthropicCodec()


def parts_by_contract(parts: list[Part]) -> list[tuple[Any, ...]]:
    return [part_by_contract(part) for part in parts]


def part_by_contract(part: Part) -> tuple[Any, ...]:
    match part.WhichOneof("kind"):
        case "text":
            return ("text", part.text, [citation_by_contract(citation) for citation in part.citations])
        case "reasoning" if part.reasoning.redacted:
            return ("redacted", part.state.data.decode())
        case "reasoning":
            return ("thinking", part.reasoning.text, part.state.data.decode())
        case "tool_call":
            return (
                "tool_use",
                part.tool_call.id,
                part.tool_call.name,
                json.loads(part.tool_call.arguments),
            )
        case "opaque":
            return ("opaque", part.opaque.type, without_nulls(json.loads(part.opaque.json)))
        case kind:
            raise AssertionError(kind)


def citation_by_contract(citation: Citation) -> tuple[Any, ...]:
    index = citation.document_index if citation.HasField("document_index") else None
    start = citation.start if citation.HasField("start") else None
    return (citation.kind, citation.cited_text, citation.url, citation.title, index, start)


def parts_by_sdk(message: BetaMessage) -> list[tuple[Any, ...]]:
    return [part_by_sdk(as_object(block)) for block in message.content]


def without_nulls(block: dict[str, Any]) -> dict[str, Any]:
    """The SDK adds the members that its types have and the bytes do not."""
    return {name: value for name, value in block.items() if value is not None}


def as_object(block: BaseModel) -> dict[str, Any]:
    return block.to_dict()


def part_by_sdk(block: dict[str, Any]) -> tuple[Any, ...]:
    match block["type"]:
        case "text":
            return ("text", block["text"], [citation_by_sdk(each) for each in block.get("citations") or []])
        case "thinking":
            return ("thinking", block["thinking"], block["signature"])
        case "redacted_thinking":
            return ("redacted", block["data"])
        case "tool_use":
            return ("tool_use", block["id"], block["name"], block["input"])
        case kind:
            return ("opaque", kind, without_nulls(block))


def citation_by_sdk(each: dict[str, Any]) -> tuple[Any, ...]:
    return (
        each["type"],
        each["cited_text"],
        each.get("url") or "",
        each.get("title") or each.get("document_title") or "",
        each.get("document_index"),
        each.get("start_char_index"),
    )


def agree_on_usage(usage: Usage, sdk: BetaUsage) -> None:
    assert usage.measure == MEASURE_VENDOR
    # Charged, and not in the sums.
    beside = [each for each in sdk.iterations or [] if each.type in {"compaction", "advisor_message"}]
    assert usage.input_tokens == sdk.input_tokens + sum(each.input_tokens for each in beside)
    output = sdk.output_tokens + sum(each.output_tokens for each in beside)
    assert usage.output_tokens + usage.reasoning_tokens == output
    read = sum(each.cache_read_input_tokens for each in beside)
    assert usage.cache_read_tokens == (sdk.cache_read_input_tokens or 0) + read
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + usage.cache_write_tokens
    assert written == (sdk.cache_creation_input_tokens or 0)
    assert usage.HasField("cache_read_tokens") == (sdk.cache_read_input_tokens is not None)
    if sdk.output_tokens_details is not None:
        assert usage.reasoning_tokens == sdk.output_tokens_details.thinking_tokens
    if sdk.server_tool_use is not None:
        assert usage.server_tool_calls["web_search_requests"] == sdk.server_tool_use.web_search_requests
    assert json.loads(usage.provider_json)["output_tokens"] == sdk.output_tokens


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answer(exchange: Exchange) -> None:
    agrees(codec.decode_response(exchange.answer), message_of(exchange))


def agrees(response: GenerateResponse, message: BetaMessage) -> None:
    (candidate,) = response.candidates
    assert parts_by_contract(list(candidate.parts)) == parts_by_sdk(message)
    assert message.stop_reason is not None
    assert candidate.finish.provider_reason == message.stop_reason
    assert candidate.finish.reason == REASONS[message.stop_reason]
    assert candidate.finish.stop_sequence == (message.stop_sequence or "")
    assert (response.response_id, response.provider_model) == (message.id, message.model)
    agree_on_usage(response.usage, message.usage)


def folded(exchange: Exchange) -> GenerateResponse:
    """The stream as a whole answer, opaque blocks included."""
    decoder = codec.stream_decoder()
    events = [event for piece in random_pieces(exchange.answer, 5) for event in decoder.feed(piece)]
    events += decoder.close()
    return fold(events, {"anthropic": whole_block})


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_folded_stream(exchange: Exchange) -> None:
    response = folded(exchange)
    message = message_of(exchange)
    agrees(response, message)
    # And written as a whole answer, the SDK reads the same again.
    agrees(response, whole_message(codec.encode_response(response)))


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_token_count(exchange: Exchange) -> None:
    response = codec.decode_count_response(exchange.answer)
    assert response.input_tokens == counted_tokens(exchange.answer) > 0
    assert response.measure == MEASURE_VENDOR


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_error(exchange: Exchange) -> None:
    error = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    raised = error_of(exchange.status, dict(exchange.headers), exchange.answer)
    assert error.upstream is not None
    assert isinstance(raised.body, dict)
    assert error.upstream.http_status == raised.status_code
    assert error.upstream.type == raised.body["error"]["type"]
    assert error.upstream.message == raised.body["error"]["message"]
