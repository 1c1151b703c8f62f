"""Bedrock and the other dialects, through the contract."""

import json
from itertools import pairwise
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import (
    UNSUPPORTED_POLICY_REFUSE,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.types.v1.content_pb2 import Part
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec
from services.dialects.fold import fold
from services.dialects.openai import OpenAICodec
from services.runtime.errors import ParameterUnsupported
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import Recording, codec, one, recordings
from tests.support.exceptions import UNENDED
from tests.support.exchanges import Exchange, recorded
from tests.support.recordings import recordings as others

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MODELS = [
    CLAUDE,
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "meta.llama3-2-1b-instruct-v1:0",
    "openai.gpt-oss-120b-1:0",
    "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abcdefghijkl",
]
CODECS: dict[str, ChatCodec] = {"openai": OpenAICodec(), "anthropic": AnthropicCodec()}
ASKED = [each for each in (*others("openai.chat"), *recorded("anthropic.messages")) if each.body is not None]
ANSWERED = [each for each in (*others("openai.chat"), *recorded("anthropic.messages")) if each.status == 200]
CONVERSE = recordings("bedrock.converse", "bedrock.converse-stream")
OWN = [each for each in CONVERSE if each.status == 200 and each.name not in UNENDED]


def asked(exchange: Exchange) -> GenerateRequest:
    return CODECS[exchange.dialect].decode_request(json.dumps(exchange.question).encode()).request


def whole_of(chat: ChatCodec, answer: bytes, *, streaming: bool) -> GenerateResponse:
    if not streaming:
        return chat.decode_response(answer)
    decoder = chat.stream_decoder()
    return fold(decoder.feed(answer) + decoder.close())


def said(response: GenerateResponse) -> tuple[str, list[tuple[str, Any]]]:
    parts: list[Part] = [part for candidate in response.candidates[:1] for part in candidate.parts]
    text = "".join(part.text or part.refusal for part in parts)
    calls = [part.tool_call for part in parts if part.HasField("tool_call")]
    return text, [(call.name, json.loads(call.arguments or "{}")) for call in calls]


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_requests_of_others_are_requests_that_bedrock_takes(exchange: Exchange) -> None:
    request = asked(exchange)
    for model in MODELS:
        written = codec.encode_request(request, model, stream=True)
        body = json.loads(written.body)
        path, sent = official.serialised("ConverseStream", model, body)
        assert (written.path, body) == (path, sent)
        official.accepted("ConverseStream", body)
        turns = [turn["role"] for turn in body["messages"]]
        assert all(mine != following for mine, following in pairwise(turns))
        again = codec.decode_request(written.body).request
        assert json.loads(codec.encode_request(again, model, stream=True).body) == body


@pytest.mark.parametrize("exchange", [each for each in ANSWERED if not each.streaming], ids=str)
def test_answers_of_others_are_answers_that_boto3_reads(exchange: Exchange) -> None:
    response = CODECS[exchange.dialect].decode_response(exchange.answer)
    body = codec.encode_response(response)
    parsed = official.whole("Converse", body)
    again = codec.decode_response(body)
    assert said(again) == said(response)
    assert parsed["usage"]["outputTokens"] == response.usage.output_tokens + response.usage.reasoning_tokens
    assert parsed["stopReason"] in official.service().shape_for("StopReason").enum


@pytest.mark.parametrize("exchange", [each for each in ANSWERED if each.streaming], ids=str)
def test_streams_of_others_are_streams_that_boto3_reads(exchange: Exchange) -> None:
    decoder = CODECS[exchange.dialect].stream_decoder()
    encoder = codec.stream_encoder(codec.decode_request(b"{}"))
    events = decoder.feed(exchange.answer) + decoder.close()
    data = b"".join(encoder.encode([event]) for event in events)
    if not events[-1].finished.complete:
        with pytest.raises(official.EventStreamError):
            list(official.events("ConverseStream", [data]))
        return
    theirs = list(official.events("ConverseStream", [data]))
    assert [name for name, _ in theirs][-2:] == ["messageStop", "metadata"]
    assert said(whole_of(codec, data, streaming=True)) == said(fold(events))


@pytest.mark.parametrize("door", CODECS)
@pytest.mark.parametrize("exchange", OWN, ids=str)
def test_answers_through_other_doors(exchange: Recording, door: str) -> None:
    chat = CODECS[door]
    if not exchange.streaming:
        response = codec.decode_response(exchange.answer)
        crossed = chat.decode_response(chat.encode_response(response))
    else:
        decoder = codec.stream_decoder()
        events = decoder.feed(exchange.answer) + decoder.close()
        response = fold(events)
        question = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"stream":true}'
        data = chat.stream_encoder(chat.decode_request(question)).encode(events)
        crossed = whole_of(chat, data, streaming=True)
    assert said(crossed) == said(response)
    assert crossed.candidates[0].finish.reason == response.candidates[0].finish.reason or door == "anthropic"


@pytest.mark.parametrize("door", CODECS)
@pytest.mark.parametrize("exchange", CONVERSE, ids=str)
def test_requests_through_other_adapters_report_what_they_lose(exchange: Recording, door: str) -> None:
    request = codec.decode_request(exchange.request).request
    request.model = "m"
    written = CODECS[door].encode_request(request, "m", stream=False)
    fields = " ".join(f"{warning.field} {warning.message}" for warning in written.warnings)
    for lost in ("guardrailConfig", "performanceConfig"):
        if lost in exchange.body:
            assert lost in fields
    # The bound that Anthropic demands is supplied, not lost.
    if any(warning.field != "options.max_output_tokens" for warning in written.warnings):
        request.unsupported = UNSUPPORTED_POLICY_REFUSE
        with pytest.raises(ParameterUnsupported):
            CODECS[door].encode_request(request, "m", stream=False)


def test_reasoning_returns_only_to_its_origin() -> None:
    request = codec.decode_request(one("bedrock/010").request).request
    for message in request.messages:
        for part in message.parts:
            if part.HasField("state"):
                assert part.state.dialect == "bedrock"
    written = CODECS["anthropic"].encode_request(request, "m", stream=False)
    assert b"signature" not in written.body
    assert any("reasoning" in warning.message for warning in written.warnings)
    request.messages[1].parts[0].state.dialect = "anthropic"
    request.extensions.clear()
    written = codec.encode_request(request, CLAUDE, stream=False)
    assert b"reasoningContent" not in written.body
    assert [warning.field for warning in written.warnings] == ["messages[1].parts[0]"]
