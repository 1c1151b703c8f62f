"""What a stream may be, what it may not, and how streams of other origins are written."""

import json
from typing import Any

import pytest

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM
from llmhub.types.v1.error_pb2 import ERROR_REASON_STREAM_INTERRUPTED, ERROR_REASON_UPSTREAM_FAILED
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.cohere import CohereCodec
from services.dialects.fold import fold
from services.runtime.errors import StreamInterrupted, UpstreamProtocol
from tests.dialects.cohere.cases import END, START, STREAMS, stream
from tests.support.exchanges import recorded

codec = CohereCodec()
TEXT = STREAMS["text"]


def decoded(values: list[Any], *, done: bool = True) -> list[StreamEvent]:
    decoder = codec.stream_decoder()
    return decoder.feed(stream(values, done=done)) + decoder.close()


def kinds(events: list[StreamEvent]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


def test_blocks_open_and_stop_in_order() -> None:
    (exchange,) = (each for each in recorded("cohere.v2.chat") if "parallel-tool-calls" in each.features)
    events = codec.stream_decoder().feed(exchange.answer)
    blocks = [(event.block_start.block, event.frame) for event in events if event.HasField("block_start")]
    stops = [(event.block_stop.block, event.frame) for event in events if event.HasField("block_stop")]
    assert [block for block, _ in blocks] == [block for block, _ in stops] == [0, 1, 2]
    assert all(start[1] < stop[1] for start, stop in zip(blocks, stops, strict=True))
    assert stops[0][1] == blocks[1][1]
    assert kinds(events)[-3:] == ["candidate_finish", "usage", "finished"]
    assert events[-1].finished.usage == events[-2].usage


def test_the_end_is_message_end_with_or_without_done() -> None:
    whole = decoded(TEXT)
    bare = decoded(TEXT, done=False)
    assert bare[-1].finished.complete
    assert fold(bare) == fold(whole)
    asked = codec.decode_request(b'{"model":"m","messages":[{"role":"user"}]}')
    assert b"[DONE]" in codec.stream_encoder(asked).encode(whole)
    assert b"[DONE]" not in codec.stream_encoder(asked).encode(bare)


@pytest.mark.parametrize("kept", range(1, len(TEXT)))
def test_a_cut_stream_is_a_fragment(kept: int) -> None:
    for done in (True, False):
        events = decoded(TEXT[:kept], done=done)
        end = events[-1].finished
        assert not end.complete
        assert end.error.reason == ERROR_REASON_STREAM_INTERRUPTED
        with pytest.raises(StreamInterrupted):
            fold(events)


def test_an_empty_stream_never_began() -> None:
    for data in (b"", b"data: [DONE]\n\n"):
        decoder = codec.stream_decoder()
        (event,) = decoder.feed(data) + decoder.close()
        assert not event.finished.complete
        assert "before it began" in event.finished.error.message


def test_a_failure_frame_ends_the_stream() -> None:
    events = decoded([*TEXT[:3], {"message": "internal error", "id": "9"}, *TEXT[3:]])
    end = events[-1].finished
    assert not end.complete
    assert end.error.reason == ERROR_REASON_UPSTREAM_FAILED
    assert (end.error.message, end.error.provider.request_id) == ("internal error", "9")
    assert end.error.provider.events_delivered == len(events) - 1


def test_a_failure_in_message_end_keeps_the_usage() -> None:
    end = decoded(STREAMS["failed"])[-1].finished
    assert (end.complete, end.error.message, end.usage.input_tokens) == (False, "it broke", 5)


def delta(index: int, **content: str) -> dict[str, Any]:
    return {"type": "content-delta", "index": index, "delta": {"message": {"content": content}}}


@pytest.mark.parametrize(
    "values",
    [
        [TEXT[1]],
        [START, START],
        [START, TEXT[1], delta(0, thinking="x")],
        [START, TEXT[1], TEXT[1], delta(0, text="x")] * 2,
        [START, {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "song"}}}}],
        [START, {"type": "tool-call-start", "index": 0}],
        [START, {"type": "tool-call-delta", "index": 0}],
        [START, {"type": "tool-call-end", "index": 0}],
        [START, END, END],
        [END],
    ],
)
def test_what_no_stream_says_is_refused(values: list[Any]) -> None:
    with pytest.raises(UpstreamProtocol):
        decoded(values)


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: [1]\n\n", b"data: \xff\n\n", b"data: " + b"[" * 9999 + b"\n\n"]
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.stream_decoder().feed(data)


def test_a_text_without_a_start_is_opened() -> None:
    values = [START, delta(0, text="a"), delta(0, text="b"), END]
    events = decoded(values)
    assert fold(events).candidates[0].parts[0].text == "ab"
    written = encoded(events)
    assert [each["type"] for each in written] == [each["type"] for each in values]


def test_a_citation_that_comes_too_late_is_reported() -> None:
    end = decoded(STREAMS["citation far too late"])[-1].finished
    assert [warning.field for warning in end.warnings] == ["candidates[0].citations"]
    (text,) = fold(decoded(STREAMS["citation after the text"])).candidates[0].parts
    assert [citation.cited_text for citation in text.citations] == ["Hä"]


def test_arguments_of_free_text_tools_come_whole() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "patch__llmhub_text", "arguments": ""}}
    pieces = ['{"inp', 'ut":"a\\n', 'b"}']
    values = [
        START,
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}},
        *(
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": each}}}},
            }
            for each in pieces
        ),
        {"type": "tool-call-end", "index": 0},
        END,
    ]
    (part,) = fold(decoded(values)).candidates[0].parts
    assert (part.tool_call.name, part.tool_call.arguments, part.tool_call.kind) == (
        "patch",
        "a\nb",
        TOOL_KIND_CUSTOM,
    )


def encoded(events: list[StreamEvent]) -> list[dict[str, Any]]:
    asked = codec.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    data = codec.stream_encoder(asked).encode(events)
    lines = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def test_an_incomplete_end_is_an_error_never_a_clean_end() -> None:
    asked = codec.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    events = [StreamEvent(), StreamEvent()]
    events[0].started.response_id = "r"
    events[1].finished.complete = False
    data = codec.stream_encoder(asked).encode(events)
    frame = json.loads(data.split(b"data: ")[2].split(b"\n")[0])
    assert frame["delta"]["finish_reason"] == "ERROR"
    assert frame["delta"]["error"] == "the answer broke off"
    decoder = codec.stream_decoder()
    assert not (decoder.feed(data) + decoder.close())[-1].finished.complete


def test_a_delta_is_read_the_same_behind_the_beginning_of_a_comment() -> None:
    delta_alone = stream([TEXT[2]], done=False)
    for before in (b": keep-alive ", b"event: content-delta\n", b"data: \n"):
        pieces = [stream(TEXT[:2], done=False) + before, delta_alone, stream(TEXT[3:])]
        one, many = codec.stream_decoder(), codec.stream_decoder()
        assert [event for piece in pieces for event in many.feed(piece)] == one.feed(b"".join(pieces))
