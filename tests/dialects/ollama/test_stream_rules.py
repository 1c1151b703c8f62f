"""What a stream may be, what it may not, and how streams of other origins are written."""

import json
from typing import Any

import pytest

from llmhub.types.v1.content_pb2 import TOOL_KIND_FUNCTION
from llmhub.types.v1.error_pb2 import ERROR_REASON_STREAM_INTERRUPTED, ERROR_REASON_UPSTREAM_RATE_LIMITED
from llmhub.types.v1.generation_pb2 import FINISH_REASON_TOOL_CALL
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.fold import fold
from services.dialects.ollama import OllamaCodec
from services.runtime.errors import StreamInterrupted, UpstreamProtocol
from tests.dialects.ollama.cases import STREAMS, stream

codec = OllamaCodec()
TEXT = STREAMS["text"]
ASKED = codec.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')


def decoded(values: list[Any]) -> list[StreamEvent]:
    decoder = codec.stream_decoder()
    return decoder.feed(stream(values)) + decoder.close()


def test_blocks_open_and_stop_in_order() -> None:
    events = decoded(STREAMS["calls"])
    steps = [
        (event.WhichOneof("event"), event.block_start.block or event.block_stop.block)
        for event in events
        if event.WhichOneof("event") in {"block_start", "block_stop"}
    ]
    assert steps == [(kind, block) for block in range(4) for kind in ("block_start", "block_stop")]
    assert fold(events).candidates[0].finish.reason == FINISH_REASON_TOOL_CALL
    assert [event.WhichOneof("event") for event in events[-3:]] == ["candidate_finish", "usage", "finished"]


@pytest.mark.parametrize("kept", range(1, len(TEXT)))
def test_a_cut_stream_is_a_fragment(kept: int) -> None:
    for tail in (b"", stream(TEXT)[len(stream(TEXT[:kept])) :][:40]):
        decoder = codec.stream_decoder()
        events = decoder.feed(stream(TEXT[:kept]) + tail) + decoder.close()
        assert not events[-1].finished.complete
        assert events[-1].finished.error.reason == ERROR_REASON_STREAM_INTERRUPTED
        assert [event.sequence for event in events] == list(range(len(events)))
        with pytest.raises(StreamInterrupted):
            fold(events)


def test_an_empty_stream_never_began() -> None:
    decoder = codec.stream_decoder()
    (event,) = decoder.feed(b"\n\n") + decoder.close()
    assert not event.finished.complete
    assert "before it began" in event.finished.error.message


def test_an_error_line_ends_the_stream() -> None:
    line = {"error": "too many requests", "status_code": 429}
    events = decoded([TEXT[0], line, *TEXT[1:]])
    end = events[-1].finished
    assert (end.complete, end.error.reason) == (False, ERROR_REASON_UPSTREAM_RATE_LIMITED)
    assert end.error.provider.events_delivered == len(events) - 1
    written = codec.stream_encoder(ASKED).encode(events)
    assert [json.loads(each) for each in written.splitlines()] == [TEXT[0], line]


@pytest.mark.parametrize(
    "data",
    [
        b"{\n",
        b"[1]\n",
        b"\xff\n",
        b"{}\n",
        b'{"message":1,"done":false}\n',
        b"[" * 9999 + b"\n",
        b'{"message":{}}\n',
    ],
)
def test_what_is_no_line_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.stream_decoder().feed(data)


def test_a_call_of_another_origin_is_written_when_it_is_whole() -> None:
    events = [StreamEvent() for _ in range(6)]
    events[0].started.model = "gpt"
    call = events[1].block_start.part.tool_call
    call.id, call.name, call.kind = "c", "add", TOOL_KIND_FUNCTION
    events[2].block_delta.arguments = '{"a":'
    events[3].block_delta.arguments = "1}"
    events[4].block_stop.block = 0
    events[4].block_stop.SetInParent()
    events[5].finished.complete = True
    encoder = codec.stream_encoder(ASKED)
    assert b"".join(encoder.encode([event]) for event in events[:4]) == b""
    lines = [json.loads(line) for line in encoder.encode(events[4:]).splitlines()]
    assert lines[0]["message"]["tool_calls"] == [
        {"id": "c", "function": {"name": "add", "arguments": {"a": 1}}}
    ]
    assert (lines[0]["done"], lines[1]["done"], lines[1]["model"]) == (False, True, "gpt")


def test_an_incomplete_end_is_an_error_never_a_clean_end() -> None:
    events = [StreamEvent(), StreamEvent()]
    events[0].started.model = "gpt"
    events[1].finished.complete = False
    written = codec.stream_encoder(ASKED).encode(events)
    assert json.loads(written) == {"error": "the answer broke off"}


def test_times_that_are_not_gos_do_not_stop_an_answer() -> None:
    for created in ("yesterday", "2024-01-01T00:00:00.5+02:00", "2024-01-01T00:00:00.10Z", 5):
        values = [{**each, "created_at": created} for each in TEXT]
        events = decoded(values)
        assert events[-1].finished.complete
        written = codec.stream_encoder(ASKED).encode(events)
        assert [json.loads(each) for each in written.splitlines()] == values


def test_a_last_line_that_does_not_say_that_it_is_the_last_leaves_a_fragment() -> None:
    line = {name: value for name, value in TEXT[1].items() if name != "done"}
    decoder = codec.stream_decoder()
    events = decoder.feed(stream([TEXT[0]]) + stream([line])[:-1]) + decoder.close()
    assert [event.sequence for event in events] == list(range(len(events)))
    assert not events[-1].finished.complete
    assert "".join(event.block_delta.text for event in events) == "Hällo 👋"
