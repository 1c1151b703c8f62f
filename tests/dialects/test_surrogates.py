"""Half a character in a provider's answer: every reader takes it, as the vendors' own SDKs do."""

import json
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_ANTHROPIC_MESSAGES,
    ENDPOINT_OPENAI_CHAT,
    Endpoint,
    Progress,
)
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec
from services.dialects.fold import fold
from services.dialects.openai import OpenAICodec
from services.dialects.surrogates import mended

OPENAI: Final = OpenAICodec()
ANTHROPIC: Final = AnthropicCodec()
HALF: Final = "\ud83d"
WHOLE: Final = "\U0001f600"


def text(value: object) -> bytes:
    """JSON as many servers write it: ASCII, with escapes."""
    return json.dumps(value).encode()


OPENAI_ANSWER: Final = text(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "g",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": f"a{HALF}b{WHOLE}",
                    "tool_calls": [
                        {
                            "id": "i",
                            "type": "function",
                            "function": {"name": "f", "arguments": text({"x": HALF}).decode()},
                        }
                    ],
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
)
ANTHROPIC_ANSWER: Final = text(
    {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [
            {"type": "text", "text": f"a{HALF}b{WHOLE}"},
            {"type": "tool_use", "id": "i", "name": "f", "input": {"x": HALF}},
            {"type": "server_block", "z": HALF},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
)


def chunk(delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return b"data: %b\n\n" % text({"id": "c", "model": "g", "choices": [choice], "usage": usage})


def event(kind: str, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), text({"type": kind, **members}))


OPENAI_STREAM: Final = (
    chunk({"role": "assistant", "content": f"a{HALF}"}),
    chunk({"content": f"b{WHOLE}{HALF}"}, "stop"),
    b"data: [DONE]\n\n",
)
ANTHROPIC_STREAM: Final = (
    event("message_start", message={**json.loads(ANTHROPIC_ANSWER), "content": []}),
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"a{HALF}"}),
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"b{WHOLE}{HALF}"}),
    event("content_block_stop", index=0),
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}),
    event("message_stop"),
)
STREAMS: Final = [
    pytest.param(OPENAI, ENDPOINT_OPENAI_CHAT, OPENAI_STREAM, id="openai"),
    pytest.param(ANTHROPIC, ENDPOINT_ANTHROPIC_MESSAGES, ANTHROPIC_STREAM, id="anthropic"),
]


@pytest.mark.parametrize(
    ("codec", "body"), [(OPENAI, OPENAI_ANSWER), (ANTHROPIC, ANTHROPIC_ANSWER)], ids=["openai", "anthropic"]
)
@pytest.mark.parametrize("door", [OPENAI, ANTHROPIC], ids=["to openai", "to anthropic"])
def test_whole_answers(codec: ChatCodec, body: bytes, door: ChatCodec) -> None:
    response = codec.decode_response(body)
    assert response.candidates[0].parts[0].text == f"a\ufffdb{WHOLE}"
    again = door.decode_response(door.encode_response(response))
    assert again.candidates[0].parts[0].text == f"a\ufffdb{WHOLE}"
    assert json.loads(again.candidates[0].parts[1].tool_call.arguments).keys() == {"x"}


@pytest.mark.parametrize(
    ("codec", "endpoint", "body"),
    [
        (OPENAI, ENDPOINT_OPENAI_CHAT, OPENAI_ANSWER),
        (ANTHROPIC, ENDPOINT_ANTHROPIC_MESSAGES, ANTHROPIC_ANSWER),
    ],
    ids=["openai", "anthropic"],
)
def test_relayed_answers(codec: ChatCodec, endpoint: Endpoint.ValueType, body: bytes) -> None:
    progress = codec.relay_answer(body, endpoint)
    assert (progress.complete, progress.content, progress.HasField("error")) == (True, True, False)
    assert progress.usage.output_tokens == 1


@pytest.mark.parametrize(("codec", "endpoint", "chunks"), STREAMS)
def test_streams(codec: ChatCodec, endpoint: Endpoint.ValueType, chunks: Sequence[bytes]) -> None:
    for pieces in (chunks, [b"".join(chunks)]):
        decoder = codec.stream_decoder()
        events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
        whole: GenerateResponse = fold(events)
        assert whole.candidates[0].parts[0].text == f"a\ufffdb{WHOLE}\ufffd"


@pytest.mark.parametrize(("codec", "endpoint", "chunks"), STREAMS)
@pytest.mark.parametrize("hide", [False, True])
def test_relayed_streams(
    codec: ChatCodec, endpoint: Endpoint.ValueType, chunks: Sequence[bytes], *, hide: bool
) -> None:
    tap = codec.relay_tap(endpoint, hide_usage=hide)
    passed = [tap.feed(piece) for piece in chunks]
    last = tap.close()
    progress = Progress() if last.progress is None else last.progress
    assert (progress.complete, progress.HasField("error")) == (True, False)
    assert progress.output_characters == len(f"a{HALF}b{WHOLE}{HALF}")
    # The caller's SDK reads what the vendor wrote.
    assert b"".join(piece.data for piece in passed) + last.data == b"".join(chunks)


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (OPENAI, text({"error": {"message": f"no {HALF}", "type": "invalid_request_error"}})),
        (ANTHROPIC, text({"type": "error", "error": {"type": "api_error", "message": f"no {HALF}"}})),
    ],
    ids=["openai", "anthropic"],
)
def test_errors(codec: ChatCodec, body: bytes) -> None:
    assert codec.decode_error(400, {}, body).message == "no \ufffd"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uDE00"', rb'"\ufffd"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\ud83d\u0041"', rb'"\ufffd\u0041"'),
    ],
)
def test_only_halves_are_replaced(written: bytes, expected: bytes) -> None:
    assert mended(written) == expected


@settings(max_examples=50)
@given(st.text(st.characters(categories=["Cs", "Lu", "So"]), max_size=8))
def test_what_python_reads_is_read(value: str) -> None:
    fixed = json.loads(mended(text(value)))
    assert fixed == value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_text_without_halves_is_not_copied() -> None:
    for data in (rb'"\\ud83d"', rb'"\ud83d\ude00"', b'"plain"'):
        assert mended(data) is data
