"""What an answer loses in another dialect is told: in its warnings, or in a stream's comments before its end."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.types.v1 import content_pb2 as content
from llmhub.types.v1 import generation_pb2 as generation
from llmhub.types.v1.content_pb2 import Citation, Media, OpaquePart, OpaqueState, Part, Reasoning, ToolCall
from llmhub.types.v1.generation_pb2 import Candidate, Finish
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
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
from services.dialects.answer_losses import MOST_LOSSES, AnswerLosses
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec, DecodedRequest
from services.dialects.openai import OpenAICodec
from tests.dialects.anthropic import official as anthropic_sdk
from tests.dialects.openai import official as openai_sdk

CODECS: Final[Mapping[str, ChatCodec]] = {"openai": OpenAICodec(), "anthropic": AnthropicCodec()}
PNG: Final = b"\x89PNG\r\n\x1a\n"
FOREIGN: Final = OpaqueState(data=b"s", dialect="gemini", kind="thought_signature")
END: Final = Finish(reason=generation.FINISH_REASON_END, provider_reason="STOP")
P: Final = "candidates[0].parts[0]"

PARTS: Final[dict[str, tuple[Part, set[str], set[str]]]] = {
    # A part, and the fields lost of it at OpenAI and at Anthropic.
    "text": (Part(text="a"), set(), set()),
    "refusal": (Part(refusal="no"), set(), {P}),
    "reasoning": (Part(reasoning=Reasoning(text="hm")), set(), set()),
    "two accounts of reasoning": (
        Part(reasoning=Reasoning(text="hm", summaries=["h"])),
        {f"{P}.reasoning.summaries"},
        {f"{P}.reasoning.summaries"},
    ),
    "reasoning with state": (
        Part(reasoning=Reasoning(text="hm"), state=FOREIGN),
        {f"{P}.state"},
        {f"{P}.state"},
    ),
    "withheld reasoning": (
        Part(reasoning=Reasoning(redacted=True), state=FOREIGN),
        {f"{P}.state"},
        {f"{P}.state"},
    ),
    "tool_call": (Part(tool_call=ToolCall(id="c", name="f", arguments="{}")), set(), set()),
    "tool call with broken arguments": (
        Part(tool_call=ToolCall(id="c", name="f", arguments="{")),
        set(),
        {f"{P}.tool_call.arguments"},
    ),
    "signed tool call": (
        Part(tool_call=ToolCall(id="c", name="f", arguments="{}"), state=FOREIGN),
        {f"{P}.state"},
        {f"{P}.state"},
    ),
    "tool_result": (Part(tool_result=content.ToolResult(call_id="c")), {P}, set()),
    "opaque": (Part(opaque=OpaquePart(dialect="gemini", type="code", json="{}")), {P}, {P}),
    "media": (Part(media=Media(kind=content.MEDIA_KIND_IMAGE, data=PNG)), set(), {P}),
    "image by id": (
        Part(media=Media(kind=content.MEDIA_KIND_IMAGE, file_id="f", mime_type="image/png")),
        {P},
        {P},
    ),
    "sound": (Part(media=Media(kind=content.MEDIA_KIND_AUDIO, data=b"la")), set(), {f"{P}.media"}),
    "film": (Part(media=Media(kind=content.MEDIA_KIND_VIDEO, url="https://a/b")), {P}, {f"{P}.media"}),
    "document": (Part(media=Media(kind=content.MEDIA_KIND_DOCUMENT, file_id="f")), {P}, {P}),
    "citation into a document": (
        Part(text="a", citations=[Citation(kind="gemini_chunk", document_index=1, cited_text="x")]),
        {f"{P}.citations"},
        {f"{P}.citations"},
    ),
    "citation of a page": (
        Part(text="a", citations=[Citation(kind="web", url="https://a", cited_text="x")]),
        {f"{P}.citations"},
        set(),
    ),
    "unknown member": (
        Part(text="a", extensions={"gemini": '{"thought":true}'}),
        {f"{P}.extensions[gemini]"},
        {f"{P}.extensions[gemini]"},
    ),
}


def test_every_kind_of_part_has_a_case() -> None:
    kinds = {field.name for field in Part.DESCRIPTOR.oneofs_by_name["kind"].fields}
    assert kinds <= set(PARTS)


def lost(warnings: Sequence[LossWarning]) -> set[str]:
    assert all(warning.kind and warning.message for warning in warnings)
    return {warning.field for warning in warnings}


def comments(stream: bytes) -> list[dict[str, str]]:
    return [json.loads(row) for row in re.findall(rb"^: llmhub-warning (.*)$", stream, re.MULTILINE)]


def streamed(codec: ChatCodec, *events: StreamEvent) -> bytes:
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(model="m"), stream=True))
    first = StreamEvent(started=Started(response_id="r", model="m"))
    last = StreamEvent(finished=Finished(complete=True))
    pieces = []
    for number, event in enumerate((first, *events, last)):
        event.sequence = event.frame = number
        pieces.append(encoder.encode([event]))
    return b"".join(pieces)


def block(part: Part, number: int = 0, candidate: int = 0) -> list[StreamEvent]:
    start = BlockStart(candidate=candidate, block=number, part=part)
    stop = BlockStop(candidate=candidate, block=number)
    return [StreamEvent(block_start=start), StreamEvent(block_stop=stop)]


def end(finish: Finish = END, candidate: int = 0) -> StreamEvent:
    return StreamEvent(candidate_finish=CandidateFinish(candidate=candidate, finish=finish))


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("dialect", CODECS)
def test_parts_of_a_whole_answer(dialect: str, name: str) -> None:
    part, at_openai, at_anthropic = PARTS[name]
    response = GenerateResponse(candidates=[Candidate(parts=[part], finish=END)])
    CODECS[dialect].encode_response(response)
    assert lost(response.warnings) == (at_openai if dialect == "openai" else at_anthropic)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("dialect", CODECS)
def test_parts_of_a_stream(dialect: str, name: str) -> None:
    part, at_openai, at_anthropic = PARTS[name]
    copy = Part()
    copy.CopyFrom(part)
    citations = [StreamEvent(block_delta=BlockDelta(citation=each)) for each in copy.citations]
    del copy.citations[:]
    start, stop = block(copy)
    stream = streamed(CODECS[dialect], start, *citations, stop, end())
    expected = at_openai if dialect == "openai" else at_anthropic
    # What an event's extension had is told for the whole stream, a part's for the part.
    assert {row["field"] for row in comments(stream)} == expected


def test_state_that_comes_piece_by_piece() -> None:
    start, stop = block(Part(reasoning=Reasoning()))
    piece = StreamEvent(block_delta=BlockDelta(state=FOREIGN))
    for codec in CODECS.values():
        assert [row["field"] for row in comments(streamed(codec, start, piece, piece, stop, end()))] == [
            f"{P}.state"
        ]


FINISHES: Final[dict[str, tuple[Finish, set[str], set[str]]]] = {
    "plain": (END, set(), set()),
    "paused": (
        Finish(reason=generation.FINISH_REASON_PAUSE, provider_reason="pause_turn"),
        {"candidates[0].finish.reason"},
        set(),
    ),
    "malformed": (
        Finish(reason=generation.FINISH_REASON_MALFORMED, provider_reason="MALFORMED_FUNCTION_CALL"),
        {"candidates[0].finish.reason"},
        {"candidates[0].finish.reason"},
    ),
    "filtered": (
        Finish(reason=generation.FINISH_REASON_CONTENT_FILTER, provider_reason="SAFETY"),
        set(),
        {"candidates[0].finish.reason"},
    ),
    "sequence": (
        Finish(
            reason=generation.FINISH_REASON_STOP_SEQUENCE, provider_reason="stop_sequence", stop_sequence="#"
        ),
        {"candidates[0].finish.stop_sequence"},
        set(),
    ),
    "refused": (
        Finish(reason=generation.FINISH_REASON_REFUSAL, provider_reason="refusal", refusal_category="bio"),
        {"candidates[0].finish.refusal_category"},
        set(),
    ),
}


@pytest.mark.parametrize("name", FINISHES)
@pytest.mark.parametrize("dialect", CODECS)
def test_finishes(dialect: str, name: str) -> None:
    finish, at_openai, at_anthropic = FINISHES[name]
    expected = at_openai if dialect == "openai" else at_anthropic
    response = GenerateResponse(candidates=[Candidate(parts=[Part(text="a")], finish=finish)])
    CODECS[dialect].encode_response(response)
    assert lost(response.warnings) == expected
    stream = streamed(CODECS[dialect], *block(Part(text="a")), end(finish))
    assert {row["field"] for row in comments(stream)} == expected


def test_candidates_and_log_probabilities() -> None:
    logprobs = '{"content":[{"token":"a","logprob":-1}]}'
    response = GenerateResponse(
        candidates=[
            Candidate(parts=[Part(text="a")], finish=END, logprobs_json=logprobs),
            Candidate(index=1, parts=[Part(text="b")], finish=END, logprobs_json='{"chosen":[]}'),
        ]
    )
    body = json.loads(CODECS["openai"].encode_response(response))
    assert lost(response.warnings) == {"candidates[1].logprobs_json"}
    assert body["choices"][0]["logprobs"] == json.loads(logprobs)
    del response.warnings[:]
    CODECS["anthropic"].encode_response(response)
    assert lost(response.warnings) == {"candidates[0].logprobs_json", "candidates[1]"}


def test_candidates_and_log_probabilities_of_a_stream() -> None:
    logprobs = '{"content":[{"token":"a","logprob":-1}]}'
    events = [
        block(Part(text=""))[0],
        StreamEvent(block_delta=BlockDelta(text="a", logprobs_json=logprobs)),
        StreamEvent(block_stop=BlockStop()),
        *block(Part(text="b"), candidate=1),
        end(),
        end(candidate=1),
    ]
    stream = streamed(CODECS["openai"], *events)
    assert comments(stream) == []
    assert b'"logprobs":' + logprobs.encode() in stream
    stream = streamed(CODECS["anthropic"], *events)
    assert {row["field"] for row in comments(stream)} == {"candidates[0].logprobs_json", "candidates[1]"}


def test_sound_goes_on_at_openai() -> None:
    sound = Part(media=Media(kind=content.MEDIA_KIND_AUDIO, data=b"la", transcript="la"))
    response = GenerateResponse(candidates=[Candidate(parts=[sound, sound], finish=END)])
    body = json.loads(CODECS["openai"].encode_response(response))
    assert body["choices"][0]["message"]["audio"] == {"data": "bGE=", "transcript": "la"}
    assert lost(response.warnings) == {"candidates[0].parts[1]"}
    stream = streamed(CODECS["openai"], *block(sound), *block(sound, 1), end())
    assert stream.count(b'"audio":{"data":"bGE=","transcript":"la"}') == 1
    assert [row["field"] for row in comments(stream)] == ["candidates[0].parts[1]"]


def test_usage_that_has_no_place() -> None:
    response = GenerateResponse(
        candidates=[Candidate(parts=[Part(text="a")], finish=END)],
        usage=Usage(input_tokens=1, cache_write_1h_tokens=2, server_tool_calls={"code_runs": 1}),
    )
    CODECS["openai"].encode_response(response)
    assert lost(response.warnings) == {"usage.server_tool_calls", "usage.cache_write_1h_tokens"}
    del response.warnings[:]
    CODECS["anthropic"].encode_response(response)
    assert lost(response.warnings) == {"usage.server_tool_calls"}


def test_members_of_frames_are_gathered_by_name() -> None:
    first, stop = block(Part(text="a"))
    first.extensions["openai"] = (
        '{"choices":[{"index":0,"delta":{"role":"assistant","content":"\\u0000","x":1}}],"seed":3,"created":7}'
    )
    padding = StreamEvent(block_delta=BlockDelta(text="b"), extensions={"openai": '{"obfuscation":"abc"}'})
    again = StreamEvent(block_delta=BlockDelta(text="b"), extensions={"openai": '{"seed":4}'})
    (row,) = comments(streamed(CODECS["anthropic"], first, padding, again, stop, end()))
    assert row["field"] == "extensions[openai]"
    assert row["message"].startswith("choices.delta.x, seed:")


def test_kept_frames_that_say_nothing_are_no_loss() -> None:
    silent = StreamEvent(
        keep_alive=KeepAlive(), extensions={"cohere": '{"frame":{"type":"content-end","index":0}}'}
    )
    assert comments(streamed(CODECS["openai"], silent, *block(Part(text="a")), end())) == []
    debug = StreamEvent(
        keep_alive=KeepAlive(), extensions={"cohere": '{"frame":{"type":"debug","prompt":"x"}}'}
    )
    (row,) = comments(streamed(CODECS["openai"], debug, *block(Part(text="a")), end()))
    assert row["message"] == "frame.prompt: known to that dialect only"


def test_comments_stand_before_the_end_and_no_sdk_minds_them() -> None:
    events = [*block(Part(reasoning=Reasoning(text="hm"), state=FOREIGN)), *block(Part(text="a"), 1), end()]
    stream = streamed(CODECS["openai"], *events)
    assert re.search(rb"\n\n: llmhub-warning [^\n]+\n\ndata: \[DONE\]\n\n$", stream)
    chunks: list[Any] = openai_sdk.streamed(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "a"
    stream = streamed(CODECS["anthropic"], *events)
    assert re.search(rb"\n\n: llmhub-warning [^\n]+\n\nevent: message_stop\n", stream)
    assert [each.type for each in anthropic_sdk.streamed_message(stream).content] == ["thinking", "text"]


@pytest.mark.parametrize("dialect", CODECS)
def test_a_broken_stream_tells_what_it_lost_too(dialect: str) -> None:
    encoder = CODECS[dialect].stream_encoder(DecodedRequest(GenerateRequest(), stream=True))
    late = LossWarning(kind=generation.WARNING_KIND_DROPPED, field="late", message="m")
    early = LossWarning(kind=generation.WARNING_KIND_DROPPED, field="early", message="m")
    started = StreamEvent(started=Started(response_id="r", model="m", warnings=[early]))
    finished = StreamEvent(sequence=1, frame=1, finished=Finished(warnings=[early, late]))
    # The header has told the early one.
    rows = comments(encoder.encode([started]) + encoder.encode([finished]))
    assert rows == [{"kind": "dropped", "field": "late", "message": "m"}]


def test_losses_are_told_once_and_never_without_bound() -> None:
    losses = AnswerLosses()
    for number in range(10_000):
        losses.dropped(f"parts[{number % 5000}]", "gone")
    assert len(losses.warnings) == MOST_LOSSES + 1
    assert losses.warnings[-1].message == "and more that is not listed"
