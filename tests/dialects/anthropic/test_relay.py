"""A relayed answer passes byte for byte, and what it says is what the contract says of it."""

import json

import pytest

from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_ANTHROPIC_COUNT_TOKENS,
    ENDPOINT_ANTHROPIC_MESSAGES,
    Progress,
)
from services.dialects.anthropic import AnthropicCodec
from services.dialects.fold import fold
from services.runtime.errors import RequestInvalid, UpstreamProtocol
from tests.support.exchanges import Exchange, named, random_pieces, recorded, sse_events

MESSAGES = recorded("anthropic.messages")
STREAMS = [each for each in MESSAGES if each.streaming]
WHOLE = [each for each in MESSAGES if not each.streaming and each.status == 200]
COUNTS = [each for each in recorded("anthropic.count_tokens") if each.status == 200]

codec = AnthropicCodec()


def tapped(pieces: list[bytes]) -> tuple[bytes, list[Progress], Progress]:
    """The bytes passed on, every progress on the way, and the last."""
    tap = codec.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
    passed = [tap.feed(piece) for piece in pieces]
    last = tap.close()
    assert last.progress is not None
    noted = [each.progress for each in passed if each.progress is not None]
    return b"".join(each.data for each in (*passed, last)), noted, last.progress


@pytest.mark.parametrize("exchange", [each for each in MESSAGES if each.body is not None], ids=str)
def test_only_the_model_of_a_request_changes(exchange: Exchange) -> None:
    body = json.dumps(exchange.body).encode()
    relayed = codec.relay_request(body, "another", ENDPOINT_ANTHROPIC_MESSAGES)
    assert json.loads(relayed.body) == {**(exchange.body or {}), "model": "another"}
    assert not relayed.hide_usage


def test_members_of_a_request_keep_their_bytes() -> None:
    odd = b'{ "a" : 1.0 , "b":[ 1E2,12345678901234567890123 ], "c":"\\u00e9" }'
    relayed = codec.relay_request(b'{"model":"m", "new":%b}' % odd, "n", ENDPOINT_ANTHROPIC_MESSAGES)
    assert relayed.body == b'{"model":"n","new":%b}' % odd
    with pytest.raises(RequestInvalid):
        codec.relay_request(b"[1]", "n", ENDPOINT_ANTHROPIC_MESSAGES)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams_pass_and_are_understood(exchange: Exchange) -> None:
    decoder = codec.stream_decoder()
    whole = fold([*decoder.feed(exchange.answer), *decoder.close()])
    for pieces in ([exchange.answer], sse_events(exchange.answer), random_pieces(exchange.answer, 4)):
        data, _, last = tapped(pieces)
        assert data == exchange.answer
        assert last.complete
        assert last.content
        assert last.usage == whole.usage
        assert last.finish == whole.candidates[0].finish
        assert (last.response_id, last.provider_model) == (whole.response_id, whole.provider_model)


def test_single_bytes_pass_and_are_understood() -> None:
    answer = named("anthropic/037").answer
    assert tapped([bytes([byte]) for byte in answer])[2] == tapped([answer])[2]


def test_characters_are_counted_as_they_pass() -> None:
    answer = named("anthropic/014").answer
    decoder = codec.stream_decoder()
    (part,) = fold([*decoder.feed(answer), *decoder.close()]).candidates[0].parts
    _, noted, last = tapped(sse_events(answer))
    assert last.output_characters == len(part.text)
    counts = [each.output_characters for each in noted if each.content]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == len(part.text)


def test_content_starts_with_the_first_delta() -> None:
    pieces = sse_events(named("anthropic/043").answer)
    tap = codec.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
    for piece in pieces:
        progress = tap.feed(piece).progress
        first_delta = b"content_block_delta" in piece
        assert (progress is not None and progress.content) == first_delta
        if first_delta:
            break


@pytest.mark.parametrize("number", ["010", "036"])
def test_content_starts_with_a_tool_or_opaque_block(number: str) -> None:
    for piece in sse_events(named(f"anthropic/{number}").answer):
        if (
            b'"content_block":{"type":"server_tool_use"' in piece
            or b'"content_block":{"type":"tool_use"' in piece
        ):
            tap = codec.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
            progress = tap.feed(piece).progress
            assert progress is not None
            assert progress.content


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_cut_stream_is_never_complete(exchange: Exchange) -> None:
    events = sse_events(exchange.answer)
    for end in range(0, len(events), max(1, len(events) // 25)):
        assert not tapped(events[:end])[2].complete


def test_usage_is_known_from_the_start() -> None:
    progress = tapped(sse_events(named("anthropic/012").answer)[:1])[2]
    assert progress.usage.cache_read_tokens == 55096
    assert not progress.content


# Ours, after the specification: no recording has an error in mid-stream.
ERROR_EVENT = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
)


def test_an_error_event_is_noted_and_passes() -> None:
    pieces = [*sse_events(named("anthropic/043").answer)[:5], ERROR_EVENT]
    data, _, last = tapped(pieces)
    assert data == b"".join(pieces)
    assert not last.complete
    assert last.error.provider.type == "overloaded_error"
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert not tapped([*pieces, stop])[2].complete


def test_garbage_passes_and_is_noted() -> None:
    pieces = [b"event: content_block_delta\ndata: {garbage\n\n", b'data: {"type":"message_stop"}\n\n']
    data, _, last = tapped(pieces)
    assert data == b"".join(pieces)
    assert not last.complete
    assert last.HasField("error")


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answers_are_understood(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, ENDPOINT_ANTHROPIC_MESSAGES)
    response = codec.decode_response(exchange.answer)
    assert progress.complete
    assert progress.content
    assert progress.output_characters > 0
    assert progress.usage == response.usage
    assert progress.finish.reason == response.candidates[0].finish.reason
    assert (progress.response_id, progress.provider_model) == (response.response_id, response.provider_model)


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_counting_uses_nothing(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, ENDPOINT_ANTHROPIC_COUNT_TOKENS)
    assert progress.complete
    assert not progress.HasField("usage")


def test_an_answer_that_is_none_is_refused() -> None:
    for body in (b"", b"<html>", b"[]", b"{}", b'{"type":"message"}'):
        with pytest.raises(UpstreamProtocol):
            codec.relay_answer(body, ENDPOINT_ANTHROPIC_MESSAGES)
    error = b'{"type":"error","error":{"type":"api_error","message":"x"}}'
    progress = codec.relay_answer(error, ENDPOINT_ANTHROPIC_MESSAGES)
    assert not progress.complete
    assert progress.error.provider.type == "api_error"
