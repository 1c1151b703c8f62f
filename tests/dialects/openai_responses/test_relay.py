"""Relaying: the bytes pass, and what they say is noted."""

import json

import pytest

from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.openai_responses import ResponsesCodec
from services.dialects.openai_responses.state import write_state
from services.dialects.openai_responses.wire import made_id
from services.dialects.progress import observe
from services.runtime.errors import RequestInvalid
from tests.dialects.openai_responses.traffic import ASKED, BROKEN, COMPACTS, COUNTS, STREAMS, WHOLE
from tests.support.exchanges import Exchange, random_pieces, sse_events

codec = ResponsesCodec()
RESPONSES = Endpoint.ENDPOINT_OPENAI_RESPONSES


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_only_the_model_of_a_request_changes(exchange: Exchange) -> None:
    body = json.dumps(exchange.body, separators=(",", ":"), ensure_ascii=False).encode()
    relayed = codec.relay_request(body, "other/model", RESPONSES)
    assert not relayed.hide_usage
    assert json.loads(relayed.body) == {**json.loads(body), "model": "other/model"}
    assert sorted(relayed.body) == sorted(
        body.replace(json.dumps(exchange.body["model"]).encode(), b'"other/model"', 1)
        if exchange.body
        else b""
    )


def test_what_a_door_added_is_taken_out_again() -> None:
    state = codec.decode_response(WHOLE[0].answer).candidates[0].parts[0].state
    state.dialect, state.kind, state.data = "anthropic", "signature", b"sig"
    kept = {"type": "reasoning", "id": "rs_0a", "summary": [], "encrypted_content": "the provider's own"}
    items = [
        {"role": "user", "content": "about llmhub1."},
        {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": write_state(state)},
        {"type": "reasoning", "id": made_id("rs", "r", 0), "summary": [], "content": []},
        kept,
        {
            "type": "function_call",
            "id": made_id("fc", "r", 1),
            "call_id": "c",
            "name": "f",
            "arguments": "{}",
        },
        {"type": "message", "id": "msg_1", "role": "assistant", "content": "x"},
    ]
    body = json.dumps({"model": "m", "input": items}).encode()
    relayed = json.loads(codec.relay_request(body, "n", RESPONSES).body)
    assert relayed["input"] == [
        items[0],
        kept,
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        items[5],
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.relay_request(body, "m", RESPONSES)


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_a_whole_answer(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    progress = codec.relay_answer(exchange.answer, RESPONSES)
    assert progress.complete
    assert progress.content
    assert progress.usage == response.usage
    if response.candidates[0].HasField("finish"):
        assert progress.finish == response.candidates[0].finish
    assert (progress.response_id, progress.provider_model) == (response.response_id, response.provider_model)
    spoken = sum(len(part.text) + len(part.tool_call.arguments) for part in response.candidates[0].parts)
    assert progress.output_characters >= spoken


@pytest.mark.parametrize("exchange", COMPACTS, ids=str)
def test_a_compaction(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, Endpoint.ENDPOINT_OPENAI_COMPACT)
    assert progress.complete
    assert progress.content
    assert progress.usage.provider_total_tokens > 0


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_a_count_is_not_usage(exchange: Exchange) -> None:
    progress = codec.relay_answer(exchange.answer, Endpoint.ENDPOINT_OPENAI_INPUT_TOKENS)
    assert progress == Progress(content=True, complete=True)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_stream(exchange: Exchange) -> None:
    tap = codec.relay_tap(RESPONSES, hide_usage=False)
    passed, progress = b"", Progress()
    for piece in sse_events(exchange.answer):
        step = tap.feed(piece)
        passed += step.data
        if step.progress is not None:
            assert step.progress.complete == (passed == exchange.answer and BROKEN not in exchange.features)
            assert step.progress.output_characters >= progress.output_characters
            progress = step.progress
    end = tap.close()
    assert passed + end.data == exchange.answer
    assert end.progress is not None
    decoder = codec.stream_decoder()
    expected = observe([*decoder.feed(exchange.answer), *decoder.close()])
    assert end.progress.complete == expected.complete
    assert end.progress.complete != (BROKEN in exchange.features)
    assert end.progress.usage == expected.usage
    assert end.progress.finish == expected.finish
    assert end.progress.response_id == expected.response_id
    assert end.progress.provider_model == expected.provider_model
    assert end.progress.content == expected.content
    assert end.progress.HasField("error") == (BROKEN in exchange.features)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_any_split_tells_the_same(exchange: Exchange) -> None:
    ends = []
    for parts in (random_pieces(exchange.answer, 5), [exchange.answer]):
        tap = codec.relay_tap(RESPONSES, hide_usage=False)
        assert b"".join(tap.feed(piece).data for piece in parts) == exchange.answer
        ends.append(tap.close().progress)
    assert ends[0] == ends[1]


@pytest.mark.parametrize("exchange", STREAMS[:6], ids=str)
def test_a_cut_stream_is_not_whole(exchange: Exchange) -> None:
    tap = codec.relay_tap(RESPONSES, hide_usage=False)
    tap.feed(exchange.answer[: exchange.answer.rindex(b"event: response.completed")])
    end = tap.close().progress
    assert end is not None
    assert not end.complete
    assert end.error.message
    assert not end.HasField("finish")


def test_an_empty_stream_is_an_error() -> None:
    end = codec.relay_tap(RESPONSES, hide_usage=False).close().progress
    assert end is not None
    assert not end.complete
    assert end.HasField("error")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"message":"m","code":"rate_limit_exceeded"}}', "rate_limit_exceeded"),
        (b'{"status":"failed","output":[],"error":{"code":"server_error","message":"m"}}', "server_error"),
        (b"{}", ""),
        (b"nonsense", ""),
    ],
)
def test_a_failure_with_status_200(body: bytes, code: str) -> None:
    progress = codec.relay_answer(body, RESPONSES)
    assert not progress.complete
    assert progress.HasField("error")
    assert progress.error.provider.code == code
