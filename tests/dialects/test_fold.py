"""The whole of a stream, from events alone."""

import json

import pytest

from llmhub.types.v1 import generation_pb2 as generation
from llmhub.types.v1.content_pb2 import Citation, MediaKind, OpaquePart, OpaqueState, Part, ToolCall
from llmhub.types.v1.error_pb2 import ERROR_REASON_UPSTREAM_OVERLOADED, Error
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.anthropic.opaque import whole_block
from services.dialects.fold import Folding, fold
from services.runtime.errors import StreamInterrupted, UpstreamOverloaded, UpstreamProtocol

END = StreamEvent(finished=Finished(complete=True))


def opened(block: int, part: Part, candidate: int = 0) -> StreamEvent:
    return StreamEvent(block_start=BlockStart(candidate=candidate, block=block, part=part))


def text(block: int, words: str, candidate: int = 0, logprobs: str = "") -> StreamEvent:
    delta = BlockDelta(candidate=candidate, block=block, text=words, logprobs_json=logprobs)
    return StreamEvent(block_delta=delta)


def test_blocks_are_joined_in_their_order() -> None:
    thought = Part()
    thought.reasoning.SetInParent()
    state = [OpaqueState(data=data, dialect="d", kind="signature") for data in (b"a", b"b")]
    response = fold(
        [
            StreamEvent(started=Started(response_id="r", model="m")),
            opened(1, Part(text="he")),
            opened(0, thought),
            text(0, "h"),
            text(1, "llo"),
            text(0, "m"),
            *(StreamEvent(block_delta=BlockDelta(block=0, state=each)) for each in state),
            opened(2, Part(tool_call=ToolCall(id="t", name="f"))),
            StreamEvent(block_delta=BlockDelta(block=2, arguments='{"a"')),
            StreamEvent(block_delta=BlockDelta(block=1, citation=Citation(url="u"))),
            StreamEvent(block_delta=BlockDelta(block=2, arguments=":1}")),
            StreamEvent(
                candidate_finish=CandidateFinish(
                    finish=generation.Finish(reason=generation.FINISH_REASON_TOOL_CALL)
                )
            ),
            StreamEvent(usage=Usage(output_tokens=1)),
            StreamEvent(finished=Finished(complete=True, usage=Usage(output_tokens=2))),
        ]
    )
    first, second, third = response.candidates[0].parts
    assert (first.reasoning.text, first.state.data, first.state.kind) == ("hm", b"ab", "signature")
    assert (second.text, second.citations[0].url) == ("hello", "u")
    assert third.tool_call.arguments == '{"a":1}'
    assert response.candidates[0].finish.reason == generation.FINISH_REASON_TOOL_CALL
    assert (response.response_id, response.provider_model) == ("r", "m")
    assert response.usage.output_tokens == 2


def test_sound_refusals_and_log_probabilities() -> None:
    sound = Part()
    sound.media.kind = MediaKind.MEDIA_KIND_AUDIO
    response = fold(
        [
            opened(0, sound, candidate=1),
            StreamEvent(block_delta=BlockDelta(candidate=1, block=0, data=b"a")),
            StreamEvent(block_delta=BlockDelta(candidate=1, block=0, data=b"b")),
            StreamEvent(block_delta=BlockDelta(candidate=1, block=0, transcript="hi")),
            opened(0, Part(refusal="")),
            text(0, "n", logprobs='{"content":[1],"refusal":null}'),
            text(0, "o", logprobs='{"content":[2],"refusal":null}'),
            END,
        ]
    )
    refused, heard = response.candidates
    assert refused.parts[0].refusal == "no"
    assert refused.logprobs_json == '{"content":[1,2],"refusal":null}'
    assert (heard.parts[0].media.data, heard.parts[0].media.transcript) == (b"ab", "hi")


def test_what_has_no_proper_end_is_no_answer() -> None:
    with pytest.raises(StreamInterrupted):
        fold([opened(0, Part(text="a"))])
    error = Error(reason=ERROR_REASON_UPSTREAM_OVERLOADED, message="busy")
    with pytest.raises(UpstreamOverloaded, match="busy"):
        fold([StreamEvent(finished=Finished(error=error))])


def test_the_fragment_is_there_all_the_same() -> None:
    folding = Folding()
    folding.add(opened(0, Part(text="a")))
    folding.add(text(0, "b"))
    assert folding.fragment().candidates[0].parts[0].text == "ab"
    folding.add(text(0, "c"))
    assert folding.fragment().candidates[0].parts[0].text == "abc"


@pytest.mark.parametrize(
    "event",
    [
        opened(0, Part(), candidate=128),
        opened(0, Part(), candidate=-1),
        opened(65_536, Part()),
        opened(-1, Part()),
        text(0, "x"),
        StreamEvent(candidate_finish=CandidateFinish(candidate=2**30)),
    ],
)
def test_indexes_are_bounded(event: StreamEvent) -> None:
    with pytest.raises(UpstreamProtocol):
        fold([event, END])


OPAQUE = Part(opaque=OpaquePart(dialect="anthropic", type="server_tool_use", json='{"id":"t","input":{}}'))


def grown(block: int, delta: str) -> StreamEvent:
    return StreamEvent(block_delta=BlockDelta(block=block, opaque_json=delta))


def piece(text: str) -> str:
    return json.dumps({"type": "input_json_delta", "partial_json": text})


def test_opaque_blocks_grow_as_their_dialect_says() -> None:
    events = [opened(0, OPAQUE), grown(0, piece('{"q"')), grown(0, piece(":1}")), END]
    (part,) = fold(events, {"anthropic": whole_block}).candidates[0].parts
    assert json.loads(part.opaque.json) == {"id": "t", "input": {"q": 1}}
    (part,) = fold(events, {"gemini": whole_block}).candidates[0].parts
    assert part == OPAQUE


def test_half_an_opaque_block_is_a_fragment_but_no_answer() -> None:
    folding = Folding({"anthropic": whole_block})
    folding.add(opened(0, OPAQUE))
    folding.add(grown(0, piece('{"q"')))
    assert folding.fragment().candidates[0].parts[0] == OPAQUE
    folding.add(grown(0, piece(":1}")))
    assert '"q":1' in folding.fragment().candidates[0].parts[0].opaque.json
    with pytest.raises(UpstreamProtocol, match="server_tool_use"):
        fold([opened(0, OPAQUE), grown(0, piece("{")), END], {"anthropic": whole_block})
