"""A relayed answer passes byte for byte, and what is read in passing is what the contract says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_OPENAI_CHAT,
    ENDPOINT_OPENAI_EMBEDDINGS,
    Endpoint,
    Progress,
)
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.openai import PROFILES, OpenAICodec
from services.runtime.errors import RequestInvalid
from tests.support.exchanges import Exchange, named, random_pieces, sse_events
from tests.support.recordings import awkward_cuts, frames, pieces, recordings

CHATS = recordings("openai.chat")
EMBEDDINGS = recordings("openai.embeddings")
STREAMS = [each for each in CHATS if each.streaming]
WHOLE = [each for each in CHATS if not each.streaming and each.status == 200]

codec = OpenAICodec()


def tapped(data: list[bytes], *, hide_usage: bool = False) -> tuple[bytes, Progress]:
    tap = codec.relay_tap(ENDPOINT_OPENAI_CHAT, hide_usage=hide_usage)
    passed = [tap.feed(piece) for piece in data]
    last = tap.close()
    assert last.progress is not None
    return b"".join(each.data for each in (*passed, last)), last.progress


def decoded(data: bytes) -> list[StreamEvent]:
    decoder = codec.stream_decoder()
    return [*decoder.feed(data), *decoder.close()]


def in_crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("exchange", [each for each in CHATS + EMBEDDINGS if each.body], ids=str)
def test_only_the_model_of_a_request_changes(exchange: Exchange) -> None:
    endpoint: Endpoint.ValueType = (
        ENDPOINT_OPENAI_CHAT if exchange.endpoint == "openai.chat" else ENDPOINT_OPENAI_EMBEDDINGS
    )
    body: dict[str, Any] = dict(exchange.body or {})
    relayed = codec.relay_request(json.dumps(body).encode(), "another", endpoint)
    asked = (body.get("stream_options") or {}).get("include_usage") is True
    assert relayed.hide_usage == (body.get("stream") is True and not asked)
    if relayed.hide_usage:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    written = json.loads(relayed.body)
    assert written == {**body, "model": "another"}
    assert list(written)[: len(body)] == list({**body, "model": "another"})[: len(written)]


def test_members_of_a_request_keep_their_bytes() -> None:
    odd = b'{ "a" : 1.0 , "b":[ 1E2,12345678901234567890123 ], "c":"\\u00e9" }'
    relayed = codec.relay_request(b'{"new":%b, "model":"m"}' % odd, "n", ENDPOINT_OPENAI_CHAT)
    assert relayed.body == b'{"new":%b,"model":"n"}' % odd


def test_other_stream_options_stay() -> None:
    body = b'{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}'
    relayed = codec.relay_request(body, "m", ENDPOINT_OPENAI_CHAT)
    assert json.loads(relayed.body)["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    mistral = OpenAICodec(PROFILES["mistral"]).relay_request(body, "m", ENDPOINT_OPENAI_CHAT)
    assert (json.loads(mistral.body), mistral.hide_usage) == (json.loads(body), False)


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{", b'{"stream":true,"stream_options":3}', b"\xff", b"[" * 9999, b'"\\ud800"']
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.relay_request(body, "m", ENDPOINT_OPENAI_CHAT)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams_pass_untouched_in_any_pieces(exchange: Exchange) -> None:
    for answer in (exchange.answer, in_crlf(exchange.answer), b": a comment\n\n" + exchange.answer):
        seen = [
            tapped(cut)
            for cut in (
                [answer],
                sse_events(answer),
                random_pieces(answer, 5),
                pieces(answer, awkward_cuts(answer)[:200]),
            )
        ]
        assert [data for data, _ in seen] == [answer] * 4
        assert all(progress == seen[0][1] for _, progress in seen)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_what_is_read_in_passing_is_what_the_contract_says(exchange: Exchange) -> None:
    _, progress = tapped([exchange.answer])
    events = decoded(exchange.answer)
    finished = events[-1].finished
    assert progress.complete == finished.complete
    assert progress.HasField("error") == finished.HasField("error")
    usage = finished.usage
    usage.ClearField("service_tier")
    assert progress.usage == usage
    started = next(event.started for event in events if event.HasField("started"))
    assert (progress.response_id, progress.provider_model) == (started.response_id, started.model)
    assert progress.content
    deltas = [event.block_delta for event in events if event.HasField("block_delta")]
    names = [event.block_start.part.tool_call.name for event in events if event.HasField("block_start")]
    spoken = sum(len(delta.text) + len(delta.arguments) for delta in deltas) + sum(map(len, names))
    assert progress.output_characters == spoken


def test_single_bytes() -> None:
    for name in ("openrouter/010", "openai/017", "groq/011", "mistral/004", "zai/001"):
        answer = named(name).answer
        for hide in (False, True):
            single = [bytes([byte]) for byte in answer]
            assert tapped(single, hide_usage=hide) == tapped([answer], hide_usage=hide)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_hidden_usage_is_taken_out_and_read_all_the_same(exchange: Exchange) -> None:
    kept = [frame for frame in frames(exchange.answer) if frame.get("choices") or not frame.get("usage")]
    for answer in (exchange.answer, in_crlf(exchange.answer)):
        for cut in ([answer], random_pieces(answer, 7), pieces(answer, awkward_cuts(answer)[:100])):
            data, progress = tapped(cut, hide_usage=True)
            assert frames(data) == kept
            assert progress == tapped([answer])[1]
    hidden = [
        event for event in sse_events(exchange.answer) if b'"choices":[]' in event and b'"usage":{' in event
    ]
    if hidden:
        assert hidden[-1] not in tapped([exchange.answer], hide_usage=True)[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4700), max_size=10), st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_split_hides_the_same(cuts: list[int], hide: bool, line_end: bytes) -> None:
    answer = named("openai/025").answer.replace(b"\n", line_end)
    assert tapped(pieces(answer, cuts), hide_usage=hide) == tapped([answer], hide_usage=hide)


def test_bytes_go_on_at_once_unless_usage_is_hidden() -> None:
    tap = codec.relay_tap(ENDPOINT_OPENAI_CHAT, hide_usage=False)
    assert tap.feed(b'data: {"choices":[{"del').data == b'data: {"choices":[{"del'
    hiding = codec.relay_tap(ENDPOINT_OPENAI_CHAT, hide_usage=True)
    assert hiding.feed(b'data: {"choices":[{"del').data == b""
    assert hiding.feed(b'ta":{"content":"a"}}]}\n\n').data.endswith(b"}\n\n")


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_cut_stream_is_not_complete(exchange: Exchange) -> None:
    whole = decoded(exchange.answer)
    said = [frame for frame in frames(exchange.answer) if frame.get("choices")]
    ends = [n for n, frame in enumerate(said) if any(c.get("finish_reason") for c in frame["choices"])]
    events = sse_events(exchange.answer)
    spoken = [n for n, event in enumerate(events) if frames(event) and frames(event)[0].get("choices")]
    first = spoken[ends[0]] if ends else len(events) - 1
    last = spoken[ends[-1]] if ends else len(events) - 1
    for cut in {0, 1, first // 2, first - 1, first}:
        _, progress = tapped([b"".join(events[:cut])])
        assert not progress.complete
        assert progress.HasField("error")
        end = decoded(b"".join(events[:cut]))[-1].finished
        assert not end.complete
        assert end.HasField("error")
    # From the finishing frame on the answer is whole, with or without [DONE].
    if ends and whole[-1].finished.complete:
        assert tapped([b"".join(events[: last + 1])])[1].complete
        assert decoded(b"".join(events[: last + 1]))[-1].finished.complete


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answers(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, ENDPOINT_OPENAI_CHAT)
    response = codec.decode_response(exchange.answer)
    response.usage.ClearField("service_tier")
    assert progress.usage == response.usage
    assert progress.complete
    assert progress.content
    assert progress.finish.provider_reason == response.candidates[-1].finish.provider_reason
    assert (progress.response_id, progress.provider_model) == (response.response_id, response.provider_model)
    assert progress.output_characters > 0


@pytest.mark.parametrize("exchange", [each for each in EMBEDDINGS if each.status == 200], ids=str)
def test_embeddings(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, ENDPOINT_OPENAI_EMBEDDINGS)
    usage = codec.decode_embed_response(exchange.answer).usage
    assert progress.complete
    assert progress.usage.input_tokens == usage.input_tokens


def test_garbage_passes_and_is_told() -> None:
    data, progress = tapped([b"data: <html>\n\ndata: [1]\n\n"])
    assert data == b"data: <html>\n\ndata: [1]\n\n"
    assert not progress.complete
    assert progress.HasField("error")
    for body in (b"", b"<html>", b"[]", b"{}"):
        assert not codec.relay_answer(body, ENDPOINT_OPENAI_CHAT).complete
