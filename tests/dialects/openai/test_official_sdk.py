"""What comes through the contract is what the official SDK reads from the same bytes."""

from collections import defaultdict
from typing import Any

import openai
import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.fold import Folding
from services.dialects.openai import OpenAICodec
from services.runtime.errors import LlmhubError
from tests.dialects.openai import official
from tests.support.exchanges import Exchange, named, random_pieces
from tests.support.recordings import recordings

CHATS = recordings("openai.chat")
STREAMS = [each for each in CHATS if each.streaming]
WHOLE = [each for each in CHATS if not each.streaming and each.status == 200]

codec = OpenAICodec()


def text(parts: Any) -> str:
    return "".join(part.text for part in parts if part.WhichOneof("kind") == "text")


def reasoning(parts: Any) -> str:
    return "".join(part.reasoning.text for part in parts if part.WhichOneof("kind") == "reasoning")


def calls(parts: Any) -> list[tuple[str, str, str]]:
    found: list[Part] = [part for part in parts if part.WhichOneof("kind") == "tool_call"]
    return [
        (
            "" if part.tool_call.id_generated else part.tool_call.id,
            part.tool_call.name,
            part.tool_call.arguments,
        )
        for part in found
    ]


def agree(usage: Usage, theirs: CompletionUsage | None) -> None:
    if theirs is None:
        assert not usage.provider_json
        return
    details, more = theirs.prompt_tokens_details, theirs.completion_tokens_details
    cached = getattr(details, "cached_tokens", None)
    if cached is not None:
        assert usage.cache_read_tokens == cached
    told = (more.reasoning_tokens if more is not None else None) or 0
    assert usage.HasField("output_tokens")
    if told <= theirs.completion_tokens:
        both = usage.output_tokens + usage.reasoning_tokens
        hidden = theirs.total_tokens - theirs.prompt_tokens - theirs.completion_tokens
        assert both in {theirs.completion_tokens, theirs.completion_tokens + hidden}
    assert usage.provider_total_tokens == theirs.total_tokens


def thought(message: Any) -> str:
    extra = message.model_extra or {}
    told = extra.get("reasoning_content") or extra.get("reasoning") or ""
    content = message.content
    if isinstance(content, list):
        told += "".join(
            inner["text"] for each in content if each["type"] == "thinking" for inner in each["thinking"]
        )
    return told


def said(content: Any) -> str:
    if isinstance(content, list):
        return "".join(each.get("text", "") for each in content if each["type"] == "text")
    return content or ""


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answers(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    completion = official.whole(exchange.answer)
    assert (response.response_id, response.provider_model) == (completion.id, completion.model)
    assert response.created_at.seconds == completion.created
    assert len(response.candidates) == len(completion.choices)
    for ours, theirs in zip(response.candidates, completion.choices, strict=True):
        message = theirs.message
        assert ours.index == theirs.index
        assert text(ours.parts) == said(message.content)
        assert reasoning(ours.parts) == thought(message)
        expected = [
            (call.id, call.function.name, call.function.arguments)
            for call in message.tool_calls or []
            if hasattr(call, "function")
        ]
        if message.function_call is not None:
            expected.append(("", message.function_call.name, message.function_call.arguments))
        assert calls(ours.parts) == expected
        assert ours.finish.provider_reason == theirs.finish_reason
        assert [part.refusal for part in ours.parts if part.refusal] == (
            [message.refusal] if message.refusal else []
        )
    agree(response.usage, completion.usage)


def folded(data: bytes, seed: int) -> GenerateResponse:
    decoder, folding = codec.stream_decoder(), Folding()
    for piece in random_pieces(data, seed):
        for event in decoder.feed(piece):
            folding.add(event)
    for event in decoder.close():
        folding.add(event)
    return folding.whole()


def accumulated(
    chunks: list[ChatCompletionChunk],
) -> tuple[dict[int, dict[str, Any]], CompletionUsage | None]:
    choices: dict[int, dict[str, Any]] = defaultdict(
        lambda: {"text": "", "thought": "", "calls": [], "open": {}, "finish": None}
    )
    usage = None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            into = choices[choice.index]
            into["text"] += said(choice.delta.content)
            into["thought"] += thought(choice.delta)
            into["finish"] = into["finish"] or choice.finish_reason
            for call in choice.delta.tool_calls or []:
                function = call.function
                if call.index not in into["open"]:
                    into["open"][call.index] = [call.id or "", "", ""]
                    into["calls"].append(into["open"][call.index])
                into["open"][call.index][1] += (function and function.name) or ""
                into["open"][call.index][2] += (function and function.arguments) or ""
    return dict(choices), usage


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams(exchange: Exchange) -> None:
    if "error-in-stream" in exchange.features:
        with pytest.raises(openai.APIError) as theirs:
            official.streamed(exchange.answer)
        with pytest.raises(LlmhubError) as ours:
            folded(exchange.answer, 1)
        assert ours.value.upstream is not None
        assert ours.value.upstream.message == theirs.value.message
        return
    response = folded(exchange.answer, len(exchange.answer))
    choices, usage = accumulated(official.streamed(exchange.answer))
    assert {candidate.index for candidate in response.candidates} == set(choices)
    for candidate in response.candidates:
        expected = choices[candidate.index]
        assert text(candidate.parts) == expected["text"]
        assert reasoning(candidate.parts) == expected["thought"]
        assert calls(candidate.parts) == [tuple(call) for call in expected["calls"]]
        assert candidate.finish.provider_reason == (expected["finish"] or "")
    if usage is not None:
        agree(response.usage, usage)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_whole_equals_stream(exchange: Exchange) -> None:
    """A folded stream, written as a whole answer, reads the same as the stream did."""
    if "error-in-stream" in exchange.features:
        return
    response = folded(exchange.answer, 3)
    again = codec.decode_response(codec.encode_response(response))
    assert len(again.candidates) == len(response.candidates)
    for one, two in zip(again.candidates, response.candidates, strict=True):
        assert text(one.parts) == text(two.parts)
        assert reasoning(one.parts) == reasoning(two.parts)
        assert calls(one.parts) == calls(two.parts)
        assert one.finish.reason == two.finish.reason
    again.usage.service_tier = response.usage.service_tier
    assert again.usage == response.usage


@pytest.mark.parametrize(
    "exchange",
    [each for each in recordings("openai.embeddings") if each.status == 200],
    ids=str,
)
def test_embeddings(exchange: Exchange) -> None:
    ours = codec.decode_embed_response(exchange.answer)
    theirs = official.embeddings(codec.encode_embed_response(ours))
    assert [embedding.index for embedding in ours.embeddings] == [each.index for each in theirs.data]
    original = official.embeddings(exchange.answer)
    assert [each.embedding for each in theirs.data] == [each.embedding for each in original.data]
    for embedding, each in zip(ours.embeddings, original.data, strict=True):
        if embedding.WhichOneof("vector") == "floats":
            assert list(embedding.floats.values) == each.embedding


@pytest.mark.parametrize(
    "exchange",
    [each for each in [*CHATS, *recordings("openai.embeddings")] if each.status >= 400],
    ids=str,
)
def test_errors_raise_the_same_exception(exchange: Exchange) -> None:
    direct = official.error(exchange.status, dict(exchange.headers), exchange.answer)
    ours = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    answer = codec.encode_error(ours, "request-1")
    through = official.error(answer.status, dict(answer.headers), answer.body)
    assert through.request_id == "request-1"
    if exchange.status != 401:
        assert type(through) is type(direct)
        assert (through.code, through.param, through.type) == (direct.code, direct.param, direct.type)


def test_streamed_structured_output_is_parsed_by_the_sdk() -> None:
    answer = named("openai/017").answer
    decoder, encoder = codec.stream_decoder(), codec.stream_encoder(official_request())
    written = encoder.encode([*decoder.feed(answer), *decoder.close()])
    assert accumulated(official.streamed(written)) == accumulated(official.streamed(answer))


def official_request() -> Any:
    asked = b'"stream":true,"stream_options":{"include_usage":true}'
    return codec.decode_request(b'{"model":"m","messages":[{"role":"user","content":"?"}],%b}' % asked)
