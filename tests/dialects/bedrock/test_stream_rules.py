"""Streams that were not recorded, written from the service's description; and what others' streams become."""

import json
from typing import Any

import pytest
from google.protobuf.text_format import Parse

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.bedrock.stream_blocks import whole_block
from services.dialects.eventstream import encode_frame
from services.dialects.fold import fold
from services.runtime.errors import (
    StreamInterrupted,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamRateLimited,
)
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import codec, payloads, stream

USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
START = ("messageStart", {"role": "assistant"})
METADATA = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})
TEXT_EVENTS = """
    started {} block_start { part { text: "" } } block_delta { text: "hé" } block_stop {}
"""


def stop(reason: str = "end_turn") -> tuple[str, dict[str, Any]]:
    return ("messageStop", {"stopReason": reason})


def delta(index: int, **value: Any) -> tuple[str, dict[str, Any]]:
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": value})


def end(index: int) -> tuple[str, dict[str, Any]]:
    return ("contentBlockStop", {"contentBlockIndex": index})


def begin(index: int, **value: Any) -> tuple[str, dict[str, Any]]:
    return ("contentBlockStart", {"contentBlockIndex": index, "start": value})


def decoded(*events: tuple[str, dict[str, Any]]) -> list[StreamEvent]:
    decoder = codec.stream_decoder()
    return decoder.feed(stream(*events)) + decoder.close()


def encoded(events: list[StreamEvent]) -> bytes:
    return codec.stream_encoder(codec.decode_request(b"{}")).encode(events)


def keeps(*events: tuple[str, dict[str, Any]]) -> list[StreamEvent]:
    """The events, which write the same frames again."""
    read = decoded(*events)
    assert payloads(encoded(read)) == payloads(stream(*events))
    return read


def of(*events: str) -> list[StreamEvent]:
    """Events of another dialect."""
    return [Parse(text, StreamEvent()) for text in events]


def sent(*events: str) -> list[tuple[str, dict[str, Any]]]:
    """The events that boto3 reads from what is written for events of another dialect."""
    written = encoded(of(*events))
    return [(name, dict(value)) for name, value in official.events("ConverseStream", [written])]


def test_blocks_that_do_not_announce_themselves_start_with_their_first_delta() -> None:
    events = keeps(
        START, delta(0, text=""), end(0), delta(1, reasoningContent={"text": "r"}), end(1), stop(), METADATA
    )
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[:4] == ["started", "block_start", "block_delta", "block_stop"]
    parts = fold(events).candidates[0].parts
    assert [part.WhichOneof("kind") for part in parts] == ["text", "reasoning"]


def test_a_signature_and_withheld_reasoning() -> None:
    events = keeps(
        START,
        delta(0, reasoningContent={"text": "r"}),
        delta(0, reasoningContent={"signature": "ab"}),
        delta(0, reasoningContent={"signature": "cd"}),
        end(0),
        delta(1, reasoningContent={"redactedContent": "eHk="}),
        delta(1, reasoningContent={"redactedContent": "eg=="}),
        end(1),
        stop(),
        METADATA,
    )
    first, second = fold(events).candidates[0].parts
    assert (first.reasoning.text, first.state.data, first.state.kind) == ("r", b"abcd", "signature")
    assert (second.reasoning.redacted, second.state.data) == (True, b"xyz")
    body = json.loads(codec.encode_response(fold(events)))
    assert body["output"]["message"]["content"][1] == {"reasoningContent": {"redactedContent": "eHl6"}}


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = keeps(
        START, begin(0, toolUse={"toolUseId": "t", "name": "f"}), end(0), stop("tool_use"), METADATA
    )
    (part,) = fold(events).candidates[0].parts
    assert (part.tool_call.arguments, part.tool_call.id) == ("{}", "t")
    assert fold(events).candidates[0].finish.reason == FinishReason.FINISH_REASON_TOOL_CALL


def test_interleaved_calls_keep_their_arguments() -> None:
    events = keeps(
        START,
        begin(0, toolUse={"toolUseId": "a", "name": "f"}),
        begin(1, toolUse={"toolUseId": "b", "name": "g"}),
        delta(0, toolUse={"input": '{"x":'}),
        delta(1, toolUse={"input": '{"y":2}'}),
        delta(0, toolUse={"input": "1}"}),
        end(1),
        end(0),
        stop("tool_use"),
        METADATA,
    )
    calls = [part.tool_call for part in fold(events).candidates[0].parts]
    assert [(call.name, call.arguments) for call in calls] == [("f", '{"x":1}'), ("g", '{"y":2}')]


def test_the_providers_own_tools_are_opaque() -> None:
    use = {"toolUseId": "t", "name": "n", "type": "server_tool_use"}
    events = keeps(
        START,
        begin(0, toolUse=use),
        delta(0, toolUse={"input": '{"a":1}'}),
        end(0),
        begin(1, toolResult={"toolUseId": "t", "type": "r", "status": "success"}),
        delta(1, toolResult=[{"json": {"b": 2}}, {"text": "x"}]),
        end(1),
        stop(),
        METADATA,
    )
    parts = fold(events).candidates[0].parts
    deltas = [event.block_delta for event in events if event.HasField("block_delta")]
    whole = [
        whole_block(part.opaque.json, [d.opaque_json for d in deltas if d.block == n])
        for n, part in enumerate(parts)
    ]
    assert json.loads(whole[0]) == {"toolUse": {**use, "input": {"a": 1}}}
    assert json.loads(whole[1])["toolResult"]["content"] == [{"json": {"b": 2}}, {"text": "x"}]
    with pytest.raises(ValueError):
        whole_block("[]", [])


def test_an_image_in_pieces() -> None:
    events = keeps(
        START,
        begin(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": "eHk="}}),
        delta(0, image={"source": {"bytes": "eg=="}}),
        delta(0, image={"error": {"message": "m"}}),
        end(0),
        stop(),
        METADATA,
    )
    (part,) = fold(events).candidates[0].parts
    assert (part.media.mime_type, part.media.data) == ("image/png", b"xyz")


def test_citations_of_every_place() -> None:
    places: list[dict[str, Any]] = [
        {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
        {"searchResultLocation": {"searchResultIndex": 1, "start": 0, "end": 1}},
        {"web": {"url": "https://x", "domain": "x"}},
    ]
    events = keeps(
        START,
        *(delta(0, citation={"title": "t", "location": place}) for place in places),
        end(0),
        stop(),
        METADATA,
    )
    (part,) = fold(events).candidates[0].parts
    kinds = [citation.kind for citation in part.citations]
    assert kinds == ["page_location", "search_result_location", "url_citation"]
    assert part.citations[2].url == "https://x"


def test_a_stop_sequence_a_tier_and_a_router() -> None:
    fields = {"additionalModelResponseFields": {"stop_sequence": "|", "x": 1}}
    tier = {"serviceTier": {"type": "flex"}, "trace": {"promptRouter": {"invokedModelId": "m"}}}
    events = keeps(
        START,
        delta(0, text="a"),
        end(0),
        ("messageStop", {"stopReason": "stop_sequence", **fields}),
        ("metadata", {**METADATA[1], **tier}),
    )
    response = fold(events)
    assert response.candidates[0].finish.stop_sequence == "|"
    assert response.usage.service_tier == "flex"
    whole = {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "stop_sequence"}
    read = codec.decode_response(json.dumps({**whole, **fields, **tier, "usage": USAGE}).encode())
    assert (read.provider_model, read.candidates[0].finish.stop_sequence) == ("m", "|")


def test_events_that_nobody_knows_yet_are_kept() -> None:
    events = keeps(
        START,
        ("newEvent", {"a": 1}),
        end(7),
        delta(0, newDelta={"b": 2}),
        end(0),
        delta(1, text="x"),
        delta(1, newDelta=1),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "y"}, "new": True}),
        end(1),
        stop("new_reason"),
        METADATA,
    )
    assert [event.WhichOneof("event") for event in events].count("keep_alive") == 2
    finish = fold(events).candidates[0].finish
    assert (finish.reason, finish.provider_reason) == (FinishReason.FINISH_REASON_UNSPECIFIED, "new_reason")


def test_blocks_left_open_are_closed() -> None:
    events = keeps(START, delta(0, text="x"), stop(), METADATA)
    assert [event.WhichOneof("event") for event in events][3] == "block_stop"


def test_metadata_may_come_before_the_stop_and_without_usage() -> None:
    assert keeps(START, METADATA, stop())[-1].finished.complete
    for empty in ({}, {"usage": 1}, {"metrics": {"latencyMs": 1}}):
        events = keeps(START, delta(0, text="x"), end(0), stop(), ("metadata", empty))
        assert events[-1].finished.complete
        assert not events[-1].finished.HasField("usage")


def test_a_start_that_says_nothing() -> None:
    events = keeps(START, begin(0), delta(0, text="x"), end(0), stop(), METADATA)
    assert [part.text for part in fold(events).candidates[0].parts] == ["x"]


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_a_stream_that_ends_early_is_a_fragment(cut: int) -> None:
    events = decoded(*(START, delta(0, text="x"), end(0), stop(), METADATA)[:cut])
    assert not events[-1].finished.complete
    with pytest.raises(StreamInterrupted if cut else UpstreamProtocol):
        fold(events)
    data = encoded(events)
    with pytest.raises(official.EventStreamError):
        list(official.events("ConverseStream", [data]))


def test_an_exception_in_the_middle() -> None:
    kept = ("modelStreamErrorException", {"message": "m", "originalStatusCode": 500})
    events = keeps(START, delta(0, text="x"), kept)
    with pytest.raises(UpstreamFailed):
        fold(events)
    assert events[-1].finished.error.provider.events_delivered == 3
    # Nothing after it counts.
    assert decoded(START, kept, delta(0, text="x")) == decoded(START, kept)
    with pytest.raises(UpstreamRateLimited):
        fold(decoded(("throttlingException", {"message": "m"})))


@pytest.mark.parametrize(
    "events",
    [
        (delta(0, text="x"),),
        (START, START),
        (START, ("contentBlockDelta", {"delta": {"text": "x"}})),
        (START, ("contentBlockDelta", {"contentBlockIndex": -1, "delta": {"text": "x"}})),
        (START, ("contentBlockDelta", {"contentBlockIndex": 1 << 40, "delta": {"text": "x"}})),
        (
            START,
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x", "toolUse": {"input": ""}}}),
        ),
        (START, ("contentBlockDelta", {"contentBlockIndex": 0})),
        (START, delta(0, text="x"), delta(0, toolUse={"input": "x"})),
        (START, delta(0, text="x"), delta(0, reasoningContent={"text": "x"})),
        (START, delta(0, toolUse={"input": 1}), begin(0, toolUse={})),
        (START, begin(0, toolUse={"toolUseId": "t", "name": "f"}), delta(0, text="x")),
        (START, begin(0, toolUse={"toolUseId": "t", "name": "f"}), delta(0, toolUse={"input": 1})),
        (
            START,
            begin(0, toolUse={"toolUseId": "t", "name": "f"}),
            begin(0, toolUse={"toolUseId": "t", "name": "f"}),
        ),
        (START, delta(0, reasoningContent={"redactedContent": "?"})),
        (START, ("contentBlockStart", {"contentBlockIndex": 0})),
        (START, ("messageStop", {})),
    ],
)
def test_streams_that_are_none(events: tuple[tuple[str, dict[str, Any]], ...]) -> None:
    with pytest.raises(UpstreamProtocol):
        decoded(*events)


def test_a_payload_that_is_no_json() -> None:
    with pytest.raises(UpstreamProtocol):
        codec.stream_decoder().feed(encode_frame("messageStart", b"{"))


def test_free_text_tools_and_structured_answers_are_emulated_both_ways() -> None:
    events = decoded(
        START,
        begin(0, toolUse={"toolUseId": "t", "name": "g__llmhub_text"}),
        delta(0, toolUse={"input": '{"input":"a'}),
        delta(0, toolUse={"input": 'b"}'}),
        end(0),
        begin(1, toolUse={"toolUseId": "u", "name": "form__llmhub_json"}),
        delta(1, toolUse={"input": '{"a":'}),
        delta(1, toolUse={"input": "1}"}),
        end(1),
        stop("tool_use"),
        METADATA,
    )
    custom, form = fold(events).candidates[0].parts
    assert (custom.tool_call.name, custom.tool_call.arguments) == ("g", "ab")
    assert custom.tool_call.kind == TOOL_KIND_CUSTOM
    assert form.text == '{"a":1}'
    uses = [name for name, value in official.events("ConverseStream", [encoded(events)]) if "start" in value]
    assert uses == ["contentBlockStart"]


def test_a_structured_answer_alone_is_no_call() -> None:
    use = {"toolUseId": "u", "name": "form__llmhub_json"}
    streamed = decoded(
        START, begin(0, toolUse=use), delta(0, toolUse={"input": "{}"}), end(0), stop("tool_use"), METADATA
    )
    body = {
        "output": {"message": {"role": "assistant", "content": [{"toolUse": {**use, "input": {}}}]}},
        "stopReason": "tool_use",
    }
    for response in (fold(streamed), codec.decode_response(json.dumps(body).encode())):
        candidate = response.candidates[0]
        assert candidate.parts[0].text == "{}"
        assert candidate.finish.reason == FinishReason.FINISH_REASON_END


def test_a_stream_of_another_dialect() -> None:
    events = sent(
        "started { response_id: 'r' }",
        "block_start { block: 0 part { text: 'h' } }",
        "block_delta { block: 0 text: 'é' }",
        "block_delta { block: 0 citation { kind: 'url_citation' url: 'https://x' title: 't' } }",
        "block_delta { block: 0 citation { kind: 'odd' } }",
        "block_stop { block: 0 }",
        "block_start { candidate: 1 block: 0 part { text: 'other' } }",
        "block_start { block: 1 part { tool_call { id: 'i' name: 'f' arguments: '{' kind: TOOL_KIND_FUNCTION } } }",
        "block_delta { block: 1 arguments: '}' }",
        "block_stop { block: 1 }",
        "block_start { block: 2 part { opaque { dialect: 'openai' type: 't' json: '{}' } } }",
        "block_delta { block: 2 opaque_json: '{}' }",
        "block_stop { block: 2 }",
        "block_start { block: 3 part { tool_call { id: 'j' name: 'g' kind: TOOL_KIND_CUSTOM } } }",
        "block_delta { block: 3 arguments: 'free' }",
        "block_stop { block: 3 }",
        "keep_alive {}",
        "candidate_finish { finish { reason: FINISH_REASON_TOOL_CALL } }",
        "usage { input_tokens: 3 output_tokens: 4 cache_write_1h_tokens: 2 }",
        "finished { complete: true }",
        "keep_alive {}",
    )
    assert [value["delta"] for name, value in events if name == "contentBlockDelta"] == [
        {"text": "h"},
        {"text": "é"},
        {"citation": {"title": "t", "location": {"web": {"url": "https://x"}}}},
        {"toolUse": {"input": "{"}},
        {"toolUse": {"input": "}"}},
        {"toolUse": {"input": '{"input":"free"}'}},
    ]
    assert events[-2] == ("messageStop", {"stopReason": "tool_use"})
    assert events[-1][1]["usage"] == {
        "inputTokens": 3,
        "outputTokens": 4,
        "totalTokens": 9,
        "cacheWriteInputTokens": 2,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 2}],
    }


def test_a_stream_of_which_only_the_end_is_known() -> None:
    events = sent("finished { complete: true usage { output_tokens: 1 } }")
    assert [name for name, _ in events] == ["messageStart", "messageStop", "metadata"]
