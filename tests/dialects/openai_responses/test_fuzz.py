"""Whatever bytes arrive, only errors that a caller may be told come out, and no stream looks whole that is not."""

import contextlib
import json
import random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.provider.v1.provider_service_pb2 import Endpoint
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding
from services.dialects.members import SHAPE
from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec, stored
from services.dialects.openai_responses.wire import HOLE, JSON_HOLE
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError
from tests.dialects.openai_responses.test_round_trip import SHAPES
from tests.dialects.openai_responses.traffic import ASKED, BROKEN, STREAMS, WHOLE
from tests.support.damage import EXAMPLES, SEEDS, damaged, names_in
from tests.support.recordings import frames

codec = ResponsesCodec()
chat = OpenAICodec()
RESPONSES: Final = Endpoint.ENDPOINT_OPENAI_RESPONSES
REQUESTS: Final[list[Any]] = [
    *(each.body for each in ASKED if len(str(each.body)) < 5000),
    *({"model": "m", "input": "hi", **members} for members in SHAPES),
]
ANSWERS: Final = [json.loads(each.answer) for each in WHOLE if len(each.answer) < 8000]
FRAMES: Final = [frames(each.answer)[:60] for each in STREAMS if len(each.answer) < 20_000]
ENDS: Final = [frames(each.answer) for each in STREAMS if len(each.answer) < 9000]
NAMES: Final = names_in(*REQUESTS, *ANSWERS, *FRAMES)
CALLER: Final = codec.decode_request(b'{"model":"m","input":"?","stream":true}')


def reserved(value: Any) -> bool:
    """Whether a value has in it what the extensions mean something else by."""
    if isinstance(value, dict):
        return SHAPE in value or any(reserved(each) for each in value.values())
    if isinstance(value, list):
        return any(reserved(each) for each in value)
    return value in (HOLE, JSON_HOLE)


def sse(sent: list[Any]) -> bytes:
    return b"".join(
        encode_event(json.dumps(each).encode(), str(each.get("type")) if isinstance(each, dict) else "")
        for each in sent
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS)
def test_requests(seed: int) -> None:
    dice = random.Random(seed)
    body = damaged(dice, dice.choice(REQUESTS), NAMES)
    with contextlib.suppress(LlmhubError):
        data = json.dumps(body).encode()
        decoded = codec.decode_request(data)
        written = codec.encode_request(decoded.request, decoded.request.model, stream=decoded.stream)
        if not reserved(body):
            assert json.loads(written.body) == {
                name: value for name, value in body.items() if name != "stream_options" or decoded.stream
            }
        chat.encode_request(decoded.request, "m", stream=False)
        codec.encode_count_request(decoded.request, "m")
        codec.relay_request(data, "m", RESPONSES)
        stored.keeping(data)
        stored.continued(data, stored.input_items(data, "resp_1"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS)
def test_answers(seed: int) -> None:
    dice = random.Random(seed)
    body = damaged(dice, dice.choice(ANSWERS), NAMES)
    data = json.dumps(body).encode()
    progress = codec.relay_answer(data, RESPONSES)
    with contextlib.suppress(LlmhubError):
        response = codec.decode_response(data)
        assert progress.complete or progress.HasField("error")
        written = json.loads(codec.encode_response(response))
        codec.decode_response(json.dumps(written).encode())
        chat.encode_response(response)


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS)
def test_streams(seed: int) -> None:
    dice = random.Random(seed)
    sent = damaged(dice, dice.choice(FRAMES), NAMES)
    if not dice.randrange(3):
        dice.shuffle(sent)
    data = sse(sent)
    tap = codec.relay_tap(RESPONSES, hide_usage=False)
    tap.feed(data)
    tap.close()
    with contextlib.suppress(LlmhubError):
        decoder = codec.stream_decoder()
        events = [*decoder.feed(data), *decoder.close()]
        assert [event.HasField("finished") for event in events].count(True) == 1
        assert events[-1].HasField("finished")
        folding = Folding()
        for event in events:
            folding.add(event)
        folding.fragment()
        codec.stream_encoder(CALLER).encode(events)
        chat.stream_encoder(DecodedRequest(CALLER.request, stream=True)).encode(events)


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS)
def test_a_damaged_stream_that_is_read_is_written_as_it_was(seed: int) -> None:
    """What Frames leaves out it puts back, whatever stands in the frames; up to the terminal event."""
    dice = random.Random(seed)
    sent = [
        each
        for each in damaged(dice, dice.choice(ENDS), NAMES)
        if isinstance(each, dict) and not reserved(each)
    ]
    with contextlib.suppress(LlmhubError):
        decoder = codec.stream_decoder()
        events = [*decoder.feed(sse(sent)), *decoder.close()]
        written = frames(codec.stream_encoder(CALLER).encode(events))
        if events[-1].finished.complete:
            assert written == sent[: len(written)]
            assert written[-1]["type"].startswith("response.")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**64))
def test_bytes(data: bytes, seed: int) -> None:
    for use in (
        codec.decode_request,
        codec.decode_response,
        codec.decode_count_response,
        codec.stream_decoder().feed,
        codec.relay_tap(RESPONSES, hide_usage=False).feed,
        lambda each: codec.relay_request(each, "m", RESPONSES),
        lambda each: codec.relay_answer(each, RESPONSES),
        lambda each: codec.decode_error(500, {}, each),
    ):
        with contextlib.suppress(LlmhubError):
            use(data)


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS)
def test_a_frame_that_is_missing_makes_no_stream_whole(seed: int) -> None:
    dice = random.Random(seed)
    found = dice.choice([each for each in STREAMS if BROKEN not in each.features and len(each.answer) < 9000])
    sent = frames(found.answer)[:-1]
    del sent[dice.randrange(len(sent)) :]
    with contextlib.suppress(LlmhubError):
        decoder = codec.stream_decoder()
        events = [*decoder.feed(sse(sent)), *decoder.close()]
        assert not events[-1].finished.complete
