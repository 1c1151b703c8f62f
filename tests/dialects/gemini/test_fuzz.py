"""Whatever bytes arrive, only errors that a caller may be told come out."""

import contextlib
import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_GEMINI_BATCH_EMBED,
    ENDPOINT_GEMINI_COUNT_TOKENS,
    ENDPOINT_GEMINI_EMBED,
    ENDPOINT_GEMINI_GENERATE,
)
from services.dialects.gemini import Framing, GeminiCodec
from services.runtime.errors import LlmhubError
from tests.dialects.gemini.recorded import CONTENT, EMBEDDINGS, PLAIN, STREAMS, WHOLE, frames

EXAMPLES = int(os.environ.get("LLMHUB_FUZZ_EXAMPLES", "30"))
ENDPOINTS = (
    ENDPOINT_GEMINI_GENERATE,
    ENDPOINT_GEMINI_COUNT_TOKENS,
    ENDPOINT_GEMINI_EMBED,
    ENDPOINT_GEMINI_BATCH_EMBED,
)
codec = GeminiCodec()

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["", "STOP"])
)
REQUESTS = [each.body for each in (*CONTENT, *EMBEDDINGS) if each.body and len(str(each.body)) < 4000]
ANSWERS = [each.answer for each in WHOLE if len(each.answer) < 9000]
CHUNKS = [frames(each.answer) for each in STREAMS if len(each.answer) < 9000]
SMALL = min((each.answer for each in STREAMS), key=len)
PARTIAL: list[dict[str, Any]] = [
    {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": call}]}}]}
    for call in (
        {"name": "f", "willContinue": True},
        {
            "partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "x", "willContinue": True}],
            "willContinue": True,
        },
        {"partialArgs": [{"jsonPath": "$.c", "numberValue": 1}], "willContinue": True},
        {},
    )
]


def names_in(value: Any) -> set[str]:
    """All member names in a value."""
    if isinstance(value, dict):
        return set(value).union(*map(names_in, value.values()))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


SEEN = names_in([*REQUESTS, *map(json.loads, ANSWERS), *CHUNKS, *PARTIAL])
NAMES = st.sampled_from(sorted({*SEEN, "error", "nullable", "citationMetadata", "toolCall", "$shape"}))
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)


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
        if draw(st.integers(0, 9)) == 0:
            result[draw(NAMES)] = draw(JUNK)
        return result
    if isinstance(value, list):
        return [draw(damaged(each)) for each in value[:6]]
    return value


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200))
def test_bytes(data: bytes) -> None:
    everything(data)
    everything(b"[" + data)
    everything(b"data: " + data + b"\n\n")


@settings(max_examples=EXAMPLES, deadline=None)
@given(JUNK)
def test_json(value: Any) -> None:
    everything(json.dumps(value).encode())
    everything(json.dumps([value, value]).encode())


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(st.data())
def test_damaged_requests(data: st.DataObject) -> None:
    value = data.draw(damaged(data.draw(st.sampled_from(REQUESTS))))
    body = json.dumps(value).encode()
    everything(body)
    with contextlib.suppress(LlmhubError):
        request = codec.decode_request(body).request
        GenerateRequest.FromString(request.SerializeToString())
        json.loads(codec.encode_request(request, "m", stream=True).body)
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_count_request(codec.decode_count_request(body), "m").body)
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_embed_request(codec.decode_embed_request(body), "m").body)


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(st.data())
def test_damaged_answers(data: st.DataObject) -> None:
    value = json.loads(data.draw(st.sampled_from(ANSWERS)))
    body = json.dumps(data.draw(damaged(value))).encode()
    everything(body)
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_response(codec.decode_response(body)))


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(st.data())
def test_damaged_streams(data: st.DataObject) -> None:
    chunks = data.draw(st.sampled_from([*CHUNKS, PARTIAL]))
    values = [
        data.draw(damaged(chunk)) if data.draw(st.integers(0, 2)) == 0 else chunk for chunk in chunks[:8]
    ]
    size = data.draw(st.integers(1, 300))
    feed(json.dumps(values).encode(), size)
    feed(b"".join(b"data: %b\r\n\r\n" % json.dumps(value).encode() for value in values), size)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.integers(0, len(SMALL)), max_size=6), st.binary(min_size=1, max_size=6))
def test_bytes_replaced_in_a_stream(places: list[int], junk: bytes) -> None:
    stream = SMALL
    for place in places:
        stream = stream[:place] + junk + stream[place + len(junk) :]
    feed(stream, 64)


def feed(stream: bytes, size: int) -> None:
    tap = codec.relay_tap(ENDPOINT_GEMINI_GENERATE, hide_usage=False)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert b"".join(tap.feed(piece).data for piece in pieces) + tap.close().data == stream
    decoder = codec.stream_decoder()
    request = codec.decode_request(PLAIN)
    encoders = [GeminiCodec(framing=framing).stream_encoder(request) for framing in Framing]
    translated = codec.stream_encoder(request)
    with contextlib.suppress(LlmhubError):
        for piece in [*pieces, None]:
            events = decoder.close() if piece is None else decoder.feed(piece)
            for encoder in encoders:
                encoder.encode(events)
            for event in events:
                event.ClearField("extensions")
            translated.encode(events)


def everything(body: bytes) -> None:
    for read in (
        codec.decode_request,
        codec.decode_count_request,
        codec.decode_embed_request,
        codec.decode_response,
        codec.decode_count_response,
        codec.decode_embed_response,
    ):
        with contextlib.suppress(LlmhubError):
            read(body)
    for endpoint in ENDPOINTS:
        with contextlib.suppress(LlmhubError):
            codec.relay_request(body, "m", endpoint)
        with contextlib.suppress(LlmhubError):
            codec.relay_answer(body, endpoint)
    error = codec.decode_error(400, {}, body)
    json.loads(codec.encode_error(error, "id").body)
    feed(body, 7)
