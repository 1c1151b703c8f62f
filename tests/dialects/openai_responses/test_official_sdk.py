"""What comes through the contract is what the official SDK reads from the same bytes."""

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Part, ToolKind
from llmhub.types.v1.generation_pb2 import FinishReason
from services.dialects.fold import Folding
from services.dialects.openai_responses import ResponsesCodec
from services.runtime.errors import LlmhubError
from tests.dialects.openai_responses import official
from tests.dialects.openai_responses.traffic import BROKEN, COMPACTS, COUNTS, FAILED, STREAMS, WHOLE
from tests.support.exchanges import Exchange, random_pieces

codec = ResponsesCodec()
BUILT_IN = frozenset({"message", "reasoning", "function_call", "custom_tool_call", "image_generation_call"})


def is_odd(exchange: Exchange) -> bool:
    """Whether the SDK's own accumulator refuses a stream: one that is not complete, or begins with queued."""
    return bool(exchange.features & {BROKEN, "truncated"}) or "retrieve" in exchange.name


def values(response: Response) -> list[Any]:
    """Its output by value, but for what its last frame says anew: state, statuses, details of probabilities."""
    found = [item.to_dict(warnings=False) for item in response.output]
    for item in found:
        item.pop("encrypted_content", None)
        item.pop("status", None)
        content: Any = item.get("content")
        for each in content if isinstance(content, list) else ():
            each.pop("logprobs", None)
    return found


def reasoning_of(parts: Any) -> tuple[list[str], list[str]]:
    """Summaries and texts."""
    found: list[Part] = [part for part in parts if part.HasField("reasoning")]
    return (
        [text for part in found for text in part.reasoning.summaries],
        [part.reasoning.text for part in found if part.reasoning.text],
    )


def states_of(parts: Any) -> list[str]:
    return [part.state.data.decode() for part in parts if part.HasField("state")]


def encrypted(output: Any) -> list[str]:
    return [item.encrypted_content for item in output if item.type == "reasoning" and item.encrypted_content]


def calls_of(parts: Any) -> list[tuple[str, str, str, str]]:
    found: list[Part] = [part for part in parts if part.HasField("tool_call")]
    return [
        (each.tool_call.id, each.tool_call.item_id, each.tool_call.name, each.tool_call.arguments)
        for each in found
    ]


def agree(ours: GenerateResponse, theirs: Response) -> None:
    assert (ours.response_id, ours.provider_model) == (theirs.id, theirs.model)
    assert ours.created_at.seconds == int(theirs.created_at)
    (candidate,) = ours.candidates
    parts = candidate.parts
    output: list[Any] = list(theirs.output)
    texts = [each for item in output if item.type == "message" for each in item.content]
    assert "".join(part.text for part in parts) == theirs.output_text
    assert [part.refusal for part in parts if part.HasField("refusal")] == [
        each.refusal for each in texts if each.type == "refusal"
    ]
    told = [each for item in texts if item.type == "output_text" for each in item.annotations]
    assert [(each.kind, each.url, each.title) for part in parts for each in part.citations] == [
        (each.type, getattr(each, "url", ""), getattr(each, "title", "")) for each in told
    ]
    thoughts = [item for item in output if item.type == "reasoning"]
    assert reasoning_of(parts) == (
        [each.text for item in thoughts for each in item.summary],
        [each.text for item in thoughts for each in item.content or []],
    )
    assert calls_of(parts) == [
        (item.call_id, item.id, item.name, item.arguments if item.type == "function_call" else item.input)
        for item in output
        if item.type in {"function_call", "custom_tool_call"}
    ]
    assert [part.opaque.type for part in parts if part.HasField("opaque")] == [
        item.type for item in output if item.type not in BUILT_IN
    ]
    logprobs = [each for item in texts if item.type == "output_text" for each in item.logprobs or []]
    mine = json.loads(candidate.logprobs_json)["content"] if candidate.logprobs_json else []
    assert [each["token"] for each in mine] == [each.token for each in logprobs]
    agree_on_the_end(ours, theirs)


def agree_on_the_end(ours: GenerateResponse, theirs: Response) -> None:
    finish, usage = ours.candidates[0].finish, ours.usage
    called = any(item.type in {"function_call", "custom_tool_call"} for item in theirs.output)
    waits = any(item.type in {"local_shell_call", "apply_patch_call"} for item in theirs.output)
    if theirs.status == "incomplete":
        assert theirs.incomplete_details is not None
        assert finish.reason == FinishReason.FINISH_REASON_MAX_TOKENS
        assert finish.provider_reason == theirs.incomplete_details.reason
    elif theirs.status is None:
        assert not ours.candidates[0].HasField("finish")
    else:
        assert finish.provider_reason == theirs.status
        assert (finish.reason == FinishReason.FINISH_REASON_TOOL_CALL) == (called or waits)
    if theirs.usage is None:
        assert not ours.HasField("usage")
        return
    told = theirs.usage
    assert usage.provider_total_tokens == told.total_tokens
    cached = usage.cache_read_tokens
    assert cached == (told.input_tokens_details.cached_tokens or 0)
    assert usage.input_tokens + cached + usage.cache_write_tokens == told.input_tokens
    assert usage.output_tokens + usage.reasoning_tokens == told.output_tokens
    assert usage.reasoning_tokens == (told.output_tokens_details.reasoning_tokens or 0)


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answers(exchange: Exchange) -> None:
    ours, theirs = codec.decode_response(exchange.answer), official.whole(exchange.answer)
    agree(ours, theirs)
    assert states_of(ours.candidates[0].parts) == encrypted(theirs.output)


def folded(data: bytes, seed: int) -> GenerateResponse:
    decoder, folding = codec.stream_decoder(), Folding()
    for piece in random_pieces(data, seed):
        for event in decoder.feed(piece):
            folding.add(event)
    for event in decoder.close():
        folding.add(event)
    return folding.whole()


@pytest.mark.parametrize("exchange", [each for each in STREAMS if BROKEN not in each.features], ids=str)
def test_streams(exchange: Exchange) -> None:
    theirs = official.streamed(exchange.answer)
    assert hasattr(theirs[-1], "response")
    ours = folded(exchange.answer, len(exchange.answer))
    agree(ours, theirs[-1].response)
    # OpenAI encrypts anew for the last frame.
    done = [event.item for event in theirs if event.type == "response.output_item.done"]
    assert states_of(ours.candidates[0].parts) == encrypted(done)


@pytest.mark.parametrize("exchange", [each for each in STREAMS if BROKEN in each.features], ids=str)
def test_a_failure_inside_a_stream(exchange: Exchange) -> None:
    with pytest.raises(openai.APIError) as theirs:
        official.streamed(exchange.answer)
    with pytest.raises(LlmhubError) as ours:
        folded(exchange.answer, 1)
    assert ours.value.upstream is not None
    assert ours.value.upstream.message == theirs.value.message
    assert ours.value.upstream.code == theirs.value.code


@pytest.mark.parametrize("exchange", [each for each in STREAMS if BROKEN not in each.features], ids=str)
def test_a_folded_stream_is_written_as_the_whole_answer(exchange: Exchange) -> None:
    """The output of the last frame, item by item, but for what only this dialect's frames say."""
    last = official.streamed(exchange.answer)[-1]
    assert hasattr(last, "response")
    response = folded(exchange.answer, 3)
    again = codec.decode_response(codec.encode_response(response))
    again.usage.service_tier = response.usage.service_tier
    again.usage.server_tool_calls.update(response.usage.server_tool_calls)
    assert again.usage == response.usage
    written = official.whole(codec.encode_response(response))
    assert [(item.type, getattr(item, "id", None)) for item in written.output] == [
        (item.type, getattr(item, "id", None)) for item in last.response.output
    ]
    assert values(written) == values(last.response)


@pytest.mark.parametrize("exchange", [each for each in STREAMS if not is_odd(each)], ids=str)
def test_the_sdk_puts_together_what_we_write(exchange: Exchange) -> None:
    decoder = codec.stream_decoder()
    encoder = codec.stream_encoder(codec.decode_request(b'{"model":"m","input":"?","stream":true}'))
    written = encoder.encode([*decoder.feed(exchange.answer), *decoder.close()])
    theirs = official.accumulated(exchange.answer)
    assert values(official.accumulated(written)) == values(theirs)


@pytest.mark.parametrize("exchange", COMPACTS, ids=str)
def test_compactions(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    theirs = official.compacted(exchange.answer)
    assert official.compacted(codec.encode_response(response)) == theirs
    assert response.usage.provider_total_tokens == theirs.usage.total_tokens
    parts = response.candidates[0].parts
    kept = [part.opaque.type for part in parts if part.HasField("opaque")]
    assert kept == [item.type for item in theirs.output if item.type not in BUILT_IN]


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_counts(exchange: Exchange) -> None:
    assert codec.decode_count_response(exchange.answer).input_tokens == official.counted(exchange.answer)


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_errors_raise_the_same_exception(exchange: Exchange) -> None:
    direct = official.error(exchange.status, dict(exchange.headers), exchange.answer)
    ours = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    answer = codec.encode_error(ours, "request-1")
    through = official.error(answer.status, dict(answer.headers), answer.body)
    assert through.request_id == "request-1"
    if exchange.status != 401:
        assert type(through) is type(direct)
        assert (through.code, through.param, through.type) == (direct.code, direct.param, direct.type)


def test_custom_calls_are_free_text() -> None:
    (call,) = (
        codec.decode_response(next(each for each in WHOLE if "custom-tool-call" in each.features).answer)
        .candidates[0]
        .parts
    )
    assert call.tool_call.kind == ToolKind.TOOL_KIND_CUSTOM
    assert call.tool_call.arguments == "SELECT * FROM users WHERE age > 25"
