"""What an answer loses as a response is told: in its warnings, or in a stream's comments before its end."""

import json
from typing import Any, Final

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1 import content_pb2 as content
from llmhub.types.v1.content_pb2 import Citation, Media, OpaquePart, OpaqueState, Part, Reasoning, ToolCall
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from llmhub.types.v1.stream_pb2 import BlockStart, BlockStop, CandidateFinish, Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.openai_responses import ResponsesCodec
from tests.dialects.openai_responses.traffic import STREAMS, WHOLE

codec = ResponsesCodec()
P: Final = "candidates[0].parts[0]"
STATE: Final = OpaqueState(data=b"s", dialect="gemini", kind="thought_signature")
IMAGE: Final = content.MEDIA_KIND_IMAGE
AUDIO: Final = content.MEDIA_KIND_AUDIO

PARTS: Final[dict[str, tuple[Part, set[str]]]] = {
    "text": (Part(text="a", state=STATE), set()),
    "refusal": (Part(refusal="no"), set()),
    "reasoning": (Part(reasoning=Reasoning(text="hm", summaries=["h"]), state=STATE), set()),
    "withheld reasoning": (Part(reasoning=Reasoning(redacted=True), state=STATE), set()),
    "tool call": (Part(tool_call=ToolCall(id="c", name="f", arguments="{}"), state=STATE), set()),
    "image": (Part(media=Media(kind=IMAGE, data=b"\x89PNG", mime_type="image/png")), set()),
    "image with state": (Part(media=Media(kind=IMAGE, data=b"\x89PNG"), state=STATE), {f"{P}.state"}),
    "image elsewhere": (Part(media=Media(kind=IMAGE, url="https://x.test/a.png")), {P}),
    "sound with words": (Part(media=Media(kind=AUDIO, data=b"x", transcript="hi")), {P}),
    "sound": (Part(media=Media(kind=AUDIO, data=b"x")), {P}),
    "block": (Part(opaque=OpaquePart(dialect="anthropic", type="server_tool_use", json="{}")), {P}),
    "citation": (
        Part(text="a", citations=[Citation(kind="url_citation", url="https://x.test", start=0, end=1)]),
        set(),
    ),
    "citation with words": (
        Part(text="a", citations=[Citation(url="https://x.test", cited_text="x")]),
        {f"{P}.citations"},
    ),
    "citation of a document": (
        Part(text="a", citations=[Citation(kind="char_location", document_index=0)]),
        {f"{P}.citations"},
    ),
    "unknown members": (
        Part(text="a", extensions={"anthropic": '{"new":1}'}),
        {f"{P}.extensions[anthropic]"},
    ),
}


def whole(part: Part, **finish: Any) -> GenerateResponse:
    candidate = Candidate(parts=[part], finish=Finish(reason=FinishReason.FINISH_REASON_END, **finish))
    return GenerateResponse(response_id="x", provider_model="m", candidates=[candidate])


def stream(part: Part) -> list[StreamEvent]:
    return [
        StreamEvent(started=Started(response_id="x", model="m"), frame=0),
        StreamEvent(block_start=BlockStart(part=part), frame=1),
        StreamEvent(block_stop=BlockStop(), frame=2),
        StreamEvent(
            candidate_finish=CandidateFinish(finish=Finish(reason=FinishReason.FINISH_REASON_END)), frame=3
        ),
        StreamEvent(finished=Finished(complete=True), frame=4),
    ]


def comments(written: bytes) -> list[dict[str, Any]]:
    mark = b": llmhub-warning "
    return [json.loads(line[len(mark) :]) for line in written.split(b"\n") if line.startswith(mark)]


@pytest.mark.parametrize("name", PARTS)
def test_parts(name: str) -> None:
    part, lost = PARTS[name]
    response = whole(part)
    answer = json.loads(codec.encode_response(response))
    assert {each.field for each in response.warnings} == lost
    written = codec.stream_encoder(codec.decode_request(b'{"model":"m","input":"?"}')).encode(stream(part))
    told = comments(written)
    assert {each["field"] for each in told} == lost
    assert len(told) == len(lost)
    last = json.loads(written.rstrip().rpartition(b"\ndata: ")[2])["response"]
    assert last["output"] == answer["output"]
    if written.find(b": llmhub") > 0:
        assert written.find(b": llmhub") < written.find(b"event: response.completed")


def test_an_answer() -> None:
    response = whole(Part(text="a"), stop_sequence="x", refusal_category="c", provider_reason="stop_sequence")
    response.candidates.add(index=1).parts.add().text = "b"
    response.candidates[0].logprobs_json = '{"other":[]}'
    response.usage.CopyFrom(
        Usage(input_tokens=1, output_tokens=1, cache_write_1h_tokens=1, server_tool_calls={"searches": 1})
    )
    response.extensions["anthropic"] = '{"container":{"id":"c"}}'
    codec.encode_response(response)
    assert [each.field for each in response.warnings] == [
        "usage.server_tool_calls",
        "usage.cache_write_1h_tokens",
        "candidates[0].logprobs_json",
        "candidates[0].finish.stop_sequence",
        "candidates[0].finish.refusal_category",
        "candidates[1]",
        "extensions[anthropic]",
    ]


@pytest.mark.parametrize("exchange", WHOLE[:8], ids=str)
def test_nothing_is_lost_of_its_own(exchange: Any) -> None:
    response = codec.decode_response(exchange.answer)
    codec.encode_response(response)
    assert not response.warnings


@pytest.mark.parametrize("exchange", STREAMS[:4], ids=str)
def test_nothing_is_lost_of_its_own_streams(exchange: Any) -> None:
    decoder = codec.stream_decoder()
    caller = codec.decode_request(b'{"model":"m","input":"?"}')
    written = codec.stream_encoder(caller).encode([*decoder.feed(exchange.answer), *decoder.close()])
    assert comments(written) == []
