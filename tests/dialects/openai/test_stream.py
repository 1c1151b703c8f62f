"""Streams that are odd, broken or of another origin."""

import json
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1 import content_pb2 as content
from llmhub.types.v1 import generation_pb2 as generation
from llmhub.types.v1 import stream_pb2 as stream
from llmhub.types.v1.content_pb2 import OpaqueState, Part, ToolCall
from llmhub.types.v1.error_pb2 import ERROR_REASON_STREAM_INTERRUPTED, ERROR_REASON_UPSTREAM_OVERLOADED, Error
from llmhub.types.v1.stream_pb2 import StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from services.dialects.openai import OpenAICodec
from services.runtime.errors import LlmhubError, UpstreamProtocol
from tests.dialects.openai import official
from tests.support.exchanges import named, sse_events
from tests.support.recordings import frames, pieces, recordings

codec = OpenAICodec()


def decoded(*chunks: Any, done: bool = True) -> list[StreamEvent]:
    data = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    decoder = codec.stream_decoder()
    return [*decoder.feed(data + (b"data: [DONE]\n\n" if done else b"")), *decoder.close()]


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def numbered(*events: StreamEvent) -> list[StreamEvent]:
    for number, event in enumerate(events):
        event.sequence = number
        event.frame = number
    return list(events)


def encoded(events: Sequence[StreamEvent], *, include_usage: bool = True) -> bytes:
    request = DecodedRequest(GenerateRequest(), stream=True, include_usage=include_usage)
    return codec.stream_encoder(request).encode(events)


@pytest.mark.parametrize("exchange", [each for each in recordings("openai.chat") if each.streaming], ids=str)
def test_events_follow_the_rules(exchange: Any) -> None:
    decoder = codec.stream_decoder()
    events = [*decoder.feed(exchange.answer), *decoder.close()]
    assert [event.sequence for event in events] == list(range(len(events)))
    frame_numbers = [event.frame for event in events]
    assert frame_numbers == sorted(frame_numbers)
    assert events[0].HasField("started")
    assert [event.HasField("finished") for event in events] == [False] * (len(events) - 1) + [True]
    open_blocks: set[tuple[int, int]] = set()
    for event in events:
        kind = event.WhichOneof("event")
        if kind == "block_start":
            open_blocks.add((event.block_start.candidate, event.block_start.block))
        elif kind == "block_delta":
            assert (event.block_delta.candidate, event.block_delta.block) in open_blocks
        elif kind == "block_stop":
            open_blocks.remove((event.block_stop.candidate, event.block_stop.block))
        elif kind == "candidate_finish":
            assert not [key for key in open_blocks if key[0] == event.candidate_finish.candidate]
    assert not open_blocks


@pytest.mark.parametrize(
    "name", ["openai/025", "groq/006", "mistral/010", "openrouter/005", "azure_openai/004"]
)
def test_any_split_gives_the_same_events(name: str) -> None:
    answer = named(name).answer
    expected = [event.SerializeToString(deterministic=True) for event in codec.stream_decoder().feed(answer)]
    for cut in ([bytes([byte]) for byte in answer], pieces(answer, range(0, len(answer), 7))):
        decoder = codec.stream_decoder()
        events = [event for piece in cut for event in decoder.feed(piece)]
        assert [event.SerializeToString(deterministic=True) for event in events] == expected


def test_an_end_without_done_is_complete_once_it_had_finished() -> None:
    assert decoded(chunk(content="a"), chunk("stop"), done=False)[-1].finished.complete
    cut = decoded(chunk(content="a"), done=False)[-1].finished
    assert not cut.complete
    assert cut.error.reason == ERROR_REASON_STREAM_INTERRUPTED
    two = decoded(chunk("stop", content="a"), chunk(index=1, content="b"), done=False)[-1].finished
    assert not two.complete


def test_done_without_a_finish_ends_every_candidate() -> None:
    response = fold(decoded(chunk(content="a")))
    assert response.candidates[0].finish.reason == generation.FINISH_REASON_END


def test_an_empty_stream_is_no_answer() -> None:
    for events in (decoded(done=False), decoded()):
        assert not events[-1].finished.complete
        with pytest.raises(UpstreamProtocol):
            fold(events)


def test_nothing_after_the_end_is_read() -> None:
    decoder = codec.stream_decoder()
    decoder.feed(b"data: [DONE]\n\n")
    assert decoder.feed(b"data: garbage\n\n") == []
    assert decoder.close() == []


@pytest.mark.parametrize("data", [b"data: <html>\n\n", b"data: [1]\n\n", b"data: {\n\n"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.stream_decoder().feed(data)


@pytest.mark.parametrize("index", [-1, 128, 10**12])
def test_impossible_indexes_are_refused(index: int) -> None:
    with pytest.raises(UpstreamProtocol):
        decoded(chunk(index=index, content="a"))


def test_an_error_frame_ends_the_stream_at_once() -> None:
    decoder = codec.stream_decoder()
    data = b'event: error\ndata: {"error":{"message":"busy","code":"engine_overloaded"}}\n\n'
    events = decoder.feed(b"data: %b\n\n" % json.dumps(chunk(content="a")).encode() + data)
    assert events[-1].finished.error.reason == ERROR_REASON_UPSTREAM_OVERLOADED
    assert events[-1].finished.error.provider.message == "busy"
    with pytest.raises(LlmhubError):
        fold(events)


@pytest.mark.parametrize("name", ["groq/001", "openrouter/004", "openai/025", "mistral/010"])
def test_no_door_shows_a_clean_end_on_a_broken_answer(name: str) -> None:
    for count in range(0, len(sse_events(named(name).answer)) - 2, 5):
        decoder = codec.stream_decoder()
        events = [*decoder.feed(b"".join(sse_events(named(name).answer)[:count])), *decoder.close()]
        if events[-1].finished.complete:
            continue
        written = encoded(events)
        assert b"[DONE]" not in written
        with pytest.raises(openai.APIError):
            official.streamed(written)


def test_parallel_calls_interleave() -> None:
    def call(index: int, **members: Any) -> dict[str, Any]:
        return {"index": index, **members}

    events = decoded(
        chunk(tool_calls=[call(0, id="a", type="function", function={"name": "f", "arguments": ""})]),
        chunk(tool_calls=[call(1, id="b", type="function", function={"name": "g", "arguments": "{"})]),
        chunk(tool_calls=[call(0, function={"arguments": '{"x"'}), call(1, function={"arguments": "}"})]),
        chunk(tool_calls=[call(0, function={"arguments": ":1}"})]),
        chunk("tool_calls"),
    )
    calls = [part.tool_call for part in fold(events).candidates[0].parts]
    assert [(each.id, each.name, each.arguments) for each in calls] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]


def test_calls_without_index_or_id() -> None:
    whole = {"function": {"name": "f", "arguments": "{}"}}
    events = decoded(
        chunk(tool_calls=[{"id": "a", **whole}, {"id": "b", **whole}]),
        chunk(tool_calls=[{"id": "c", **whole}]),
        chunk("tool_calls", tool_calls=[{"index": 5, **whole}]),
    )
    calls = [part.tool_call for part in fold(events).candidates[0].parts]
    assert [each.id for each in calls[:3]] == ["a", "b", "c"]
    assert calls[3].id_generated
    assert len({each.id for each in calls}) == 4


def test_a_new_id_at_a_known_index_is_a_new_call() -> None:
    def whole(call_id: str) -> dict[str, Any]:
        return chunk(tool_calls=[{"index": 0, "id": call_id, "function": {"name": "f", "arguments": "{}"}}])

    calls = [
        part.tool_call
        for part in fold(decoded(whole("a"), whole("b"), chunk("tool_calls"))).candidates[0].parts
    ]
    assert [(each.id, each.arguments) for each in calls] == [("a", "{}"), ("b", "{}")]


def test_usage_is_counted_once() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    running = [{**chunk(content="a"), "usage": usage}] * 3
    events = decoded(*running, {**chunk("stop"), "usage": usage, "x_groq": {"usage": usage}})
    assert fold(events).usage.output_tokens == 2
    assert events[-1].finished.usage.output_tokens == 2


def foreign(finished: stream.Finished) -> list[StreamEvent]:
    state = OpaqueState(data=b"sig", dialect="anthropic", kind="signature")
    call = Part(tool_call=ToolCall(id="toolu_1", name="f", kind=content.TOOL_KIND_FUNCTION))
    end = generation.Finish(reason=generation.FINISH_REASON_TOOL_CALL, provider_reason="tool_use")
    thought = Part()
    thought.reasoning.SetInParent()
    return numbered(
        StreamEvent(started=stream.Started(response_id="msg_1", model="claude")),
        StreamEvent(block_start=stream.BlockStart(block=0, part=thought)),
        StreamEvent(block_delta=stream.BlockDelta(block=0, text="hm")),
        StreamEvent(block_delta=stream.BlockDelta(block=0, state=state)),
        StreamEvent(block_stop=stream.BlockStop(block=0)),
        StreamEvent(block_start=stream.BlockStart(block=1, part=Part(text="he"))),
        StreamEvent(keep_alive=stream.KeepAlive()),
        StreamEvent(block_delta=stream.BlockDelta(block=1, text="llo")),
        StreamEvent(block_stop=stream.BlockStop(block=1)),
        StreamEvent(block_start=stream.BlockStart(block=2, part=call)),
        StreamEvent(block_delta=stream.BlockDelta(block=2, arguments='{"a"')),
        StreamEvent(block_delta=stream.BlockDelta(block=2, arguments=":1}")),
        StreamEvent(block_stop=stream.BlockStop(block=2)),
        StreamEvent(candidate_finish=stream.CandidateFinish(finish=end)),
        StreamEvent(finished=finished),
    )


def test_a_stream_of_another_dialect_is_one_that_the_sdk_reads() -> None:
    usage = Usage(input_tokens=3, output_tokens=4)
    data = encoded(foreign(stream.Finished(complete=True, usage=usage)))
    assert data.endswith(b"data: [DONE]\n\n")
    chunks = official.streamed(data)
    deltas = [each.choices[0].delta for each in chunks if each.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "hello"
    assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == "hm"
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert calls[0].id == "toolu_1"
    assert {call.index for call in calls} == {0}
    functions = [call.function for call in calls if call.function is not None]
    assert "".join(function.arguments or "" for function in functions) == '{"a":1}'
    assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "tool_calls"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 4)
    assert {each.id for each in chunks} == {"msg_1"}
    hidden = encoded(foreign(stream.Finished(complete=True, usage=usage)), include_usage=False)
    assert not [each for each in frames(hidden) if "usage" in each]


def test_a_broken_stream_of_another_dialect_ends_in_an_error() -> None:
    error = Error(reason=ERROR_REASON_UPSTREAM_OVERLOADED, message="busy")
    data = encoded(foreign(stream.Finished(error=error)))
    assert b"[DONE]" not in data
    with pytest.raises(openai.APIError, match="busy"):
        official.streamed(data)


def test_events_may_come_one_by_one() -> None:
    events = foreign(stream.Finished(complete=True))
    request = DecodedRequest(GenerateRequest(), stream=True)
    encoder = codec.stream_encoder(request)
    assert b"".join(encoder.encode([event]) for event in events) == encoded(events, include_usage=False)


def test_a_frame_split_over_two_calls_loses_nothing() -> None:
    events = decoded(
        chunk(
            content="a", tool_calls=[{"index": 0, "id": "i", "function": {"name": "f", "arguments": "{}"}}]
        ),
        chunk("tool_calls"),
    )
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True))
    again = codec.stream_decoder()
    read = [*again.feed(b"".join(encoder.encode([event]) for event in events)), *again.close()]
    parts = fold(read).candidates[0].parts
    assert "".join(part.text for part in parts) == "a"
    assert [(p.tool_call.name, p.tool_call.arguments) for p in parts if p.HasField("tool_call")] == [
        ("f", "{}")
    ]


def test_reasoning_under_two_names_is_read_once() -> None:
    given = [
        chunk(reasoning="a", reasoning_content="a"),
        chunk(reasoning="b", reasoning_content="b"),
        chunk("stop", content="c"),
    ]
    events = decoded(*given)
    assert fold(events).candidates[0].parts[0].reasoning.text == "ab"
    assert frames(encoded(events)) == given


def test_sound_and_citations_stream() -> None:
    annotation = {
        "type": "url_citation",
        "url_citation": {"url": "https://x.test", "start_index": 0, "end_index": 2},
    }
    given = [
        chunk(role="assistant", audio={"id": "audio_1", "data": "aGk=", "transcript": "hi"}),
        chunk(audio={"data": "IQ=="}),
        chunk(content="ok", annotations=[annotation]),
        chunk("stop"),
    ]
    events = decoded(*given)
    parts = fold(events).candidates[0].parts
    assert (parts[0].media.data, parts[0].media.transcript) == (b"hi!", "hi")
    assert parts[1].citations[0].url == "https://x.test"
    assert frames(encoded(events)) == given
