"""Streams of other dialects, written as the vendor would; events of ours."""

import json
from typing import Any

import openai
import pytest

from llmhub.types.v1.content_pb2 import Citation, OpaqueState, Part, ToolKind
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
from services.dialects.fold import Folding
from services.dialects.openai_responses import ResponsesCodec
from services.dialects.openai_responses.state import write_state
from tests.dialects.openai_responses import official
from tests.support.recordings import frames

codec = ResponsesCodec()


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


def test_an_envelope_goes_nowhere_else() -> None:
    """Whatever id its caller gave the item."""
    item = {"type": "reasoning", "id": "rs_mine", "summary": [], "encrypted_content": write_state(STATE)}
    body = {"model": "m", "input": [item, {"role": "user", "content": "?"}]}
    request = codec.decode_request(json.dumps(body).encode()).request
    assert request.messages[0].parts[0].state == STATE
    written = codec.encode_request(request, "gpt-5", stream=False)
    assert json.loads(written.body)["input"] == body["input"][1:]
    assert [each.field for each in written.warnings] == ["messages[0].parts[0]"]


def test_blocks_that_interleave() -> None:
    """An item that begins while a text is open ends the message with that text; what comes then is another."""
    events = foreign(
        *block(0, Part(text="a"), stop=False),
        *block(1, function("c"), BlockDelta(arguments="{}")),
        *block(2, Part(text="b")),
        StreamEvent(block_delta=BlockDelta(block=0, text="c")),
        StreamEvent(block_stop=BlockStop(block=0)),
        *end(),
    )
    written = write(events)
    response = official.accumulated(written)
    assert [(item.type, getattr(item, "name", "")) for item in response.output] == [
        ("message", ""),
        ("function_call", "f"),
        ("message", ""),
    ]
    assert response.output_text == "acb"
    assert frames(written)[-1]["response"] == whole(events)


def test_citations_are_numbered() -> None:
    part = Part(text="abcdef")
    part.citations.add(kind="char_location", url="https://x.test", start=1, end=2)
    part.citations.add(kind="url_citation", url="https://x.test", start=1, end=2)
    annotations = whole(foreign(*block(0, part), *end()))["output"][0]["content"][0]["annotations"]
    # Other kinds count in the source, not in the answer.
    assert [(each["start_index"], each["end_index"]) for each in annotations] == [(0, 6), (1, 2)]
    cited = [BlockDelta(citation=Citation(url=f"https://x.test/{number}")) for number in range(3)]
    written = write(foreign(*block(0, Part(text="abc"), *cited), *end()))
    told = [each for each in frames(written) if each["type"].endswith("annotation.added")]
    assert [each["annotation_index"] for each in told] == [0, 1, 2]
    assert [each["annotation"]["end_index"] for each in told] == [3, 3, 3]
    parts = official.accumulated(written).output[0]
    assert parts.type == "message"
    assert parts.content[0].type == "output_text"
    assert [getattr(each, "url", "") for each in parts.content[0].annotations] == [
        f"https://x.test/{number}" for number in range(3)
    ]


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
