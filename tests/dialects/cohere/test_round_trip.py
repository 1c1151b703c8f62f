"""encode(decode(x)) equals x by value: what was recorded, and what the SDK's types allow besides (cases of ours)."""

import json
from typing import Any

import pytest

from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import ChatCodec, EmbeddingCodec
from services.dialects.cohere import CohereCodec
from services.dialects.sse import SseParser
from tests.dialects.cohere.cases import ANSWERS, REQUESTS, STREAMS, stream
from tests.support.exchanges import Exchange, random_pieces, recorded, sse_events
from tests.support.recordings import awkward_cuts, pieces

CHATS = recorded("cohere.v2.chat")
EMBEDS = recorded("cohere.v2.embed")
WHOLE = [each for each in CHATS if not each.streaming]
STREAMED = [each for each in CHATS if each.streaming]

codec = CohereCodec()
chat: ChatCodec = codec
embed: EmbeddingCodec = codec
PLAIN = chat.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')


def frames(data: bytes) -> list[tuple[str, Any]]:
    events = SseParser().feed(data)
    return [(each.event, each.data if each.data == b"[DONE]" else json.loads(each.data)) for each in events]


def decoded(parts: list[bytes]) -> list[StreamEvent]:
    decoder = chat.stream_decoder()
    events = [event for piece in parts for event in decoder.feed(piece)]
    return events + decoder.close()


def test_recordings_are_there() -> None:
    assert (len(WHOLE), len(STREAMED), len(EMBEDS)) == (1, 2, 1)


@pytest.mark.parametrize("exchange", CHATS, ids=str)
def test_recorded_request(exchange: Exchange) -> None:
    same_request(exchange.question)


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_request_of_ours(body: dict[str, Any]) -> None:
    same_request(body)


def same_request(body: dict[str, Any]) -> None:
    read = chat.decode_request(json.dumps(body).encode())
    assert read.stream == body.get("stream", False)
    written = chat.encode_request(read.request, body["model"], stream=read.stream)
    assert json.loads(written.body) == body
    assert written.warnings == ()
    assert written.path == "/v2/chat"
    again = chat.decode_request(written.body)
    assert again.request == read.request


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_recorded_answer(exchange: Exchange) -> None:
    same_answer(exchange.answer)


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_answer_of_ours(body: dict[str, Any]) -> None:
    same_answer(json.dumps(body).encode())


def same_answer(body: bytes) -> None:
    response = chat.decode_response(body)
    assert json.loads(chat.encode_response(response)) == json.loads(body)
    assert not response.warnings


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_every_frame_of_a_recorded_stream(exchange: Exchange) -> None:
    same_stream(exchange.answer)


@pytest.mark.parametrize("values", STREAMS.values(), ids=STREAMS)
def test_every_frame_of_a_stream_of_ours(values: list[Any]) -> None:
    same_stream(stream(values))
    events = decoded([stream(values)])
    assert frames(chat.stream_encoder(PLAIN).encode(events)) == frames(stream(values))


def same_stream(data: bytes) -> None:
    events = decoded([data])
    assert [event.sequence for event in events] == list(range(len(events)))
    whole = chat.stream_encoder(PLAIN).encode(events)
    assert frames(whole) == frames(data)
    encoder = chat.stream_encoder(PLAIN)
    assert b"".join(encoder.encode([event]) for event in events) == whole


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_any_split_gives_the_same_events(exchange: Exchange) -> None:
    data = exchange.answer
    expected = decoded([data])
    assert expected[-1].finished.complete
    for seed in range(3):
        assert decoded(random_pieces(data, seed)) == expected
    assert decoded([bytes([byte]) for byte in data]) == expected
    assert decoded(sse_events(data)) == expected
    assert decoded([data[:7], *sse_events(data[7:])]) == expected


def test_splits_inside_characters_and_line_ends_give_the_same_events() -> None:
    data = stream(STREAMS["text"]).replace(b"\n", b"\r\n")
    cuts = awkward_cuts(data)
    assert len(cuts) > 4
    for cut in cuts:
        assert decoded(pieces(data, [cut])) == decoded([data])
    assert decoded(pieces(data, cuts)) == decoded([stream(STREAMS["text"])])


@pytest.mark.parametrize("exchange", EMBEDS, ids=str)
def test_recorded_embedding(exchange: Exchange) -> None:
    request = embed.decode_embed_request(json.dumps(exchange.body).encode())
    written = embed.encode_embed_request(request, request.model)
    assert json.loads(written.body) == exchange.body
    assert (written.path, written.warnings) == ("/v2/embed", ())
    response = embed.decode_embed_response(exchange.answer)
    assert json.loads(embed.encode_embed_response(response)) == json.loads(exchange.answer)
