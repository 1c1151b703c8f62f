"""How streams begin, go on, end and break, in cases of ours; both directions."""

import json
from typing import Any

import openai
import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Citation, MediaKind, OpaqueState, Part, ToolKind
from llmhub.types.v1.error_pb2 import Error, ErrorReason
from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    KeepAlive,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding, fold
from services.dialects.openai_responses import ResponsesCodec
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol, UpstreamRateLimited
from tests.dialects.openai_responses import official
from tests.dialects.openai_responses.traffic import STREAMS
from tests.support.recordings import frames

codec = ResponsesCodec()
CREATED: dict[str, Any] = {
    "type": "response.created",
    "response": {"id": "resp_1", "object": "response", "created_at": 5, "model": "m", "output": []},
}


def stream(*sent: dict[str, Any]) -> bytes:
    """These frames, numbered."""
    return b"".join(
        encode_event(json.dumps({"sequence_number": number, **frame}).encode(), frame["type"])
        for number, frame in enumerate(sent)
    )


def completed(*output: dict[str, Any], status: str = "completed", **members: Any) -> dict[str, Any]:
    response = {**CREATED["response"], "status": status, "output": list(output), **members}
    return {"type": f"response.{status}", "response": response}


def decode(data: bytes) -> list[StreamEvent]:
    decoder = codec.stream_decoder()
    return [*decoder.feed(data), *decoder.close()]


def again(data: bytes) -> bytes:
    return codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True)).encode(decode(data))


MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}],
}
CALL: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}
REASONING: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
    "content": [{"type": "reasoning_text", "text": "c"}],
    "encrypted_content": "e",
}


def test_what_was_not_streamed_comes_with_the_last_frame() -> None:
    """Some servers send nothing but the whole response at the end."""
    data = stream(CREATED, completed(REASONING, MESSAGE, CALL, {"type": "web_search_call", "id": "ws"}))
    response = fold(decode(data))
    whole = codec.decode_response(json.dumps(completed(REASONING, MESSAGE, CALL)["response"]).encode())
    parts = response.candidates[0].parts
    assert [part.text for part in parts] == [part.text for part in whole.candidates[0].parts] + [""]
    assert parts[0].reasoning.summaries == ["a"]
    assert parts[1].reasoning.summaries == ["b"]
    assert parts[2].reasoning.text == "c"
    assert parts[2].state.data == b"e"
    assert parts[4].tool_call.arguments == '{"a":1}'
    assert parts[5].opaque.type == "web_search_call"
    assert response.candidates[0].finish.reason == FinishReason.FINISH_REASON_TOOL_CALL
    assert frames(again(data)) == frames(data)


def test_what_was_streamed_in_part_is_completed_by_done() -> None:
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**CALL, "arguments": ""}}
    delta = {
        "type": "response.function_call_arguments.delta",
        "output_index": 0,
        "item_id": "fc_1",
        "delta": '{"a"',
    }
    done = {"type": "response.output_item.done", "output_index": 0, "item": CALL}
    data = stream(CREATED, added, delta, done, completed(CALL))
    (part,) = fold(decode(data)).candidates[0].parts
    assert part.tool_call.arguments == '{"a":1}'
    assert frames(again(data)) == frames(data)


def test_an_item_in_one_piece_keeps_its_place() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    data = stream(
        CREATED,
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**search, "status": "in_progress"},
        },
        {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
        completed(search, MESSAGE),
    )
    parts = fold(decode(data)).candidates[0].parts
    assert [part.WhichOneof("kind") for part in parts] == ["opaque", "text"]
    assert frames(again(data)) == frames(data)


def test_an_image_is_content() -> None:
    image = {"type": "image_generation_call", "id": "ig", "result": "iVBORw0K" * 300, "output_format": "png"}
    data = stream(
        CREATED,
        {"type": "response.output_item.done", "output_index": 0, "item": image},
        completed(image),
    )
    (part,) = fold(decode(data)).candidates[0].parts
    assert part.media.kind == MediaKind.MEDIA_KIND_IMAGE
    assert part.media.mime_type == "image/png"
    assert frames(again(data)) == frames(data)
    assert sum(event.ByteSize() for event in decode(data)) < len(data)


@pytest.mark.parametrize("count", range(len(frames(STREAMS[1].answer))))
def test_a_cut_stream_never_looks_whole(count: int) -> None:
    events = [part + b"\n\n" for part in STREAMS[1].answer.split(b"\n\n")]
    found = decode(b"".join(events[:count]))
    assert not found[-1].finished.complete
    with pytest.raises(LlmhubError):
        fold(found)
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True))
    written = encoder.encode(found)
    assert b"response.completed" not in written
    with pytest.raises(openai.APIError):
        official.streamed(written)


def test_an_error_event_ends_a_stream_that_says_no_more() -> None:
    flat = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
    events = decode(stream(CREATED, flat))
    with pytest.raises(UpstreamRateLimited, match="slow down"):
        fold(events)
    # It is written as it was, and nothing behind it.
    assert frames(again(stream(CREATED, flat))) == frames(stream(CREATED, flat))


def test_a_failed_response_is_an_error() -> None:
    failed = completed(status="failed", error={"code": "server_error", "message": "m"})
    with pytest.raises(LlmhubError, match="m") as raised:
        fold(decode(stream(CREATED, failed)))
    assert raised.value.reason == "UPSTREAM_FAILED"


def test_nothing_and_done_alone_are_no_stream() -> None:
    for data in (b"", b"data: [DONE]\n\n", b": hello\n\n"):
        with pytest.raises(UpstreamProtocol):
            fold(decode(data))
    with pytest.raises(StreamInterrupted):
        fold(decode(stream(CREATED) + b"data: [DONE]\n\n"))


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        stream(CREATED, {"type": "response.completed", "response": None}),
        stream(
            CREATED,
            {"type": "response.output_item.added", "output_index": 0, "item": CALL},
            {"type": "response.output_item.added", "output_index": 0, "item": CALL},
        ),
        stream(CREATED, {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "x"}),
    ],
)
def test_what_is_no_such_stream_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        decode(data)


def foreign(*events: StreamEvent) -> list[StreamEvent]:
    """Events as another dialect's decoder gives them."""
    started = StreamEvent(started=Started(response_id="chatcmpl-1", model="m"))
    numbered = [started, *events]
    for number, event in enumerate(numbered):
        event.sequence = event.frame = number
    return numbered


def block(number: int, part: Part, *deltas: BlockDelta, stop: bool = True) -> list[StreamEvent]:
    found = [StreamEvent(block_start=BlockStart(block=number, part=part))]
    for delta in deltas:
        delta.block = number
        found.append(StreamEvent(block_delta=delta))
    return [*found, StreamEvent(block_stop=BlockStop(block=number))] if stop else found


def end(reason: FinishReason.ValueType = FinishReason.FINISH_REASON_END) -> list[StreamEvent]:
    usage = Usage(input_tokens=1, cache_read_tokens=2, output_tokens=3, reasoning_tokens=4)
    return [
        StreamEvent(candidate_finish=CandidateFinish(finish=Finish(reason=reason))),
        StreamEvent(finished=Finished(complete=True, usage=usage)),
    ]


def write(events: list[StreamEvent], body: bytes = b'{"model":"m","input":"?"}') -> bytes:
    return codec.stream_encoder(codec.decode_request(body)).encode(events)


def whole(events: list[StreamEvent]) -> Any:
    folding = Folding()
    for event in events:
        folding.add(event)
    return json.loads(codec.encode_response(folding.whole()))


def custom(name: str) -> Part:
    part = Part()
    part.tool_call.id, part.tool_call.name, part.tool_call.kind = "cc", name, ToolKind.TOOL_KIND_CUSTOM
    return part


def function(call_id: str) -> Part:
    part = Part()
    part.tool_call.id, part.tool_call.name = call_id, "f"
    return part


def reasoning(**members: Any) -> Part:
    part = Part()
    part.reasoning.SetInParent()
    for name, value in members.items():
        if isinstance(value, list):
            getattr(part.reasoning, name).extend(value)
        else:
            setattr(part.reasoning, name, value)
    return part


STATE = OpaqueState(data=b"sig", dialect="anthropic", kind="signature")
CITED = Citation(url="https://x.test", title="t", cited_text="x", kind="web_search_result_location")
FOREIGN = foreign(
    *block(0, reasoning(), BlockDelta(text="hm"), BlockDelta(text="m"), BlockDelta(state=STATE)),
    *block(1, reasoning(summaries=[""]), BlockDelta(text="sum")),
    *block(2, Part(text="he"), BlockDelta(text="llo"), BlockDelta(citation=CITED)),
    *block(
        3, Part(text=""), BlockDelta(text=" you", logprobs_json='{"content":[{"token":" you","logprob":0}]}')
    ),
    *block(4, function("a"), BlockDelta(arguments="{"), stop=False),
    *block(5, custom("g"), BlockDelta(arguments="free")),
    StreamEvent(block_delta=BlockDelta(block=4, arguments="}")),
    StreamEvent(keep_alive=KeepAlive()),
    StreamEvent(block_stop=BlockStop(block=4)),
    *block(6, Part(refusal=""), BlockDelta(text="no")),
    *block(7, Part(text="late"), BlockDelta(state=STATE)),
    *block(8, Part(text="more")),
    *end(FinishReason.FINISH_REASON_TOOL_CALL),
)


def test_a_foreign_stream_is_what_the_sdk_wants() -> None:
    written = write(FOREIGN)
    seen = official.streamed(written)
    assert [event.type for event in seen][:2] == ["response.created", "response.in_progress"]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    response = official.accumulated(written)
    assert response.output_text == "hello youlatemore"
    assert [item.type for item in response.output] == [
        "reasoning",
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "message",
        "reasoning",
        "message",
    ]
    assert frames(written)[-1]["response"] == whole(FOREIGN)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 7)


def test_state_of_another_vendor_comes_back_to_it() -> None:
    """A door has callers keep it: what they send next has it in its place again."""
    output = whole(FOREIGN)["output"]
    request = codec.decode_request(json.dumps({"model": "m", "input": output}).encode()).request
    (message,) = request.messages
    assert [(part.text, part.state == STATE) for part in message.parts if part.HasField("state")] == [
        ("", True),
        ("late", True),
    ]
    written = codec.encode_request(request, "gpt-5", stream=False)
    items = json.loads(written.body)["input"]
    assert [item["type"] for item in items] == [
        "message",
        "function_call",
        "custom_tool_call",
        "message",
        "message",
    ]
    assert not any("hub" in str(item.get("id")) for item in items)
    assert [each.field for each in written.warnings].count("messages[0].parts[0]") == 1


def test_what_a_request_says_is_repeated() -> None:
    body = b'{"model":"m","input":"?","instructions":"i","temperature":1,"tools":[{"type":"web_search"}],"store":true}'
    response = frames(write(FOREIGN, body))[0]["response"]
    assert response["instructions"] == "i"
    assert response["tools"] == [{"type": "web_search"}]
    assert response["temperature"] == 1
    assert response["store"] is True
    assert response["text"] == {"format": {"type": "text"}}


@pytest.mark.parametrize(
    ("reason", "status", "detail"),
    [
        (FinishReason.FINISH_REASON_MAX_TOKENS, "incomplete", "max_output_tokens"),
        (FinishReason.FINISH_REASON_CONTENT_FILTER, "incomplete", "content_filter"),
        (FinishReason.FINISH_REASON_STOP_SEQUENCE, "completed", None),
        (FinishReason.FINISH_REASON_REFUSAL, "completed", None),
        (FinishReason.FINISH_REASON_ERROR, "failed", None),
    ],
)
def test_how_an_answer_ended(reason: FinishReason.ValueType, status: str, detail: str | None) -> None:
    last = frames(write(foreign(*block(0, Part(text="x")), *end(reason))))[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["status"] == status
    assert (last["response"]["incomplete_details"] or {}).get("reason") == detail
    assert (last["response"]["error"] is None) == (status != "failed")


def test_a_foreign_stream_that_breaks_off() -> None:
    error = Error(reason=ErrorReason.ERROR_REASON_UPSTREAM_RATE_LIMITED, message="slow down")
    events = foreign(
        *block(0, Part(text="x"), stop=False), StreamEvent(finished=Finished(complete=False, error=error))
    )
    written = write(events)
    assert [frame["type"] for frame in frames(written)][-2:] == ["error", "response.failed"]
    assert frames(written)[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
    with pytest.raises(openai.APIError, match="slow down"):
        official.streamed(written)
    alone = write([StreamEvent(finished=Finished(complete=False, error=error))])
    with pytest.raises(openai.APIError, match="slow down"):
        official.accumulated(alone)
