"""Every recorded stream: written again as it was, read the same in any split."""

import json

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from services.dialects.fold import fold
from services.dialects.gemini import Framing, GeminiCodec
from tests.dialects.gemini.recorded import PLAIN, STREAMS, WHOLE, decoded, frames
from tests.support.exchanges import Exchange, random_pieces
from tests.support.recordings import awkward_cuts, pieces

codec = GeminiCodec()


def framing_of(exchange: Exchange) -> Framing:
    return Framing.SSE if exchange.answer.startswith(b"data:") else Framing.ARRAY


def spaced(response: GenerateResponse) -> GenerateResponse:
    """The answer without blanks in the JSON that it keeps: an event has one line."""
    response.usage.provider_json = json.dumps(json.loads(response.usage.provider_json))
    for part in response.candidates[0].parts:
        if part.HasField("opaque"):
            part.opaque.json = json.dumps(json.loads(part.opaque.json))
    return response


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_every_chunk(exchange: Exchange) -> None:
    events = decoded(exchange.answer)
    request = codec.decode_request(PLAIN)
    for framing in Framing:
        writer = GeminiCodec(framing=framing)
        whole = writer.stream_encoder(request).encode(events)
        assert frames(whole) == frames(exchange.answer)
        one_by_one = writer.stream_encoder(request)
        assert b"".join(one_by_one.encode([event]) for event in events) == whole


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_any_split_gives_the_same_events(exchange: Exchange) -> None:
    expected = decoded(exchange.answer)
    assert [event.sequence for event in expected] == list(range(len(expected)))
    assert expected[-1].finished.complete
    assert expected[-1].finished.usage.output_tokens > 0
    for seed in range(1, 4):
        assert decoded(*random_pieces(exchange.answer, seed)) == expected
    assert decoded(*pieces(exchange.answer, awkward_cuts(exchange.answer))) == expected
    if len(exchange.answer) < 8192:
        assert decoded(*(bytes([byte]) for byte in exchange.answer)) == expected


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_either_framing_gives_the_same_events(exchange: Exchange) -> None:
    events = decoded(exchange.answer)
    other = Framing.SSE if framing_of(exchange) is Framing.ARRAY else Framing.ARRAY
    written = GeminiCodec(framing=other).stream_encoder(codec.decode_request(PLAIN)).encode(events)
    assert spaced(fold(decoded(written))) == spaced(fold(events))


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_cut_stream_is_never_whole(exchange: Exchange) -> None:
    answer = exchange.answer.rstrip()
    ends = 0
    for cut in [*range(0, len(answer) - 1, max(1, len(answer) // 40)), len(answer) - 1]:
        events = decoded(answer[:cut])
        assert [event.HasField("finished") for event in events].index(True) == len(events) - 1
        ends += events[-1].finished.complete
    assert not ends, "a stream ended before its end"


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_a_whole_answer_is_a_stream_of_one_chunk(exchange: Exchange) -> None:
    whole = codec.decode_response(exchange.answer)
    folded = fold(decoded(b"[" + exchange.answer + b"]"))
    for response in (whole, folded):
        # What no field has stands with the answer here and with the chunk there.
        response.ClearField("extensions")
        for candidate in response.candidates:
            candidate.ClearField("extensions")
            if candidate.logprobs_json:
                candidate.logprobs_json = json.dumps(json.loads(candidate.logprobs_json))
    assert folded == whole
