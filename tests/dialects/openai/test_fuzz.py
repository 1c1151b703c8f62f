"""Whatever bytes arrive, only errors that a caller may be told come out."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_OPENAI_CHAT, ENDPOINT_OPENAI_EMBEDDINGS
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding
from services.dialects.openai import PROFILES, OpenAICodec
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError
from tests.support.exchanges import named
from tests.support.recordings import frames, recordings

codec = OpenAICodec()
CODECS = [OpenAICodec(profile) for profile in PROFILES.values()]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["", "\0", "\0text", "text", "function", "data:,", "data:image/png;base64,AA=="]),
)
NAMES = st.sampled_from(
    [
        "id",
        "type",
        "role",
        "content",
        "text",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "thinking",
        "refusal",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "custom",
        "input",
        "function_call",
        "index",
        "delta",
        "message",
        "finish_reason",
        "logprobs",
        "choices",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "error",
        "code",
        "image_url",
        "url",
        "file",
        "file_data",
        "input_audio",
        "data",
        "format",
        "audio",
        "transcript",
        "annotations",
        "url_citation",
        "cache_control",
        "$shape",
        "messages",
        "tools",
        "tool_choice",
        "allowed_tools",
        "response_format",
        "json_schema",
        "schema",
        "stop",
        "metadata",
        "logit_bias",
        "stream_options",
        "include_usage",
        "embedding",
        "object",
        "created",
        "model",
        "x_groq",
    ]
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
REQUESTS = [each.body for each in recordings("openai.chat") if each.body and len(str(each.body)) < 2500]
EMBEDDINGS = [each.body for each in recordings("openai.embeddings") if each.body]
ANSWERS = [
    each.answer for each in recordings("openai.chat") if not each.streaming and len(each.answer) < 5000
]
STREAMS = [
    frames(named(name).answer)[:30]
    for name in (
        "openai/025",
        "groq/006",
        "mistral/010",
        "openrouter/005",
        "openrouter/003",
        "openrouter/004",
    )
]


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value in which some members, anywhere, are junk or missing."""
    if isinstance(value, dict):
        result = {}
        for name, each in value.items():
            fate = draw(st.integers(0, 40))
            if fate == 0:
                continue
            result[name] = draw(JUNK) if fate == 1 else draw(damaged(each))
        if draw(st.integers(0, 9)) == 0:
            result[draw(NAMES)] = draw(JUNK)
        return result
    if isinstance(value, list):
        return [draw(JUNK) if draw(st.integers(0, 40)) == 0 else draw(damaged(each)) for each in value[:40]]
    return draw(JUNK) if draw(st.integers(0, 60)) == 0 else value


def ask_and_answer(body: bytes) -> None:
    with contextlib.suppress(LlmhubError):
        decoded = codec.decode_request(body)
        for each in CODECS:
            written = each.encode_request(decoded.request, "m", stream=decoded.stream)
            assert isinstance(json.loads(written.body), dict)
    with contextlib.suppress(LlmhubError):
        codec.relay_request(body, "m", ENDPOINT_OPENAI_CHAT)
    with contextlib.suppress(LlmhubError):
        codec.encode_embed_request(codec.decode_embed_request(body), "m")


def read_answer(body: bytes) -> None:
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_response(codec.decode_response(body)))
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_embed_response(codec.decode_embed_response(body)))
    for endpoint in (ENDPOINT_OPENAI_CHAT, ENDPOINT_OPENAI_EMBEDDINGS):
        codec.relay_answer(body, endpoint)
    for status in (400, 404, 429, 500):
        error = codec.decode_error(status, {"retry-after": "x"}, body)
        json.loads(codec.encode_error(error, "id").body)


def read_stream(data: bytes) -> None:
    for hide in (False, True):
        tap = codec.relay_tap(ENDPOINT_OPENAI_CHAT, hide_usage=hide)
        tap.feed(data)
        tap.close()
    decoder, folding = codec.stream_decoder(), Folding()
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True, include_usage=True))
    with contextlib.suppress(LlmhubError):
        events = [*decoder.feed(data), *decoder.close()]
        assert [event.sequence for event in events] == list(range(len(events)))
        assert [n for n, event in enumerate(events) if event.HasField("finished")] == [len(events) - 1]
        for event in events:
            folding.add(event)
        codec.encode_response(folding.fragment())
        frames(encoder.encode(events))


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@settings(max_examples=60, deadline=None)
@given(JUNK)
def test_any_json(value: Any) -> None:
    data = dumped(value)
    ask_and_answer(data)
    read_answer(data)
    read_stream(encode_event(data))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    ask_and_answer(data)
    read_answer(data)
    read_stream(data)
    read_stream(b"data: " + data + b"\n\n")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(REQUESTS + EMBEDDINGS).flatmap(damaged))
def test_damaged_requests(body: Any) -> None:
    ask_and_answer(dumped(body))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ANSWERS).flatmap(lambda answer: damaged(json.loads(answer))))
def test_damaged_answers(body: Any) -> None:
    read_answer(dumped(body))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(STREAMS).flatmap(damaged), st.sampled_from(["", "error", "message"]), st.booleans())
def test_damaged_streams(values: Any, name: str, done: bool) -> None:
    data = b"".join(
        encode_event(dumped(value), name if number % 7 == 6 else "") for number, value in enumerate(values)
    )
    read_stream(data + (b"data: [DONE]\n\n" if done else b""))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(REQUESTS).flatmap(damaged))
def test_what_is_understood_comes_out_as_it_went_in(body: Any) -> None:
    """A request that is accepted is written as it was, whatever is in it."""
    if not isinstance(body, dict):
        return
    body = json.loads(dumped(body).replace(b"$shape", b"shape").replace(b"\\u0000", b""))
    body.pop("stream_options", None)
    body.pop("stream", None)
    try:
        decoded = codec.decode_request(dumped(body))
    except LlmhubError:
        return
    assert json.loads(codec.encode_request(decoded.request, body["model"], stream=False).body) == body
