"""How streams begin, go on, end and break, in cases of ours."""

import contextlib
import json
from typing import Any

import openai
import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import Endpoint
from llmhub.types.v1.content_pb2 import MediaKind
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.stream_pb2 import (
    StreamEvent,
)
from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from services.dialects.openai_responses import ResponsesCodec
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol, UpstreamRateLimited
from tests.dialects.openai_responses import official
from tests.dialects.openai_responses.traffic import STREAMS
from tests.support.exchanges import sse_events
from tests.support.recordings import frames

codec = ResponsesCodec()
ASK = b'{"model":"m","input":"?","stream":true}'
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


def test_what_was_streamed_is_not_taken_back() -> None:
    """A caller may have shown it."""
    part = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    data = stream(
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}},
        {"type": "response.output_text.delta", **part, "delta": "bye"},
        {"type": "response.output_text.done", **part, "text": "hello"},
        {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
        completed(MESSAGE),
    )
    (found,) = fold(decode(data)).candidates[0].parts
    assert found.text == "bye"
    assert frames(again(data)) == frames(data)


def test_half_a_character_is_read_as_a_replacement() -> None:
    """As the official SDK does."""
    message = {**MESSAGE, "content": [{"type": "output_text", "text": "a\ud83db", "annotations": []}]}
    frame = completed(message, usage={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})
    whole = json.dumps(frame["response"]).encode()
    tap = codec.relay_tap(Endpoint.ENDPOINT_OPENAI_RESPONSES, hide_usage=False)
    tap.feed(stream(CREATED, frame))
    for response in (codec.decode_response(whole), fold(decode(stream(CREATED, frame)))):
        assert response.candidates[0].parts[0].text == "a\ufffdb"
        assert response.usage.output_tokens == 2
    progress = tap.close().progress
    assert progress is not None
    assert progress.complete
    assert progress.usage.output_tokens == 2
    assert codec.relay_answer(whole, Endpoint.ENDPOINT_OPENAI_RESPONSES).usage.output_tokens == 2


@pytest.mark.parametrize("levels", [150, 400, 700, 900, 950, 990])
def test_what_nests_too_deep_is_refused_or_passed(levels: int) -> None:
    deep = "[" * levels + "]" * levels
    item = f'{{"type":"x","y":{deep}}}'
    tail = f'"response":{{"id":"r","output":[{item}],"usage":{{"input_tokens":1,"z":{deep}}}}}'
    data = stream(CREATED) + encode_event(
        f'{{"type":"response.completed",{tail}}}'.encode(), "response.completed"
    )
    tap = codec.relay_tap(Endpoint.ENDPOINT_OPENAI_RESPONSES, hide_usage=False)
    assert tap.feed(data).data == data
    tap.close()
    codec.relay_answer(data, Endpoint.ENDPOINT_OPENAI_RESPONSES)
    for use in (
        lambda: again(data),
        lambda: codec.decode_request(f'{{"model":"m","input":[{item}]}}'.encode()),
        lambda: codec.encode_response(codec.decode_response(f'{{"output":[{item}]}}'.encode())),
    ):
        with contextlib.suppress(LlmhubError):
            use()


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


def test_deltas_that_come_alone_keep_their_oddities() -> None:
    """They are read in another way, which must not take a frame for the one that was expected."""
    part = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    delta = {"type": "response.output_text.delta", **part, "logprobs": []}
    sent: list[dict[str, Any]] = [
        CREATED,
        {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}},
        {"type": "response.content_part.added", **part, "part": {**MESSAGE["content"][0], "text": ""}},
        {**delta, "delta": "h"},
        {**delta, "delta": "e"},
        {**delta, "delta": "l", "sequence_number": 77},
        {**delta, "delta": "l", "sequence_number": 78, "item_id": "msg_2"},
        {**delta, "delta": "o", "sequence_number": 79, "logprobs": [{"token": "o", "logprob": 0.0}]},
        {**delta, "delta": "", "sequence_number": 80, "more": 1},
        {"type": "response.output_text.delta", **part, "delta": "!", "sequence_number": 81},
        {**delta, "delta": "?", "sequence_number": 82, "obfuscation": "x"},
        completed(MESSAGE),
    ]
    data = stream(*sent)
    decoder, encoder = codec.stream_decoder(), codec.stream_encoder(codec.decode_request(ASK))
    written = b"".join(encoder.encode(decoder.feed(piece)) for piece in sse_events(data))
    assert frames(written) == frames(data)


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
