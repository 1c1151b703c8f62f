"""encode(decode(x)) equals x by value: what was recorded, and what the SDK's types allow besides (cases of ours)."""

import json
from typing import Any

import pytest

from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import ChatCodec, EmbeddingCodec
from services.dialects.ollama import OllamaCodec
from tests.dialects.ollama.cases import ANSWERS, REQUESTS, STREAMS, stream
from tests.support.exceptions import MISFILED
from tests.support.exchanges import Exchange, random_pieces, recorded
from tests.support.recordings import awkward_cuts, pieces

CHATS = recorded("ollama.chat")
STREAMED = [each for each in CHATS if "streaming" in each.features]
WHOLE = [each for each in CHATS if "streaming" not in each.features]
EMBEDS = [each for each in recorded("openai.embeddings") if each.name in MISFILED]

codec = OllamaCodec()
chat: ChatCodec = codec
embed: EmbeddingCodec = codec
PLAIN = chat.decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')


def lines(data: bytes) -> list[Any]:
    assert data.endswith(b"\n")
    return [json.loads(each) for each in data.splitlines()]


def decoded(parts: list[bytes]) -> list[StreamEvent]:
    decoder = chat.stream_decoder()
    events = [event for piece in parts for event in decoder.feed(piece)]
    return events + decoder.close()


def test_recordings_are_there() -> None:
    assert (len(WHOLE), len(STREAMED), len(EMBEDS)) == (2, 1, 1)


@pytest.mark.parametrize("exchange", CHATS, ids=str)
def test_recorded_request(exchange: Exchange) -> None:
    same_request(exchange.question)


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_request_of_ours(body: dict[str, Any]) -> None:
    same_request(body)


def same_request(body: dict[str, Any]) -> None:
    read = chat.decode_request(json.dumps(body).encode())
    assert read.stream == body.get("stream", True)
    written = chat.encode_request(read.request, body["model"], stream=read.stream)
    assert json.loads(written.body) == body
    assert written.warnings == ()
    assert written.path == "/api/chat"
    assert chat.decode_request(written.body).request == read.request


def test_arguments_and_schemas_keep_their_letters() -> None:
    arguments, schema = b'{"b": 1.0, "a":1e2}', b'{"z":1.50, "a": {}}'
    body = (
        b'{"model":"m","format":%b,"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":'
        b'[{"function":{"name":"f","arguments":%b}}]}]}'
    ) % (schema, arguments)
    read = chat.decode_request(body)
    assert read.request.messages[1].parts[0].tool_call.arguments.encode() == arguments
    written = chat.encode_request(read.request, "m", stream=True).body
    assert arguments in written
    assert schema in written


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
def test_every_line_of_a_recorded_stream(exchange: Exchange) -> None:
    same_stream(exchange.answer)


@pytest.mark.parametrize("values", STREAMS.values(), ids=STREAMS)
def test_every_line_of_a_stream_of_ours(values: list[Any]) -> None:
    same_stream(stream(values))


def same_stream(data: bytes) -> None:
    events = decoded([data])
    assert [event.sequence for event in events] == list(range(len(events)))
    assert events[-1].finished.complete
    whole = chat.stream_encoder(PLAIN).encode(events)
    assert lines(whole) == lines(data)
    encoder = chat.stream_encoder(PLAIN)
    assert b"".join(encoder.encode([event]) for event in events) == whole


def test_any_split_gives_the_same_events() -> None:
    for data in (STREAMED[0].answer, *map(stream, STREAMS.values())):
        expected = decoded([data])
        for seed in range(3):
            assert decoded(random_pieces(data, seed)) == expected
        assert decoded([bytes([byte]) for byte in data]) == expected
        assert decoded([data.rstrip(b"\n")]) == expected
        assert decoded([data.replace(b"\n", b"\r\n\n")]) == expected


def test_splits_inside_characters_give_the_same_events() -> None:
    data = stream(STREAMS["text"])
    cuts = awkward_cuts(data)
    assert len(cuts) == 4
    for cut in cuts:
        assert decoded(pieces(data, [cut])) == decoded([data])


def test_the_recorded_embedding_of_the_older_endpoint() -> None:
    (exchange,) = EMBEDS
    assert exchange.body is not None
    request = embed.decode_embed_request(json.dumps(exchange.body).encode())
    written = embed.encode_embed_request(request, request.model)
    assert json.loads(written.body) == exchange.body
    assert (written.path, written.warnings) == ("/api/embeddings", ())
    response = embed.decode_embed_response(exchange.answer)
    assert len(response.embeddings) == 1
    assert json.loads(embed.encode_embed_response(response)) == json.loads(exchange.answer)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "all-minilm", "input": "why"},
        {
            "model": "all-minilm",
            "input": ["why"],
            "truncate": True,
            "keep_alive": "5m",
            "options": {"num_ctx": 1},
        },
        {"model": "all-minilm", "input": ["why", "not"], "dimensions": 64},
    ],
)
def test_embedding_request_of_ours(body: dict[str, Any]) -> None:
    request = embed.decode_embed_request(json.dumps(body).encode())
    written = embed.encode_embed_request(request, body["model"])
    assert json.loads(written.body) == body
    assert written.path == "/api/embed"


def test_embedding_answer_of_ours() -> None:
    body = {
        "model": "all-minilm",
        "embeddings": [[0.01, -0.5], [1, 2e-5]],
        "total_duration": 14143917,
        "load_duration": 1019500,
        "prompt_eval_count": 8,
    }
    response = embed.decode_embed_response(json.dumps(body).encode())
    assert response.usage.input_tokens == 8
    assert json.loads(embed.encode_embed_response(response)) == body
