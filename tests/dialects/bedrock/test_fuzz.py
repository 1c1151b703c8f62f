"""Whatever bytes arrive, only errors that a caller may be told come out."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_UNSPECIFIED
from services.dialects import anthropic_hosted
from services.dialects.bedrock import invoke
from services.dialects.eventstream import encode_frame
from services.runtime.errors import LlmhubError
from tests.dialects.bedrock.recorded import codec, frames, one, recordings
from tests.dialects.bedrock.test_described import MORE

CONVERSE = recordings("bedrock.converse", "bedrock.converse-stream")
REQUESTS = [each.body for each in CONVERSE if len(each.request) < 3000]
ANSWERS = [
    each.answer for each in CONVERSE if each.endpoint == "bedrock.converse" and len(each.answer) < 9000
]
STREAMS = [one(name).answer for name in ("bedrock/024", "bedrock/025", "bedrock/028", "bedrock/034")]
WRAPPED = one("bedrock/048").answer
NAMES = st.sampled_from(
    [
        "text",
        "toolUse",
        "input",
        "toolResult",
        "content",
        "source",
        "bytes",
        "citation",
        "delta",
        "start",
        "type",
        "p",
        "$shape",
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["", "text"])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
some = settings(max_examples=MORE or 25, deadline=None)


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


@some
@given(st.binary(max_size=200))
def test_bytes(data: bytes) -> None:
    everything(data)


@some
@given(st.data())
def test_damaged_requests(data: st.DataObject) -> None:
    body = json.dumps(data.draw(damaged(data.draw(st.sampled_from(REQUESTS))))).encode()
    everything(body)
    with contextlib.suppress(LlmhubError):
        request = codec.decode_request(body).request
        GenerateRequest.FromString(request.SerializeToString())
        first = json.loads(codec.encode_request(request, "anthropic.m", stream=False).body)
        again = codec.decode_request(json.dumps(first).encode()).request
        written = codec.encode_request(again, "anthropic.m", stream=False).body
        assert b"$shape" in body or json.loads(written) == first
        request.extensions.clear()
        json.loads(codec.encode_request(request, "amazon.nova-lite", stream=False).body)


@some
@given(st.data())
def test_damaged_answers(data: st.DataObject) -> None:
    body = json.dumps(data.draw(damaged(json.loads(data.draw(st.sampled_from(ANSWERS)))))).encode()
    everything(body)
    with contextlib.suppress(LlmhubError):
        response = codec.decode_response(body)
        GenerateResponse.FromString(response.SerializeToString())
        once = codec.encode_response(response)
        # The reserved member is no provider's.
        assert b"$shape" in body or codec.encode_response(codec.decode_response(once)) == once


@some
@given(st.data())
def test_damaged_streams(data: st.DataObject) -> None:
    pieces = []
    for frame in frames(data.draw(st.sampled_from(STREAMS))):
        payload = frame.payload
        if data.draw(st.integers(0, 3)) == 0:
            payload = json.dumps(data.draw(damaged(json.loads(payload)))).encode()
        pieces.append(encode_frame(frame.name, payload, frame.kind))
    feed(b"".join(pieces), data.draw(st.integers(1, 300)))


@some
@given(st.lists(st.integers(0, len(WRAPPED)), max_size=3), st.binary(min_size=1, max_size=6))
def test_bytes_replaced_in_streams(places: list[int], junk: bytes) -> None:
    for stream in (WRAPPED, STREAMS[0]):
        changed = stream
        for place in places:
            changed = changed[:place] + junk + changed[place + len(junk) :]
        feed(changed, 64)


@some
@given(
    st.binary(max_size=60),
    st.sampled_from(["chunk", "messageStart", "x"]),
    st.sampled_from(["event", "exception", "error", "?"]),
)
def test_any_payload(payload: bytes, name: str, kind: str) -> None:
    feed(encode_frame(name, payload, kind), 1000)
    wrapped = json.dumps({"bytes": payload.hex()}).encode()
    feed(encode_frame(name, wrapped, kind), 1000)


def test_depth_is_bounded() -> None:
    deep = b"[" * 100_000
    everything(deep)
    everything(b'{"messages":[{"role":"user","content":[{"toolUse":{"input":' + deep + b"}}]}]}")
    feed(encode_frame("contentBlockDelta", deep), 1 << 20)


def feed(stream: bytes, size: int) -> None:
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    tap = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    assert b"".join(tap.feed(piece).data for piece in pieces) + tap.close().data == stream
    decoder, unwrapper = codec.stream_decoder(), invoke.InvokeUnwrapper()
    encoder = codec.stream_encoder(codec.decode_request(b"{}"))
    with contextlib.suppress(LlmhubError):
        for piece in pieces:
            encoder.encode(decoder.feed(piece))
        encoder.encode(decoder.close())
    with contextlib.suppress(LlmhubError):
        for piece in pieces:
            unwrapper.feed(piece)


def everything(body: bytes) -> None:
    for read in (
        codec.decode_request,
        codec.decode_count_request,
        codec.decode_response,
        codec.decode_count_response,
        lambda data: codec.relay_answer(data, ENDPOINT_UNSPECIFIED),
        anthropic_hosted.bedrock_body,
        anthropic_hosted.vertex_body,
        invoke.count_body,
        invoke.count_answer,
    ):
        with contextlib.suppress(LlmhubError):
            read(body)
    error = codec.decode_error(400, {}, body)
    json.loads(codec.encode_error(error, "id").body)
    json.loads(invoke.error_body(400, {}, body))
    feed(body, 7)
