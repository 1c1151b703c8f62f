"""encode(decode(x)) equals x by value, for everything that was recorded."""

import json
import random

import pytest

from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import (
    Recording,
    chat,
    codec,
    count,
    one,
    payloads,
    recordings,
)
from tests.support.exceptions import UNENDED
from tests.support.exchanges import random_pieces

CONVERSE = recordings("bedrock.converse", "bedrock.converse-stream")
COUNTS = recordings("bedrock.count-tokens")
WHOLE = [each for each in CONVERSE if each.status == 200 and not each.streaming]
STREAMS = [each for each in CONVERSE if each.streaming]
ENDED = [each for each in STREAMS if each.name not in UNENDED]


def decoded(pieces: list[bytes]) -> list[StreamEvent]:
    decoder = chat.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def encoded(events: list[StreamEvent]) -> bytes:
    return chat.stream_encoder(DecodedRequest(chat.decode_request(b"{}").request)).encode(events)


def test_recordings_are_there() -> None:
    assert (len(CONVERSE), len(COUNTS), len(WHOLE), len(STREAMS)) == (40, 2, 18, 16)


@pytest.mark.parametrize("exchange", CONVERSE, ids=str)
def test_request(exchange: Recording) -> None:
    request = chat.decode_request(exchange.request).request
    streaming = exchange.endpoint == "bedrock.converse-stream"
    written = chat.encode_request(request, exchange.model, stream=streaming)
    assert json.loads(written.body) == exchange.body
    assert written.warnings == ()
    # Some clients leave the colon as it is; AWS signs either.
    assert written.path == exchange.path.replace(":", "%3A")


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_count_request(exchange: Recording) -> None:
    request = count.decode_count_request(exchange.request)
    written = count.encode_count_request(request, exchange.model)
    assert json.loads(written.body) == exchange.body
    assert written.path == "/model/anthropic.claude-sonnet-4-20250514-v1%3A0/count-tokens"


@pytest.mark.parametrize("counted", [each for each in COUNTS if each.status == 200], ids=str)
def test_count_answer(counted: Recording) -> None:
    told = official.whole("CountTokens", counted.answer)["inputTokens"]
    response = count.decode_count_response(counted.answer)
    assert response.input_tokens == told == 19
    assert json.loads(count.encode_count_response(response)) == json.loads(counted.answer)


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_answer(exchange: Recording) -> None:
    written = chat.encode_response(chat.decode_response(exchange.answer))
    assert json.loads(written) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_every_frame_of_a_stream(exchange: Recording) -> None:
    events = decoded([exchange.answer])
    whole = encoded(events)
    assert payloads(whole) == payloads(exchange.answer)
    encoder = chat.stream_encoder(chat.decode_request(b"{}"))
    assert b"".join(encoder.encode([event]) for event in events) == whole


def test_padding_is_not_carried() -> None:
    """It hides lengths on the wire, and would stand in every delta."""
    exchange = one("bedrock/034")
    assert b'"p":"abc' in exchange.answer
    assert not any('"p"' in event.extensions.get("bedrock", "") for event in decoded([exchange.answer]))


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_any_split_of_a_stream_gives_the_same_events(exchange: Recording) -> None:
    expected = decoded([exchange.answer])
    assert [event.sequence for event in expected] == list(range(len(expected)))
    assert expected[-1].finished.complete == (exchange in ENDED)
    for seed in range(1, 4):
        assert decoded(random_pieces(exchange.answer, seed)) == expected


def test_single_bytes_and_splits_inside_characters_give_the_same_events() -> None:
    answer = one("bedrock/035").answer
    expected = decoded([answer])
    assert decoded([bytes([byte]) for byte in answer]) == expected
    inside = [n for n in range(1, len(answer)) if answer[n] & 0xC0 == 0x80]
    dice = random.Random(1)
    for cut in dice.sample(inside, min(len(inside), 40)):
        assert decoded([answer[:cut], answer[cut:]]) == expected


@pytest.mark.parametrize("exchange", ENDED, ids=str)
def test_no_fragment_of_a_stream_looks_whole(exchange: Recording) -> None:
    answer = exchange.answer
    dice = random.Random(3)
    for cut in [*dice.sample(range(len(answer)), 20), len(answer) - 1]:
        (last,) = (event for event in decoded([answer[:cut]]) if event.HasField("finished"))
        assert not last.finished.complete
        assert last.finished.HasField("error")


@pytest.mark.parametrize("exchange", ENDED, ids=str)
def test_a_folded_stream_is_an_answer_that_reads_the_same(exchange: Recording) -> None:
    response = fold(decoded([exchange.answer]))
    again = chat.decode_response(chat.encode_response(response))
    assert again.candidates[0].finish.provider_reason == response.candidates[0].finish.provider_reason
    assert again.usage.input_tokens == response.usage.input_tokens
    kinds = [part.WhichOneof("kind") for part in again.candidates[0].parts]
    assert kinds == [part.WhichOneof("kind") for part in response.candidates[0].parts]


def test_arguments_schemas_and_results_keep_their_letters() -> None:
    body = (
        b'{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"toolUse":'
        b'{"toolUseId":"t","name":"f","input":{"b" : 1.0, "a":123456789012345678901234567890}}}]},'
        b'{"role":"user","content":[{"toolResult":{"toolUseId":"t","content":[{"json":{"z":1.50, "a":[]}}]}}]}],'
        b'"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object", "x":1.0}}}}]}}'
    )
    written = codec.encode_request(codec.decode_request(body).request, "m.x", stream=False).body
    for letters in (b'{"b" : 1.0, "a":123456789012345678901234567890}', b'{"z":1.50, "a":[]}', b'"x":1.0}'):
        assert letters in written
    counted = codec.decode_count_request(b'{"input":{"converse":' + body + b"}}")
    assert (
        b'{"b" : 1.0, "a":123456789012345678901234567890}' in codec.encode_count_request(counted, "m.x").body
    )
