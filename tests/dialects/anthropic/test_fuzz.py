"""Whatever bytes arrive, only errors that a caller may be told come out."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_ANTHROPIC_MESSAGES
from services.dialects.anthropic import AnthropicCodec
from services.runtime.errors import LlmhubError
from tests.support.exchanges import named, recorded

codec = AnthropicCodec()

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["", "text"])
)
NAMES = st.sampled_from(
    [
        "type",
        "text",
        "role",
        "content",
        "input",
        "source",
        "data",
        "citations",
        "cache_control",
        "index",
        "delta",
    ]
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
REQUESTS = [
    each.body
    for each in recorded("anthropic.messages")
    if each.body is not None and len(str(each.body)) < 3000
]
ANSWERS = [
    each.answer for each in recorded("anthropic.messages") if not each.streaming and len(each.answer) < 9000
]
STREAM = named("anthropic/024").answer


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value in which some members, anywhere, are junk or missing."""
    if isinstance(value, dict):
        result = {}
        for name, each in value.items():
            fate = draw(st.integers(0, 19))
            if fate == 0:
                continue
            result[name] = draw(JUNK) if fate == 1 else draw(damaged(each))
        return result
    if isinstance(value, list):
        return [draw(damaged(each)) for each in value[:6]]
    return value


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_bytes(data: bytes) -> None:
    everything(data)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_requests(data: st.DataObject) -> None:
    value = data.draw(damaged(data.draw(st.sampled_from(REQUESTS))))
    body = json.dumps(value).encode()
    everything(body)
    with contextlib.suppress(LlmhubError):
        read = codec.decode_request(body)
        written = codec.encode_request(read.request, "m", stream=read.stream)
        GenerateRequest.FromString(read.request.SerializeToString())
        json.loads(written.body)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_answers(data: st.DataObject) -> None:
    value = json.loads(data.draw(st.sampled_from(ANSWERS)))
    body = json.dumps(data.draw(damaged(value))).encode()
    everything(body)
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_response(codec.decode_response(body)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_streams(data: st.DataObject) -> None:
    frames = []
    for event in STREAM.split(b"\n\n")[:-1]:
        name, _, payload = event.partition(b"\ndata: ")
        value = json.loads(payload)
        if data.draw(st.integers(0, 3)) == 0:
            value = data.draw(damaged(value))
        frames.append(name + b"\ndata: " + json.dumps(value).encode() + b"\n\n")
    stream = b"".join(frames)
    everything(stream)
    feed(stream, data.draw(st.integers(1, 300)))


@settings(max_examples=100)
@given(st.lists(st.integers(0, len(STREAM)), max_size=6), st.binary(min_size=1, max_size=6))
def test_bytes_replaced_in_a_stream(places: list[int], junk: bytes) -> None:
    stream = STREAM
    for place in places:
        stream = stream[:place] + junk + stream[place + len(junk) :]
    feed(stream, 64)


def feed(stream: bytes, size: int) -> None:
    tap = codec.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert b"".join(tap.feed(piece).data for piece in pieces) + tap.close().data == stream
    decoder = codec.stream_decoder()
    request = codec.decode_request(b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}')
    encoder = codec.stream_encoder(request)
    with contextlib.suppress(LlmhubError):
        for piece in pieces:
            encoder.encode(decoder.feed(piece))
        encoder.encode(decoder.close())


def everything(body: bytes) -> None:
    for read in (
        codec.decode_request,
        codec.decode_count_request,
        codec.decode_response,
        codec.decode_count_response,
        lambda data: codec.relay_request(data, "m", ENDPOINT_ANTHROPIC_MESSAGES),
        lambda data: codec.relay_answer(data, ENDPOINT_ANTHROPIC_MESSAGES),
    ):
        with contextlib.suppress(LlmhubError):
            read(body)
    error = codec.decode_error(400, {}, body)
    json.loads(codec.encode_error(error, "id").body)
    feed(body, 7)
