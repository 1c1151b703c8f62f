"""Whatever bytes arrive, only errors that a caller may be told come out."""

import contextlib
import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_UNSPECIFIED
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding
from services.dialects.ollama import OllamaCodec
from services.runtime.errors import LlmhubError
from tests.dialects.ollama.cases import ANSWERS, REQUESTS, STREAMS, stream
from tests.support.damage import EXAMPLES, SEEDS, damaged, junk, names_in

codec = OllamaCodec()
NAMES = names_in(list(ANSWERS.values()), list(REQUESTS.values()), list(STREAMS.values()))
VECTORS: list[Any] = [{"embeddings": [[0.5, 1]], "model": "m"}, {"embedding": [1]}]
ASKS: list[Any] = [
    *REQUESTS.values(),
    {"model": "m", "input": ["a"], "dimensions": 3},
    {"model": "m", "prompt": "x"},
]


def ask_and_answer(body: bytes) -> None:
    with contextlib.suppress(LlmhubError):
        decoded = codec.decode_request(body)
        for foreign in (False, True):
            if foreign:
                decoded.request.extensions.clear()
            written = codec.encode_request(decoded.request, "m", stream=decoded.stream)
            assert isinstance(json.loads(written.body), dict)
    with contextlib.suppress(LlmhubError):
        codec.relay_request(body, "m", ENDPOINT_UNSPECIFIED)
    with contextlib.suppress(LlmhubError):
        codec.encode_embed_request(codec.decode_embed_request(body), "m")


def read_answer(body: bytes) -> None:
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_response(codec.decode_response(body)))
    with contextlib.suppress(LlmhubError):
        json.loads(codec.encode_embed_response(codec.decode_embed_response(body)))
    with contextlib.suppress(LlmhubError):
        codec.relay_answer(body, ENDPOINT_UNSPECIFIED)
    for status in (400, 404, 429, 500):
        error = codec.decode_error(status, {"retry-after": "x"}, body)
        json.loads(codec.encode_error(error, "id").body)


def read_stream(data: bytes) -> None:
    tap = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    assert tap.feed(data).data + tap.close().data == data
    decoder, folding = codec.stream_decoder(), Folding()
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True, include_usage=True))
    with contextlib.suppress(LlmhubError):
        events = [*decoder.feed(data), *decoder.close()]
        assert [event.sequence for event in events] == list(range(len(events)))
        assert [n for n, event in enumerate(events) if event.HasField("finished")] == [len(events) - 1]
        for event in events:
            folding.add(event)
        codec.encode_response(folding.fragment())
        encoder.encode(events)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS)
def test_any_json(seed: int) -> None:
    data = dumped(junk(Random(seed), NAMES))
    ask_and_answer(data)
    read_answer(data)
    read_stream(b"" + data + b"\n\n")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    ask_and_answer(data)
    read_answer(data)
    read_stream(data)
    read_stream(b"" + data + b"\n\n")


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, st.sampled_from(ASKS))
def test_damaged_requests(seed: int, body: Any) -> None:
    ask_and_answer(dumped(damaged(Random(seed), body, NAMES)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, st.sampled_from([*ANSWERS.values(), *VECTORS]))
def test_damaged_answers(seed: int, body: Any) -> None:
    read_answer(dumped(damaged(Random(seed), body, NAMES)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, st.sampled_from(list(STREAMS.values())))
def test_damaged_streams(seed: int, values: Any) -> None:
    found = damaged(Random(seed), values, NAMES)
    read_stream(stream([each for each in found if isinstance(each, dict)]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, st.sampled_from(list(REQUESTS.values())))
def test_what_is_understood_comes_out_as_it_went_in(seed: int, body: Any) -> None:
    """A request that is accepted is written as it was, whatever is in it."""
    body = json.loads(dumped(damaged(Random(seed), body, NAMES)).replace(b"$shape", b"shape"))
    body["stream"] = True
    try:
        decoded = codec.decode_request(dumped(body))
    except LlmhubError:
        return
    assert json.loads(codec.encode_request(decoded.request, body["model"], stream=True).body) == body


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, st.sampled_from(list(ANSWERS.values())))
def test_what_is_answered_comes_out_as_it_went_in(seed: int, body: Any) -> None:
    """An answer that is understood is written as it was, whatever is in it."""
    body = json.loads(dumped(damaged(Random(seed), body, NAMES)).replace(b"$shape", b"shape"))
    try:
        response = codec.decode_response(dumped(body))
    except LlmhubError:
        return
    assert json.loads(codec.encode_response(response)) == body
