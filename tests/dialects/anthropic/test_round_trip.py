"""encode(decode(x)) equals x by value, for everything that was recorded."""

import json
import random
from typing import Any

import pytest

from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec, CountCodec
from services.dialects.sse import SseParser
from services.runtime.errors import UpstreamAuthFailed
from tests.support.exchanges import Exchange, named, random_pieces, recorded

MESSAGES = recorded("anthropic.messages")
COUNTS = recorded("anthropic.count_tokens")
STREAMS = [each for each in MESSAGES if each.streaming]
WHOLE = [each for each in MESSAGES if not each.streaming and each.status == 200]
FAILED = [each for each in (*MESSAGES, *COUNTS) if each.status >= 400]

PLAIN = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'
WITH_CALL = (
    b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":'
    b'[{"type":"tool_use","id":"t1","name":"f","input":%b}]},{"role":"user","content":'
    b'[{"type":"tool_result","tool_use_id":"t1"}]}]}'
)
WITH_TOOL = (
    b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],'
    b'"tools":[{"name":"t","input_schema":%b}]}'
)

codec = AnthropicCodec()
chat: ChatCodec = codec
count: CountCodec = codec


def body_of(exchange: Exchange) -> bytes:
    return json.dumps(exchange.body).encode()


def frames(stream: bytes) -> list[tuple[str, Any]]:
    return [(event.event, json.loads(event.data)) for event in SseParser().feed(stream)]


def decoded(pieces: list[bytes]) -> list[StreamEvent]:
    decoder = chat.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def test_recordings_are_there() -> None:
    assert (len(MESSAGES), len(COUNTS), len(STREAMS), len(WHOLE), len(FAILED)) == (51, 3, 24, 24, 4)


@pytest.mark.parametrize("exchange", [each for each in MESSAGES if each.body is not None], ids=str)
def test_request(exchange: Exchange) -> None:
    read = chat.decode_request(body_of(exchange))
    assert exchange.body is not None
    assert read.stream == exchange.body.get("stream", False)
    written = chat.encode_request(read.request, exchange.body["model"], stream=read.stream)
    assert json.loads(written.body) == exchange.body
    assert written.warnings == ()
    assert written.path == "/v1/messages"
    assert written.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_count_request(exchange: Exchange) -> None:
    read = count.decode_count_request(body_of(exchange))
    written = count.encode_count_request(read, read.model)
    assert json.loads(written.body) == exchange.body
    assert written.path == "/v1/messages/count_tokens"


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_answer(exchange: Exchange) -> None:
    written = chat.encode_response(chat.decode_response(exchange.answer))
    assert json.loads(written) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", [each for each in COUNTS if each.status == 200], ids=str)
def test_count_answer(exchange: Exchange) -> None:
    written = count.encode_count_response(count.decode_count_response(exchange.answer))
    assert json.loads(written) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_every_frame_of_a_stream(exchange: Exchange) -> None:
    events = decoded([exchange.answer])
    whole = chat.stream_encoder(codec.decode_request(PLAIN)).encode(events)
    assert frames(whole) == frames(exchange.answer)
    encoder = chat.stream_encoder(codec.decode_request(PLAIN))
    assert b"".join(encoder.encode([event]) for event in events) == whole


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_any_split_of_a_stream_gives_the_same_events(exchange: Exchange) -> None:
    expected = decoded([exchange.answer])
    assert [event.sequence for event in expected] == list(range(len(expected)))
    assert expected[-1].finished.complete
    for seed in range(1, 4):
        assert decoded(random_pieces(exchange.answer, seed)) == expected
    as_events = [piece + b"\n\n" for piece in exchange.answer.split(b"\n\n") if piece]
    assert decoded(as_events) == expected


def test_splits_inside_characters_and_single_bytes_give_the_same_events() -> None:
    answer = named("anthropic/012").answer
    start = answer.index("👋".encode())
    expected = decoded([answer])
    for cut in range(start - 2, start + 6):
        assert decoded([answer[:cut], answer[cut:]]) == expected
    small = named("anthropic/037").answer
    assert decoded([bytes([byte]) for byte in small]) == decoded([small])


def test_cr_lf_lines_give_the_same_events() -> None:
    answer = named("anthropic/024").answer
    with_cr = answer.replace(b"\n", b"\r\n")
    pieces = random_pieces(with_cr, random.Random(7).randint(1, 99))
    assert decoded(pieces) == decoded([answer])
    assert decoded([bytes([byte]) for byte in with_cr]) == decoded([answer])


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_error(exchange: Exchange) -> None:
    error = chat.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    recorded_body = json.loads(exchange.answer)
    written = chat.encode_error(error, recorded_body.get("request_id", ""))
    if isinstance(error, UpstreamAuthFailed):
        # The caller's own key is good: llmhub's credentials are not, which is not the caller's to know as a 401.
        assert written.status == 500
        assert json.loads(written.body)["error"]["type"] == "api_error"
        return
    assert written.status == exchange.status
    assert json.loads(written.body) == recorded_body


def test_tool_input_keeps_its_text() -> None:
    text = '{"z": 1, "a": 1.0, "big": 123456789012345678901234567890, "e": 1e2, "u": "\\u00e9", "n": {"b":1,"a":2}}'
    body = WITH_CALL % text.encode()
    request = codec.decode_request(body).request
    assert request.messages[1].parts[0].tool_call.arguments == text
    written = codec.encode_request(request, "m", stream=False)
    assert text.encode() in written.body


def test_tool_schema_keeps_its_text() -> None:
    schema = '{"type":"object", "properties":{"b":{"type":"number","maximum":1.0},"a":{"const":1E2}}}'
    request = codec.decode_request(WITH_TOOL % schema.encode()).request
    assert request.tools[0].function.parameters_json == schema
    assert schema.encode() in codec.encode_request(request, "m", stream=False).body
