"""What the contract says of an answer agrees with what Google's SDK reads from the same bytes."""

import json
from typing import Any

import pytest
from google.genai import types

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.usage_pb2 import (
    MEASURE_VENDOR,
    USAGE_CLASS_CACHE_READ,
    USAGE_CLASS_INPUT,
    USAGE_CLASS_OUTPUT,
    Usage,
)
from services.dialects.fold import fold
from services.dialects.gemini import Framing, GeminiCodec
from tests.dialects.gemini.official import counted, embedded, error_of, streamed, whole
from tests.dialects.gemini.recorded import (
    COUNTS,
    EMBEDDINGS,
    FAILED,
    PLAIN,
    STREAMS,
    WHOLE,
    decoded,
    frames,
)
from tests.support.exceptions import NUMBERED
from tests.support.exchanges import Exchange, random_pieces

REASONS = {
    "STOP": FinishReason.FINISH_REASON_END,
    "MAX_TOKENS": FinishReason.FINISH_REASON_MAX_TOKENS,
    "SAFETY": FinishReason.FINISH_REASON_CONTENT_FILTER,
    "UNEXPECTED_TOOL_CALL": FinishReason.FINISH_REASON_MALFORMED,
}
NUMBERED_REASONS = dict(
    zip(NUMBERED, (FinishReason.FINISH_REASON_END, FinishReason.FINISH_REASON_MAX_TOKENS), strict=True)
)

codec = GeminiCodec()


def by_contract(parts: list[Part]) -> list[tuple[Any, ...]]:
    return [(*_by_contract(part), part.state.data.decode()) for part in parts]


def _by_contract(part: Part) -> tuple[Any, ...]:
    match part.WhichOneof("kind"):
        case "text":
            return ("text", part.text)
        case "reasoning":
            return ("thought", part.reasoning.text)
        case "tool_call":
            call = part.tool_call
            given = None if call.id_generated else call.id
            return ("call", given, call.name, json.loads(call.arguments or "{}"))
        case "opaque":
            return ("opaque", part.opaque.type)
        case kind:
            raise AssertionError(kind)


def by_sdk(parts: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(*_by_sdk(part), part.get("thoughtSignature", "")) for part in parts]


def _by_sdk(part: dict[str, Any]) -> tuple[Any, ...]:
    if "text" in part:
        return ("thought" if part.get("thought") else "text", part["text"])
    if "functionCall" in part:
        call = part["functionCall"]
        return ("call", call.get("id"), call["name"], call.get("args") or {})
    return ("opaque", next(name for name in part if name != "thoughtSignature"))


def parts_of(candidate: types.Candidate) -> list[dict[str, Any]]:
    """The SDK's parts as JSON, signatures spelled as on the wire."""
    content = candidate.content
    dumped = [
        part.model_dump(mode="json", by_alias=True, exclude_none=True)
        for part in (content.parts if content is not None else None) or ()
    ]
    for part in dumped:
        if "thoughtSignature" in part:
            part["thoughtSignature"] = part["thoughtSignature"].replace("-", "+").replace("_", "/")
    return dumped


def accumulated(chunks: list[types.GenerateContentResponse]) -> list[dict[str, Any]]:
    """The first candidate's parts of all chunks; what only carries on an unsigned text is joined to it."""
    parts: list[dict[str, Any]] = []
    for chunk in chunks:
        for candidate in chunk.candidates or ():
            for part in parts_of(candidate) if not candidate.index else ():
                plain = {"text", "thought"} >= part.keys()
                same = plain and parts and {"text", "thought"} >= parts[-1].keys()
                if same and bool(part.get("thought")) == bool(parts[-1].get("thought")):
                    parts[-1]["text"] += part["text"]
                else:
                    parts.append(part)
    return parts


def agree_on_usage(usage: Usage, sdk: types.GenerateContentResponseUsageMetadata) -> None:
    assert usage.measure == MEASURE_VENDOR
    prompt = usage.input_tokens + usage.cache_read_tokens
    assert prompt == sdk.prompt_token_count
    assert usage.HasField("cache_read_tokens") == (sdk.cached_content_token_count is not None)
    assert usage.cache_read_tokens == (sdk.cached_content_token_count or 0)
    assert usage.output_tokens == (sdk.candidates_token_count or 0)
    assert usage.HasField("reasoning_tokens") == (sdk.thoughts_token_count is not None)
    assert usage.reasoning_tokens == (sdk.thoughts_token_count or 0)
    assert usage.HasField("tool_prompt_tokens") == (sdk.tool_use_prompt_token_count is not None)
    assert usage.tool_prompt_tokens == (sdk.tool_use_prompt_token_count or 0)
    total = prompt + usage.output_tokens + usage.reasoning_tokens + usage.tool_prompt_tokens
    assert total == usage.provider_total_tokens == sdk.total_token_count
    agree_on_modalities(usage, sdk)


def agree_on_modalities(usage: Usage, sdk: types.GenerateContentResponseUsageMetadata) -> None:
    """Each split adds up to its class."""
    told = [
        (USAGE_CLASS_CACHE_READ, usage.cache_read_tokens, sdk.cache_tokens_details),
        (USAGE_CLASS_OUTPUT, usage.output_tokens, sdk.candidates_tokens_details),
        (USAGE_CLASS_INPUT, usage.input_tokens, sdk.prompt_tokens_details),
    ]
    for usage_class, tokens, details in told:
        parts = [each.tokens for each in usage.modalities if each.usage_class == usage_class]
        if details and sum(each.token_count or 0 for each in details) >= tokens:
            assert sum(parts) == tokens


def agree_on_finish(response: GenerateResponse, sdk: types.Candidate) -> None:
    finish = response.candidates[0].finish
    assert sdk.finish_reason is not None
    assert finish.provider_reason == sdk.finish_reason.value
    reason = REASONS[sdk.finish_reason.value]
    called = any(part.HasField("tool_call") for part in response.candidates[0].parts)
    if called and reason == FinishReason.FINISH_REASON_END:
        reason = FinishReason.FINISH_REASON_TOOL_CALL
    assert finish.reason == reason


def agree_on_citations(response: GenerateResponse, sdk: types.Candidate, exchange: Exchange) -> None:
    """Every support of every source is a citation, and cuts its segment out of the text."""
    grounding = sdk.grounding_metadata
    supports = (grounding.grounding_supports if grounding is not None else None) or []
    expected = [
        (support.segment.text, index)
        for support in supports
        if support.segment is not None
        for index in support.grounding_chunk_indices or ()
    ]
    cited = [
        part.text[citation.start : citation.end]
        for part in response.candidates[0].parts
        for citation in part.citations
    ]
    assert len(cited) == len(expected)
    if exchange.exact:
        # Elsewhere the recorder folded dashes, and the places are no longer those of the text.
        assert cited == [text for text, _ in expected]


@pytest.mark.parametrize("exchange", [each for each in WHOLE if each.name not in NUMBERED], ids=str)
def test_whole_answer(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    sdk = whole(exchange.answer)
    assert (response.response_id, response.provider_model) == (sdk.response_id, sdk.model_version)
    if not sdk.candidates:
        assert sdk.prompt_feedback is not None
        assert sdk.prompt_feedback.block_reason is not None
        (candidate,) = response.candidates
        assert candidate.finish.reason == FinishReason.FINISH_REASON_CONTENT_FILTER
        assert candidate.finish.provider_reason == sdk.prompt_feedback.block_reason.value
        assert candidate.finish.refusal_explanation == sdk.prompt_feedback.block_reason_message
        assert not candidate.parts
        return
    assert by_contract(list(response.candidates[0].parts)) == by_sdk(parts_of(sdk.candidates[0]))
    agree_on_finish(response, sdk.candidates[0])
    agree_on_citations(response, sdk.candidates[0], exchange)
    assert sdk.usage_metadata is not None
    agree_on_usage(response.usage, sdk.usage_metadata)


@pytest.mark.parametrize("exchange", [each for each in WHOLE if each.name in NUMBERED], ids=str)
def test_numbers_for_words(exchange: Exchange) -> None:
    with pytest.raises(AttributeError):
        whole(exchange.answer)
    response = codec.decode_response(exchange.answer)
    assert response.candidates[0].finish.reason == NUMBERED_REASONS[exchange.name]
    told = json.loads(exchange.answer)["usageMetadata"]
    assert response.usage.output_tokens == told.get("candidatesTokenCount", 0)
    assert response.usage.HasField("output_tokens")
    read = [each.tokens for each in response.usage.modalities]
    assert read[: len(told["promptTokensDetails"])] == [e["tokenCount"] for e in told["promptTokensDetails"]]


def as_events(exchange: Exchange) -> bytes:
    """The stream as server-sent events, which are all that the SDK reads."""
    chunks = frames(exchange.answer)
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_folded_stream(exchange: Exchange) -> None:
    response = fold(decoded(*random_pieces(exchange.answer, 5)))
    chunks = streamed(as_events(exchange))
    last = chunks[-1]
    assert last.candidates
    assert by_contract(list(response.candidates[0].parts)) == by_sdk(accumulated(chunks))
    agree_on_finish(response, last.candidates[0])
    agree_on_citations(response, last.candidates[0], exchange)
    assert last.usage_metadata is not None
    agree_on_usage(response.usage, last.usage_metadata)
    assert (response.response_id, response.provider_model) == (last.response_id, last.model_version)
    again = whole(codec.encode_response(response))
    assert again.candidates
    assert by_sdk(parts_of(again.candidates[0])) == by_contract(list(response.candidates[0].parts))


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_what_the_sdk_reads_of_a_translated_stream(exchange: Exchange) -> None:
    """Events without anything of Gemini's own, as another provider's would be."""
    events = decoded(exchange.answer)
    for event in events:
        event.ClearField("extensions")
    writer = GeminiCodec(framing=Framing.SSE).stream_encoder(codec.decode_request(PLAIN))
    written = b"".join(writer.encode([event]) for event in events)
    chunks = streamed(written)
    response = fold(events)
    said = "".join(part.text for part in response.candidates[0].parts)
    assert (
        "".join(part["text"] for part in accumulated(chunks) if "text" in part and not part.get("thought"))
        == said
    )
    calls = [part["functionCall"]["name"] for part in accumulated(chunks) if "functionCall" in part]
    assert calls == [p.tool_call.name for p in response.candidates[0].parts if p.HasField("tool_call")]
    assert chunks[-1].candidates
    agree_on_finish(response, chunks[-1].candidates[0])
    assert chunks[-1].usage_metadata is not None
    agree_on_usage(response.usage, chunks[-1].usage_metadata)


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_token_count(exchange: Exchange) -> None:
    response = codec.decode_count_response(exchange.answer)
    assert response.input_tokens == counted(exchange.answer).total_tokens
    assert response.measure == MEASURE_VENDOR


@pytest.mark.parametrize("exchange", [e for e in EMBEDDINGS if e.status == 200], ids=str)
def test_embeddings(exchange: Exchange) -> None:
    response = codec.decode_embed_response(exchange.answer)
    if exchange.endpoint != "gemini.batchEmbedContents":
        assert len(response.embeddings) == 1
        assert len(response.embeddings[0].floats.values) in {768, 3072}
        assert response.usage.input_tokens > 0
        return
    read = embedded(exchange.answer).embeddings or []
    assert [list(each.floats.values) for each in response.embeddings] == [each.values for each in read]


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_error(exchange: Exchange) -> None:
    error = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    raised = error_of(exchange.status, dict(exchange.headers), exchange.answer)
    assert error.upstream is not None
    assert (error.upstream.http_status, error.upstream.type) == (raised.code, raised.status)
    assert error.upstream.message == raised.message
