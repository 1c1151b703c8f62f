"""Streams that no recording shows, after Google's types and documentation; cases of ours."""

import json
from typing import Any

import pytest

from llmhub.types.v1.content_pb2 import Citation, Part, Reasoning, ToolCall
from llmhub.types.v1.error_pb2 import ERROR_REASON_UPSTREAM_OVERLOADED
from llmhub.types.v1.generation_pb2 import (
    FINISH_REASON_CONTENT_FILTER,
    FINISH_REASON_MAX_TOKENS,
    FINISH_REASON_TOOL_CALL,
    Finish,
)
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
from services.dialects.fold import fold
from services.dialects.gemini import Framing, GeminiCodec
from services.dialects.gemini.framing import ArrayParser
from services.runtime.errors import UpstreamProtocol
from tests.dialects.gemini.official import streamed
from tests.dialects.gemini.recorded import PLAIN, decoded, frames
from tests.dialects.gemini.test_official_sdk import accumulated

codec = GeminiCodec()
TOTALS = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}


def sse(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(each).encode() for each in chunks)


def again(stream: bytes) -> list[Any]:
    """The chunks after a way through the contract."""
    return frames(codec.stream_encoder(codec.decode_request(PLAIN)).encode(decoded(stream)))


def call(**members: Any) -> dict[str, Any]:
    return {"functionCall": members}


def test_arguments_in_pieces_are_put_together_and_written_back() -> None:
    chunks = [
        chunk({"text": "so"}),
        chunk(call(name="f", id="c1", willContinue=True)),
        chunk(
            call(
                partialArgs=[{"jsonPath": "$.place", "stringValue": "Pa", "willContinue": True}],
                willContinue=True,
            )
        ),
        chunk(call(partialArgs=[{"jsonPath": "$.place", "stringValue": "ris"}], willContinue=True)),
        chunk(call(partialArgs=[{"jsonPath": "$.days[0].n", "numberValue": 1}], willContinue=True)),
        chunk(call(partialArgs=[{"jsonPath": "$.days[1]", "boolValue": True}], willContinue=True)),
        chunk(call(partialArgs=[{"jsonPath": "$['odd']", "nullValue": "NULL_VALUE"}], willContinue=True)),
        chunk(call()),
        {**chunk(call(name="g", args={"a": 1}), finishReason="STOP"), "usageMetadata": TOTALS},
    ]
    stream = sse(*chunks)
    response = fold(decoded(stream))
    text, first, second = response.candidates[0].parts
    assert text.text == "so"
    assert (first.tool_call.name, first.tool_call.id) == ("f", "c1")
    assert json.loads(first.tool_call.arguments) == {"place": "Paris", "days": [{"n": 1}, True], "odd": None}
    assert (second.tool_call.name, second.tool_call.arguments) == ("g", '{"a": 1}')
    assert response.candidates[0].finish.reason == FINISH_REASON_TOOL_CALL
    assert again(stream) == chunks


@pytest.mark.parametrize("path", ["$", "place", "$.a[9]", "$..a", "$.a b]", "$" + ".a" * 99])
def test_arguments_that_lead_nowhere(path: str) -> None:
    pieces = call(name="f", partialArgs=[{"jsonPath": path, "numberValue": 1}], willContinue=True)
    with pytest.raises(UpstreamProtocol):
        decoded(sse(chunk(pieces)))


@pytest.mark.parametrize("odd", [{"text": "x"}, {"functionCall": []}, {"functionCall": None}])
def test_a_call_in_pieces_is_not_broken_into(odd: dict[str, Any]) -> None:
    with pytest.raises(UpstreamProtocol):
        decoded(sse(chunk(call(name="f", willContinue=True)), chunk(odd)))


def test_several_candidates_in_one_stream() -> None:
    def both(first: str, second: str, **more: Any) -> dict[str, Any]:
        one, two = chunk({"text": first}, **more), chunk({"text": second}, **more)
        two["candidates"][0]["index"] = 1
        return {**one, "candidates": [*one["candidates"], *two["candidates"]]}

    chunks = [both("a", "x"), both("b", "y", finishReason="STOP")]
    events = decoded(sse(*chunks))
    assert [each.parts[0].text for each in fold(events).candidates] == ["ab", "xy"]
    assert again(sse(*chunks)) == chunks
    one_ended = decoded(sse(chunks[0], chunk({"text": "b"}, finishReason="STOP")))
    assert not one_ended[-1].finished.complete


def test_a_refused_prompt_is_an_answer() -> None:
    refused = {
        "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": [{"category": "X"}]},
        "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
    }
    events = decoded(sse(refused))
    assert events[-1].finished.complete
    (candidate,) = fold(events).candidates
    assert (candidate.finish.reason, candidate.finish.provider_reason) == (
        FINISH_REASON_CONTENT_FILTER,
        "SAFETY",
    )
    assert again(sse(refused)) == [refused]


def test_an_error_inside_a_stream_ends_it() -> None:
    error = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
    events = decoded(sse(chunk({"text": "a"}), error, chunk({"text": "b"}, finishReason="STOP")))
    finished = events[-1].finished
    assert not finished.complete
    assert (finished.error.reason, finished.error.message) == (ERROR_REASON_UPSTREAM_OVERLOADED, "busy")
    assert not any(event.block_delta.text == "b" for event in events)
    for framing in Framing:
        written = GeminiCodec(framing=framing).stream_encoder(codec.decode_request(PLAIN)).encode(events)
        last = frames(written)[-1]["error"]
        assert (last["code"], last["message"], last["status"]) == (503, "busy", "UNAVAILABLE")
    with pytest.raises(Exception, match="busy"):
        streamed(codec.stream_encoder(codec.decode_request(PLAIN)).encode(events))


def test_text_is_cited_by_characters_also_when_it_is_closed() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 0, "endIndex": 3, "text": "né"},
                "groundingChunkIndices": [0, 7],
            }
        ],
        "webSearchQueries": ["a", "b"],
    }
    ending = {
        **chunk({"text": "", "thoughtSignature": "s="}, finishReason="STOP", groundingMetadata=grounding),
        "usageMetadata": TOTALS,
    }
    for extra in ([], [chunk(call(name="f"))]):
        stream = sse(chunk({"text": "né👋 x"}), *extra, ending)
        response = fold(decoded(stream))
        cited = [
            (part.text, citation) for part in response.candidates[0].parts for citation in part.citations
        ]
        assert [(citation.url, citation.start, citation.end) for _, citation in cited] == [
            ("https://x.test", 0, 2)
        ]
        assert cited[0][0] == ("" if extra else "né👋 x")
        assert response.usage.server_tool_calls["web_search_requests"] == 2
        assert again(stream)[-1] == ending


def test_line_ends_may_be_mixed() -> None:
    one, two, three = (sse(chunk({"text": text})) for text in "abc")
    last = sse(chunk({"text": "d"}, finishReason="STOP"))
    mixed = two.replace(b"\r\n", b"\n") + three
    assert decoded(one, mixed, last) == decoded(one + two + three + last)


def test_early_totals_without_counts_are_no_totals() -> None:
    early = {**chunk({"text": "a"}), "usageMetadata": {"trafficType": "ON_DEMAND"}}
    late = {**chunk({"text": "b"}, finishReason="STOP"), "usageMetadata": TOTALS}
    events = decoded(sse(early, late))
    assert [event.usage.output_tokens for event in events if event.HasField("usage")] == [2]
    assert again(sse(early, late)) == [early, late]


def test_chunks_that_say_nothing_are_kept() -> None:
    odd = [
        chunk({"text": "a"}),
        {"newMember": {"a": 1}},
        {},
        chunk({"text": "b", "new": 1}, finishReason="STOP"),
    ]
    assert again(sse(*odd)) == odd
    assert decoded(sse(*odd))[-1].finished.complete


@pytest.mark.parametrize("stream", [b"", b"   ", b"[", b"[]", b"data: {}\r\n\r\n", sse(chunk({"text": "a"}))])
def test_what_does_not_end_is_not_whole(stream: bytes) -> None:
    events = decoded(stream)
    assert not events[-1].finished.complete
    assert events[-1].finished.HasField("error")


@pytest.mark.parametrize(
    "junk",
    [b"[1", b"[}", b'["a"]', b"[[]]x", b"{}{}", b"[{}]]", b"[{} nonsense {}]", b"x]", b"]", b"[,{}] 1"],
)
def test_what_is_no_array(junk: bytes) -> None:
    def parse(*pieces: bytes) -> bool:
        parser = ArrayParser()
        found = [element for piece in pieces for element in parser.feed(piece)]
        return not parser.ended or any(element == b"[]" for element in found)

    for cut in range(len(junk)):
        try:
            assert parse(junk[:cut], junk[cut:])
        except UpstreamProtocol:
            continue


def test_brackets_in_texts_are_no_brackets() -> None:
    elements = [{"a": '"]}[{\\'}, {"b": ["\\\\", {"c": "]"}]}]
    data = json.dumps(elements, indent=1).encode()
    for size in (1, 2, 3, 7, len(data)):
        parser = ArrayParser()
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert [json.loads(e) for piece in pieces for e in parser.feed(piece)] == elements
        assert parser.ended


def of_others(*events: StreamEvent) -> bytes:
    encoder = codec.stream_encoder(codec.decode_request(PLAIN))
    return b"".join(encoder.encode([event]) for event in events)


def start(block: int, part: Part) -> StreamEvent:
    return StreamEvent(block_start=BlockStart(block=block, part=part))


def delta(block: int, **what: Any) -> StreamEvent:
    return StreamEvent(block_delta=BlockDelta(block=block, **what))


def stop(block: int) -> StreamEvent:
    return StreamEvent(block_stop=BlockStop(block=block))


def test_blocks_of_others_that_interleave() -> None:
    stream = of_others(
        StreamEvent(started=Started(response_id="r1", model="gpt")),
        StreamEvent(keep_alive=KeepAlive()),
        start(0, Part(reasoning=Reasoning(text="h"))),
        delta(0, text="m"),
        stop(0),
        start(1, Part(tool_call=ToolCall(id="c1", name="f"))),
        start(2, Part(text="he")),
        delta(1, arguments='{"a'),
        delta(2, text="llo"),
        start(3, Part(tool_call=ToolCall(id="c2", name="g"))),
        delta(3, arguments="{}"),
        delta(1, arguments='":1}'),
        stop(1),
        delta(2, citation=Citation(kind="url_citation", url="https://x.test", title="X", start=0, end=2)),
        stop(2),
        StreamEvent(candidate_finish=CandidateFinish(finish=Finish(reason=FINISH_REASON_TOOL_CALL))),
        StreamEvent(usage=Usage(input_tokens=3, cache_read_tokens=4, output_tokens=2, reasoning_tokens=1)),
        StreamEvent(finished=Finished(complete=True)),
    )
    chunks = streamed(stream)
    assert accumulated(chunks) == [
        {"text": "hm", "thought": True},
        {"text": "hello"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
    ]
    last = frames(stream)[-1]
    assert (last["modelVersion"], last["responseId"]) == ("gpt", "r1")
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://x.test", "title": "X"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 2, "text": "he"}, "groundingChunkIndices": [0]}
        ],
    }
    assert last["usageMetadata"] == {
        "promptTokenCount": 7,
        "candidatesTokenCount": 2,
        "cachedContentTokenCount": 4,
        "thoughtsTokenCount": 1,
        "totalTokenCount": 10,
    }


def test_a_broken_answer_of_others_never_ends_well() -> None:
    events = (
        StreamEvent(started=Started()),
        start(0, Part(text="a")),
        StreamEvent(candidate_finish=CandidateFinish(finish=Finish(reason=FINISH_REASON_MAX_TOKENS))),
        StreamEvent(finished=Finished(complete=False)),
    )
    stream = of_others(*events)
    assert b"finishReason" not in stream
    assert frames(stream)[-1]["error"]["status"] == "INTERNAL"
    array = GeminiCodec(framing=Framing.ARRAY).stream_encoder(codec.decode_request(PLAIN)).encode(events)
    assert json.loads(array)[-1]["error"]["code"] == 500


def test_plain_chunks_are_read_with_care() -> None:
    second = chunk({"text": "x"})
    second["candidates"][0]["index"] = 1
    grounded = chunk({"text": "b"}, groundingMetadata={"webSearchQueries": ["q"]})
    ends = {**chunk({"text": "c"}, finishReason="STOP"), "usageMetadata": TOTALS}
    other = chunk({"text": "y"}, finishReason="STOP")
    other["candidates"][0]["index"] = 1
    chunks = [chunk({"text": "a"}), second, grounded, ends, other]
    response = fold(decoded(sse(*chunks)))
    assert [each.parts[0].text for each in response.candidates] == ["abc", "xy"]
    assert response.usage.server_tool_calls["web_search_requests"] == 1
    assert again(sse(*chunks)) == chunks


def test_chunks_of_which_an_event_is_missing_are_still_written() -> None:
    chunks = [{**chunk({"text": text}), "usageMetadata": TOTALS} for text in "ab"]
    last = {**chunk({"text": "c"}, finishReason="STOP"), "usageMetadata": TOTALS}
    events = [event for event in decoded(sse(*chunks, last)) if not event.HasField("usage")]
    written = frames(codec.stream_encoder(codec.decode_request(PLAIN)).encode(events))
    assert [each["candidates"][0]["content"]["parts"] for each in written] == [
        [{"text": text}] for text in "abc"
    ]
