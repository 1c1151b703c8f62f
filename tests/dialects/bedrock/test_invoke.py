"""Anthropic's dialect as Bedrock and Vertex host it; the official SDK's classes for both are the second opinion."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_ANTHROPIC_MESSAGES
from services.dialects.anthropic import AnthropicCodec
from services.dialects.anthropic_hosted import bedrock_body, betas_of, vertex_body, vertex_count_body
from services.dialects.bedrock import invoke
from services.dialects.eventstream import encode_frame
from services.dialects.fold import fold
from services.dialects.sse import SseParser
from services.runtime.errors import (
    LlmhubError,
    RequestInvalid,
    UpstreamAuthFailed,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from tests.dialects.anthropic import official as anthropics
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import Recording, one, recordings, stream
from tests.support.exceptions import NOT_CLAUDE
from tests.support.exchanges import random_pieces, recorded

claude = AnthropicCodec()
ANTHROPICS = ("bedrock/044", "bedrock/046", "bedrock/048", "bedrock/049")
STREAMS = [one("bedrock/048"), one("bedrock/049")]
VERTEX = recordings("anthropic.rawPredict", "anthropic.streamRawPredict")
ASKED = [each for each in recorded("anthropic.messages") if each.body is not None]


def test_recordings_are_there() -> None:
    invoked = recordings("bedrock.invoke", "bedrock.invoke-with-response-stream")
    assert {each.name for each in invoked} == {*ANTHROPICS, *NOT_CLAUDE}
    assert len(VERTEX) == 5


class _Sent(Exception):
    def __init__(self, request: httpx2.Request) -> None:
        super().__init__("sent")
        self.request = request


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, Any]]:
    """The SDK's classes for the two hosts, which get no further than sending."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise _Sent(request)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        shared: dict[str, Any] = {"base_url": "http://test", "max_retries": 0, "http_client": http}
        yield {
            "bedrock": anthropic.AnthropicBedrock(api_key="none", aws_region="us-east-1", **shared),
            "vertex": anthropic.AnthropicVertex(
                region="us-east5", project_id="p", access_token="none", **shared
            ),
        }


@pytest.mark.parametrize("exchange", ASKED, ids=str)
@pytest.mark.parametrize("host", ["bedrock", "vertex"])
def test_requests_are_what_the_sdk_sends(exchange: Any, host: str, hosts: dict[str, Any]) -> None:
    model = exchange.body["model"]
    request = claude.decode_request(json.dumps(exchange.body).encode()).request
    wire = claude.encode_request(request, model, stream=exchange.wants_stream)
    betas = betas_of(wire.headers)
    headers = {"anthropic-beta": ",".join(betas)} if betas else {}
    with pytest.raises((_Sent, anthropic.APIConnectionError)) as raised:
        hosts[host].post(
            "/v1/messages", body=json.loads(wire.body), cast_to=object, options={"headers": headers}
        )
    caught = raised.value if isinstance(raised.value, _Sent) else raised.value.__cause__
    assert isinstance(caught, _Sent)
    ours = bedrock_body(wire.body, betas) if host == "bedrock" else vertex_body(wire.body)
    if host == "bedrock":
        path = caught.request.url.raw_path.decode()
        assert path == invoke.invoke_path(model, stream=exchange.wants_stream)
    assert without_version(caught.request.content) == without_version(ours)


def without_version(body: bytes) -> dict[str, Any]:
    """The SDK names Anthropic's own newest version to every host; ours are those that the hosts document."""
    value: dict[str, Any] = json.loads(body)
    assert value.pop("anthropic_version")
    return value


@pytest.mark.parametrize("name", ANTHROPICS)
def test_recorded_requests_on_bedrock(name: str) -> None:
    """What was sent is what comes of the same body with a model in it."""
    exchange = one(name)
    body = {key: value for key, value in exchange.body.items() if key != "anthropic_version"}
    body |= {"model": exchange.model, "stream": exchange.streaming}
    assert json.loads(bedrock_body(json.dumps(body).encode())) == exchange.body
    assert invoke.invoke_path(exchange.model, stream=exchange.streaming) == exchange.path
    # The Anthropic codec reads it and writes it again.
    wire = claude.encode_request(
        claude.decode_request(json.dumps(body).encode()).request, exchange.model, stream=exchange.streaming
    )
    assert json.loads(bedrock_body(wire.body)) == exchange.body


@pytest.mark.parametrize("exchange", VERTEX, ids=str)
def test_recorded_exchanges_on_vertex(exchange: Recording) -> None:
    body = {key: value for key, value in exchange.body.items() if key != "anthropic_version"}
    assert json.loads(vertex_body(json.dumps({**body, "model": "m"}).encode())) == exchange.body
    if not exchange.streaming and exchange.endpoint == "anthropic.rawPredict":
        response = claude.decode_response(exchange.answer)
        assert json.loads(claude.encode_response(response)) == json.loads(exchange.answer)
    else:
        decoder = claude.stream_decoder()
        response = fold(decoder.feed(exchange.answer) + decoder.close())
    assert response.candidates[0].parts
    assert response.usage.output_tokens > 0


@pytest.mark.parametrize("name", ["bedrock/044", "bedrock/046"])
def test_whole_answers_are_anthropics(name: str) -> None:
    answer = one(name).answer
    assert json.loads(claude.encode_response(claude.decode_response(answer))) == json.loads(answer)


@pytest.mark.parametrize("exchange", [*map(one, ANTHROPICS), *VERTEX], ids=str)
def test_hosted_answers_are_those_that_the_sdk_reads(exchange: Recording) -> None:
    """Relayed, through the contract, and written again."""
    if not exchange.streaming and exchange.endpoint != "anthropic.streamRawPredict":
        answer, theirs = exchange.answer, anthropics.whole_message(exchange.answer)
        response = claude.decode_response(answer)
        progress = claude.relay_answer(answer, ENDPOINT_ANTHROPIC_MESSAGES)
    else:
        answer = unwrapped([exchange.answer]) if exchange.name.startswith("bedrock") else exchange.answer
        theirs = anthropics.streamed_message(answer)
        decoder = claude.stream_decoder()
        response = fold(decoder.feed(answer) + decoder.close())
        tap = claude.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
        assert tap.feed(answer).data == answer
        (last,) = (tap.close().progress,)
        assert last is not None
        progress = last
    assert (progress.complete, progress.usage.output_tokens) == (True, response.usage.output_tokens)
    for read in (response, claude.decode_response(claude.encode_response(response))):
        assert agreeing(read) == agreeing(theirs)


def agreeing(answer: Any) -> tuple[Any, ...]:
    """Text, calls, end and tokens, of the contract's answer or of the SDK's."""
    if isinstance(answer, GenerateResponse):
        (candidate,) = answer.candidates
        calls = [each.tool_call for each in candidate.parts if each.HasField("tool_call")]
        usage = answer.usage
        return (
            "".join(part.text for part in candidate.parts),
            [(call.id, call.name, json.loads(call.arguments)) for call in calls],
            candidate.finish.provider_reason,
            (usage.input_tokens, usage.output_tokens + usage.reasoning_tokens),
        )
    return (
        "".join(block.text for block in answer.content if block.type == "text"),
        [(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"],
        answer.stop_reason,
        (answer.usage.input_tokens, answer.usage.output_tokens),
    )


def unwrapped(pieces: list[bytes]) -> bytes:
    unwrapper = invoke.InvokeUnwrapper()
    return b"".join(unwrapper.feed(piece) for piece in pieces)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams_become_the_events_that_the_sdk_reads(exchange: Recording) -> None:
    data = unwrapped([exchange.answer])
    ours = [(event.event, json.loads(event.data)) for event in SseParser().feed(data)]
    theirs = AWSEventStreamDecoder().iter_bytes(iter([exchange.answer]))
    assert ours == [(event.event, json.loads(event.data)) for event in theirs]
    for seed in range(1, 4):
        assert unwrapped(random_pieces(exchange.answer, seed)) == data
    assert unwrapped([bytes([byte]) for byte in exchange.answer]) == data


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_the_anthropic_codec_and_its_tap_read_the_events(exchange: Recording) -> None:
    unwrapper = invoke.InvokeUnwrapper()
    decoder, tap = claude.stream_decoder(), claude.relay_tap(ENDPOINT_ANTHROPIC_MESSAGES, hide_usage=False)
    events = []
    for piece in random_pieces(exchange.answer, 2):
        data = unwrapper.feed(piece)
        events += decoder.feed(data)
        assert tap.feed(data).data == data
    response = fold(events + decoder.close())
    progress = tap.close().progress
    assert progress is not None
    assert progress.complete
    assert progress.usage.output_tokens == response.usage.output_tokens > 0
    assert response.candidates[0].parts


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("throttlingException", "rate_limit_error", UpstreamRateLimited),
        ("validationException", "invalid_request_error", UpstreamRejected),
        ("serviceUnavailableException", "overloaded_error", UpstreamOverloaded),
        ("internalServerException", "api_error", UpstreamFailed),
        ("modelStreamErrorException", "api_error", UpstreamFailed),
        ("modelTimeoutException", "timeout_error", UpstreamTimeout),
    ],
)
def test_an_exception_becomes_an_error_event(name: str, kind: str, expected: type[LlmhubError]) -> None:
    started = one("bedrock/049").answer[:2000]
    data = unwrapped([stream((name, {"message": "no more"}))])
    (event,) = SseParser().feed(data)
    assert event.event == "error"
    assert json.loads(event.data) == {"type": "error", "error": {"type": kind, "message": "no more"}}
    decoder = claude.stream_decoder()
    # What was in the middle of a frame is lost with the frame.
    first = SseParser().feed(unwrapped([started]))
    assert first
    (failed,) = (each for each in decoder.feed(data) if each.HasField("finished"))
    assert not failed.finished.complete
    with pytest.raises(expected):
        fold([failed])


def test_a_cut_stream_is_no_whole_answer() -> None:
    decoder = claude.stream_decoder()
    events = decoder.feed(unwrapped([one("bedrock/048").answer[:-1]])) + decoder.close()
    assert not events[-1].finished.complete


@pytest.mark.parametrize("data", [b"x" * 64, encode_frame("chunk", b"{}"), encode_frame("chunk", b"\xff")])
def test_junk_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        unwrapped([data])


def test_streams_of_other_models_pass_but_are_none_of_anthropics() -> None:
    data = unwrapped([one("bedrock/050").answer])
    assert b'{"messageStart":{"role":"assistant"}}' in data
    decoder = claude.stream_decoder()
    assert not (decoder.feed(data) + decoder.close())[-1].finished.complete


def test_failures_are_anthropics_failures() -> None:
    exchange = one("bedrock/047")
    body = invoke.error_body(exchange.status, exchange.headers, exchange.answer)
    error = claude.decode_error(exchange.status, exchange.headers, body)
    assert isinstance(error, UpstreamAuthFailed)
    assert error.upstream is not None
    assert error.upstream.message == "You don't have access to the model with the specified model ID."
    body = invoke.error_body(503, {}, b"<html>")
    assert isinstance(claude.decode_error(503, {}, body), UpstreamOverloaded)


def test_betas_stand_in_the_body() -> None:
    betas = betas_of({"Anthropic-Beta": "a-1, b-2,"})
    assert betas == ["a-1", "b-2"]
    assert json.loads(bedrock_body(b'{"anthropic_beta":["a-1"]}', betas))["anthropic_beta"] == ["a-1", "b-2"]
    assert b"anthropic_beta" not in bedrock_body(b"{}")


def test_other_members_keep_their_bytes() -> None:
    body = b'{"model":"m","stream":true,"messages":[{"content" : 1.0}],"x":12345678901234567890123}'
    for written in (bedrock_body(body), vertex_body(body), vertex_count_body(body)):
        assert b'"messages":[{"content" : 1.0}],"x":12345678901234567890123' in written
    assert b'"model":"m"' in vertex_count_body(body)
    assert b'"stream":true' in vertex_body(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    for write in (bedrock_body, vertex_body, vertex_count_body, invoke.count_body):
        with pytest.raises(RequestInvalid):
            write(body)


def test_tokens_are_counted_for_the_model_behind_a_profile() -> None:
    asked = b'{"model":"us.anthropic.claude-x","messages":[{"role":"user","content":"x"}]}'
    body = json.loads(invoke.count_body(asked))
    counted = json.loads(base64.b64decode(body["input"]["invokeModel"]["body"]))
    assert counted == {
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "x"}],
        "anthropic_version": "bedrock-2023-05-31",
    }
    path, sent_body = official.serialised("CountTokens", "anthropic.claude-x", body)
    assert (path, sent_body) == (invoke.count_path("us.anthropic.claude-x"), body)
    recorded_body = json.loads(base64.b64decode(one("bedrock/042").body["input"]["invokeModel"]["body"]))
    assert {*counted} <= {*recorded_body}
    answer = invoke.count_answer(b'{"inputTokens":7}')
    assert claude.decode_count_response(answer).input_tokens == 7
    with pytest.raises(UpstreamProtocol):
        invoke.count_answer(b"{}")
