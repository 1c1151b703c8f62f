"""Streams of other providers as Anthropic's clients read them, and what no recording of Anthropic's shows (ours)."""

import json
from typing import Any

import anthropic
import pytest
from google.protobuf import text_format

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM
from llmhub.types.v1.error_pb2 import (
    ERROR_REASON_STREAM_INTERRUPTED,
    ERROR_REASON_UPSTREAM_OVERLOADED,
    ERROR_REASON_UPSTREAM_PROTOCOL,
)
from llmhub.types.v1.generation_pb2 import FINISH_REASON_REFUSAL
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.anthropic import AnthropicCodec
from services.dialects.fold import fold
from services.dialects.sse import SseParser, encode_event
from services.dialects.text_tools import TEXT_SUFFIX
from services.runtime.errors import UpstreamOverloaded, UpstreamProtocol
from tests.dialects.anthropic.official import streamed_message, whole_message
from tests.support.exchanges import named, sse_events

codec = AnthropicCodec()
REQUEST = codec.decode_request(
    b'{"model":"asked","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"x"}]}'
)
STARTED = 'started { response_id: "r1" model: "gpt" }'
TOTALS = "input_tokens: 5 cache_read_tokens: 2 output_tokens: 3 reasoning_tokens: 4"
COMPLETE = f"finished {{ complete: true usage {{ {TOTALS} }} }}"


def events(*texts: str) -> list[StreamEvent]:
    return [
        text_format.Parse(f"sequence: {number} frame: {number} {text}", StreamEvent())
        for number, text in enumerate(texts)
    ]


def written(*texts: str) -> bytes:
    encoder = codec.stream_encoder(REQUEST)
    return b"".join(encoder.encode([event]) for event in events(*texts))


def frames(stream: bytes) -> list[dict[str, Any]]:
    found = [json.loads(event.data) for event in SseParser().feed(stream)]
    assert [event.event for event in SseParser().feed(stream)] == [frame["type"] for frame in found]
    return found


def decoded(*payloads: dict[str, Any]) -> list[StreamEvent]:
    decoder = codec.stream_decoder()
    stream = b"".join(encode_event(json.dumps(each).encode(), each["type"]) for each in payloads)
    return decoder.feed(stream) + decoder.close()


def call(block: int, name: str) -> str:
    return f'block_start {{ block: {block} part {{ tool_call {{ id: "id{block}" name: "{name}" }} }} }}'


def arguments(block: int, text: str) -> str:
    return f"block_delta {{ block: {block} arguments: '{text}' }}"


def stop(block: int) -> str:
    return f"block_stop {{ block: {block} }}"


def test_interleaved_calls_are_put_one_after_the_other() -> None:
    stream = written(
        STARTED,
        'block_start { block: 0 part { text: "" } }',
        'block_delta { block: 0 text: "two " }',
        call(4, "f"),
        arguments(4, '{"a":'),
        call(7, "g"),
        'block_delta { block: 0 text: "calls" }',
        arguments(7, '{"b":'),
        stop(0),
        arguments(4, "1}"),
        arguments(7, "2}"),
        stop(7),
        stop(4),
        "candidate_finish { finish { reason: FINISH_REASON_TOOL_CALL provider_reason: 'tool_calls' } }",
        COMPLETE,
    )
    kinds = [(frame["type"], frame.get("index")) for frame in frames(stream) if "index" in frame]
    opened: int | None = None
    for kind, index in kinds:
        if kind == "content_block_start":
            assert opened is None
            opened = index
        assert index == opened
        if kind == "content_block_stop":
            opened = None
    assert [index for kind, index in kinds if kind == "content_block_start"] == [0, 1, 2]
    message = streamed_message(stream)
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "two calls"},
        {"type": "tool_use", "id": "id4", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "id7", "name": "g", "input": {"b": 2}},
    ]
    assert message.stop_reason == "tool_use"
    assert (message.id, message.model) == ("r1", "gpt")
    assert message.usage.input_tokens == 5
    assert message.usage.output_tokens == 7
    assert message.usage.cache_read_input_tokens == 2


def test_text_goes_out_as_it_comes() -> None:
    encoder = codec.stream_encoder(REQUEST)
    first, second, third = events(
        STARTED, 'block_start { part { text: "" } }', 'block_delta { text: "h\\303\\251" }'
    )
    assert b"message_start" in encoder.encode([first])
    assert b"content_block_start" in encoder.encode([second])
    assert "hé".encode() in encoder.encode([third])


def test_a_block_that_starts_with_content_gives_it_as_a_delta() -> None:
    stream = written(
        STARTED,
        'block_start { part { text: "whole" } }',
        stop(0),
        'block_start { block: 1 part { reasoning { text: "why" } } }',
        stop(1),
        'block_start { block: 2 part { tool_call { id: "i" name: "f" arguments: \'{"x":1}\' } } }',
        COMPLETE,
    )
    starts = [frame["content_block"] for frame in frames(stream) if frame["type"] == "content_block_start"]
    assert starts == [
        {"type": "text", "text": ""},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "tool_use", "id": "i", "name": "f", "input": {}},
    ]
    message = streamed_message(stream)
    assert [block.type for block in message.content] == ["text", "thinking", "tool_use"]
    assert message.stop_reason == "tool_use"


def test_what_anthropic_has_no_block_for_takes_no_number() -> None:
    stream = written(
        STARTED,
        "block_start { part { media { kind: MEDIA_KIND_AUDIO } } }",
        'block_delta { data: "x" }',
        stop(0),
        'block_start { block: 1 part { opaque { dialect: "openai" type: "y" json: "{}" } } }',
        stop(1),
        'block_start { candidate: 1 block: 0 part { text: "" } }',
        'block_delta { candidate: 1 text: "another answer" }',
        "block_stop { candidate: 1 }",
        'block_start { block: 2 part { refusal: "" } }',
        'block_delta { block: 2 text: "no" }',
        stop(2),
        "candidate_finish { finish { reason: FINISH_REASON_REFUSAL } }",
        "candidate_finish { candidate: 1 finish { reason: FINISH_REASON_END } }",
        COMPLETE,
    )
    message = streamed_message(stream)
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "no"}]
    assert message.stop_reason == "refusal"


def test_usage_known_at_the_start_is_told_at_the_start() -> None:
    encoder = codec.stream_encoder(REQUEST)
    start, usage = events(STARTED, "usage { input_tokens: 8 }")
    usage.frame = start.frame
    (frame,) = frames(encoder.encode([start, usage]))
    assert frame["message"]["usage"] == {"input_tokens": 8, "output_tokens": 0}


def test_a_keep_alive_is_a_ping() -> None:
    assert frames(written(STARTED, "keep_alive {}"))[-1] == {"type": "ping"}


@pytest.mark.parametrize(
    "texts", [(), (STARTED, 'block_start { part { text: "" } }', 'block_delta { text: "h" }')]
)
def test_a_broken_answer_never_ends_cleanly(texts: tuple[str, ...]) -> None:
    reason = f"reason: {ERROR_REASON_UPSTREAM_OVERLOADED}"
    stream = written(
        *texts,
        "candidate_finish { finish { reason: FINISH_REASON_END } }",
        f'finished {{ error {{ {reason} message: "busy" }} }}',
        "finished { complete: true }",
    )
    assert b"message_stop" not in stream
    assert b"message_delta" not in stream
    assert frames(stream)[-1]["error"] == {"type": "overloaded_error", "message": "busy"}
    with pytest.raises(anthropic.APIStatusError, match="busy"):
        streamed_message(stream)


def test_an_end_without_a_word_is_no_clean_end() -> None:
    assert frames(written(STARTED, "finished {}"))[-1]["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("END", "end_turn"),
        ("MAX_TOKENS", "max_tokens"),
        ("CONTENT_FILTER", "refusal"),
        ("PAUSE", "pause_turn"),
        ("CONTEXT_FULL", "model_context_window_exceeded"),
        ("STOP_SEQUENCE", "end_turn"),
        ("MALFORMED", None),
        ("ERROR", None),
    ],
)
def test_stop_reasons(reason: str, word: str | None) -> None:
    text = f"candidate_finish {{ finish {{ reason: FINISH_REASON_{reason} provider_reason: 'x' }} }}"
    assert streamed_message(written(STARTED, text, COMPLETE)).stop_reason == word


def test_a_stop_sequence_is_told() -> None:
    text = 'candidate_finish { finish { reason: FINISH_REASON_STOP_SEQUENCE stop_sequence: "END" } }'
    message = streamed_message(written(STARTED, text, COMPLETE))
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
START = {"type": "message_start", "message": MESSAGE}
STOP = {"type": "message_stop"}


def delta(**members: Any) -> dict[str, Any]:
    ended = {"stop_reason": "end_turn", "stop_sequence": None, **members}
    return {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 2}}


def same_frames(*payloads: dict[str, Any]) -> None:
    assert frames(codec.stream_encoder(REQUEST).encode(decoded(*payloads))) == list(payloads)


def test_an_error_in_mid_stream() -> None:
    error = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_9",
    }
    found = decoded(START, {"type": "ping"}, error, STOP)
    assert not found[-1].finished.complete
    assert found[-1].finished.error.reason == ERROR_REASON_UPSTREAM_OVERLOADED
    assert found[-1].finished.error.provider.request_id == "req_9"
    assert found[-1].finished.usage.input_tokens == 3
    same_frames(START, {"type": "ping"}, error)
    with pytest.raises(UpstreamOverloaded):
        fold(found)


def test_an_end_without_usage_and_a_late_ping() -> None:
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    same_frames(START, ended, {"type": "ping"}, STOP)
    assert fold(decoded(START, ended, STOP)).usage.input_tokens == 3


def test_nulls_do_not_take_totals_back() -> None:
    ended = delta()
    ended["usage"] = {"output_tokens": 9, "input_tokens": None, "cache_read_input_tokens": None}
    found = decoded(START, ended, STOP)
    assert (fold(found).usage.input_tokens, fold(found).usage.output_tokens) == (3, 9)
    same_frames(START, ended, STOP)


def test_a_refusal() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    ended = delta(stop_reason="refusal", stop_details=details)
    found = decoded(START, ended, STOP)
    finish = fold(found).candidates[0].finish
    assert finish.reason == FINISH_REASON_REFUSAL
    assert (finish.refusal_category, finish.refusal_explanation) == ("cyber", "")
    same_frames(START, ended, STOP)


def test_redacted_thinking_comes_whole() -> None:
    block = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    payloads = (
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        delta(),
        STOP,
    )
    (part,) = fold(decoded(*payloads)).candidates[0].parts
    assert part.reasoning.redacted
    assert part.state.data == b"c2VjcmV0"
    same_frames(*payloads)


def test_what_is_new_survives() -> None:
    payloads = (
        START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}, "new": 1},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a", "new": 2}},
        {"type": "novelty", "what": {"ever": [1, None]}},
        {"type": "content_block_stop", "index": 0, "new": 3},
        {**delta(stop_reason="new_reason", new=4), "new": 5},
        {"type": "message_stop", "metrics": {"a": 1}},
    )
    same_frames(*payloads)


def test_a_call_without_arguments_has_an_empty_object() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    payloads = (
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": ""},
        },
        {"type": "content_block_stop", "index": 0},
        delta(stop_reason="tool_use"),
        STOP,
    )
    (part,) = fold(decoded(*payloads)).candidates[0].parts
    assert part.tool_call.arguments == "{}"
    same_frames(*payloads)


def test_a_free_text_tool_comes_back_as_one() -> None:
    block = {"type": "tool_use", "id": "t", "name": f"patch{TEXT_SUFFIX}", "input": {}}
    pieces = ['{"inp', 'ut": "a\\n', '\\"b\\""}']
    deltas = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": each},
        }
        for each in pieces
    ]
    found = decoded(
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        delta(stop_reason="tool_use"),
        STOP,
    )
    (part,) = fold(found).candidates[0].parts
    assert (part.tool_call.name, part.tool_call.arguments) == ("patch", 'a\n"b"')
    assert part.tool_call.kind == TOOL_KIND_CUSTOM
    body = {**MESSAGE, "content": [{**block, "input": {"input": 'a\n"b"'}}], "stop_reason": "tool_use"}
    whole = codec.decode_response(json.dumps(body).encode())
    assert whole.candidates[0].parts[0] == part
    assert whole_message(codec.encode_response(whole)).content[0].to_dict()["input"] == {"input": 'a\n"b"'}


@pytest.mark.parametrize("end", range(1, 8))
def test_a_cut_stream_is_a_fragment(end: int) -> None:
    pieces = sse_events(named("anthropic/043").answer)
    assert len(pieces) == 7
    decoder = codec.stream_decoder()
    found = [event for piece in pieces[: end - 1] for event in decoder.feed(piece)]
    found += decoder.feed(pieces[end - 1][:-2]) + decoder.close()
    assert not found[-1].finished.complete
    expected = ERROR_REASON_STREAM_INTERRUPTED if end > 1 else ERROR_REASON_UPSTREAM_PROTOCOL
    assert found[-1].finished.error.reason == expected
    assert decoder.close() == []


@pytest.mark.parametrize(
    "payloads",
    [
        [STOP],
        [START, START],
        [START, {"type": "content_block_stop", "index": 0}],
        [START, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}],
        [START, {"type": "content_block_start", "index": 0, "content_block": 5}],
        [START, {"type": "content_block_start", "index": -1, "content_block": {"type": "text"}}],
        [{"type": "message_start"}],
    ],
)
def test_frames_out_of_order_are_no_stream(payloads: list[dict[str, Any]]) -> None:
    with pytest.raises(UpstreamProtocol):
        decoded(*payloads)


def test_bytes_that_are_no_stream() -> None:
    for junk in (b"data: {\n\n", b"event: ping\ndata: []\n\n", b"data: \xff\n\n"):
        with pytest.raises(UpstreamProtocol):
            codec.stream_decoder().feed(junk)
    decoder = codec.stream_decoder()
    assert decoder.feed(b'{"type":"error"}') == []
    assert not decoder.close()[-1].finished.complete
