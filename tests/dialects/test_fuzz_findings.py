"""Inputs with which `python -m tools.fuzz` once broke a codec, made small."""

import contextlib
import json
import random
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_OPENAI_CHAT, ENDPOINT_OPENAI_RESPONSES
from services.dialects.anthropic.opaque import whole_block
from services.dialects.codec import DecodedRequest
from services.dialects.gemini.framing import ArrayParser
from services.dialects.openai_responses.usage import framed_usage_text, usage_text
from services.dialects.sse import MAX_EVENT_BYTES
from services.runtime.errors import LlmhubError, RequestInvalid, UpstreamProtocol
from tools.fuzz.corpus import CODECS
from tools.fuzz.operations import Operation, Watch, check_stream
from tools.fuzz.run import attempt

ASKED = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}],"input":"x",'
NO_TEXT = b'"\xed\xa0"'
TOO_LARGE = b"1e999"


@pytest.mark.parametrize("dialect", ["openai", "openai-responses", "cohere", "ollama"])
@pytest.mark.parametrize("fault", [NO_TEXT, TOO_LARGE], ids=["no text", "too large"])
@pytest.mark.parametrize("name", ["tools", "response_format", "format", "text", "metadata"])
def test_what_is_kept_as_text_must_be_json(dialect: str, fault: bytes, name: str) -> None:
    for value in (fault, b"[" + fault + b"]", b'{"type":' + fault + b"}"):
        with pytest.raises(RequestInvalid):
            CODECS[dialect].decode_request(ASKED + b'"%b":%b}' % (name.encode(), value))


def test_messages_that_are_no_text() -> None:
    with pytest.raises(RequestInvalid):
        CODECS["ollama"].decode_request(b'{"model":"m","messages":' + NO_TEXT + b"}")


def test_a_relayed_request_keeps_bytes_that_are_no_text() -> None:
    body = b'{"model":"m","stream":true,"stream_options":{"\xff":1},"messages":[]}'
    with pytest.raises(RequestInvalid):
        CODECS["openai"].relay_request(body, "n", ENDPOINT_OPENAI_CHAT)


@pytest.mark.parametrize("fault", [NO_TEXT, TOO_LARGE], ids=["no text", "too large"])
def test_usage_that_is_no_json(fault: bytes) -> None:
    answer = b'{"message":{"role":"assistant","content":[]},"usage":{"tokens":' + fault + b"}}"
    with pytest.raises(UpstreamProtocol):
        CODECS["cohere"].decode_response(answer)
    chat = b'{"id":"a","choices":[],"usage":{"x":' + fault + b"}}"
    assert not CODECS["openai"].relay_answer(chat, ENDPOINT_OPENAI_CHAT).HasField("usage")
    failed = b'{"id":"a","choices":[],"error":{"x":' + fault + b"}}"
    assert CODECS["openai"].relay_answer(failed, ENDPOINT_OPENAI_CHAT).HasField("error")
    assert not usage_text(b'{"usage":"\xff"}')
    assert not framed_usage_text(b'{"response":{"usage":"\xff"}}')


@pytest.mark.parametrize("dialect", ["openai", "openai-responses"])
def test_a_relayed_stream_that_is_no_text(dialect: str) -> None:
    frame = (
        b'data: {"type":"response.completed","choices":[{"delta":{"content":"\xed"}}],'
        b'"response":{"usage":"\xff"}}\n\n'
    )
    endpoint = ENDPOINT_OPENAI_CHAT if dialect == "openai" else ENDPOINT_OPENAI_RESPONSES
    tap = CODECS[dialect].relay_tap(endpoint, hide_usage=False)
    assert tap.feed(frame).data + tap.close().data == frame


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"delta": [value]}
    return value


@pytest.mark.parametrize("dialect", CODECS)
def test_unknown_members_that_nest(dialect: str) -> None:
    """As deep as JSON may nest here, other dialects' members are still looked into for what is lost."""
    request = GenerateRequest(model="m")
    request.messages.add(role=3).parts.add(text="x").extensions["elsewhere"] = json.dumps(deep(450))
    request.extensions["elsewhere"] = json.dumps(deep(450))
    assert CODECS[dialect].encode_request(request, "m", stream=False).warnings
    events = (
        CODECS["anthropic"]
        .stream_decoder()
        .feed(
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"a","usage":{}}}\n\n'
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
            b'{"type":"text","text":"","citations":null,"delta":%b}}\n\n' % json.dumps(deep(440)).encode()
        )
    )
    CODECS[dialect].stream_encoder(DecodedRequest(GenerateRequest(), stream=True)).encode(events)


@pytest.mark.parametrize("start", ["[]", "1", "{"])
@pytest.mark.parametrize("delta", ["7", '{"type":"input_json_delta","partial_json":[1]}'])
def test_opaque_blocks_that_are_none(start: str, delta: str) -> None:
    with pytest.raises(ValueError):
        whole_block(start, ["{}"])
    with pytest.raises(ValueError):
        whole_block("{}", [delta])


def test_candidates_of_one_number_do_not_multiply() -> None:
    candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": "word"}]}}
    chunk = json.dumps({"candidates": [candidate] * 50, "responseId": "r", "modelVersion": "m"}).encode()
    decoder = CODECS["gemini"].stream_decoder()
    events = decoder.feed(b"data: %b\r\n\r\n" % chunk)
    encoder = CODECS["gemini"].stream_encoder(DecodedRequest(GenerateRequest(), stream=True))
    assert encoder.encode(events + decoder.close()).count(b"word") == 50


def test_a_chunk_is_too_large_however_it_is_split() -> None:
    chunk = b'[{"a":"' + b"x" * MAX_EVENT_BYTES + b'"}]'
    with pytest.raises(UpstreamProtocol):
        ArrayParser().feed(chunk)
    parser = ArrayParser()
    parser.feed(chunk[:9])
    with pytest.raises(UpstreamProtocol):
        parser.feed(chunk[9:])


def test_the_fuzzer_tells_faults_from_refusals() -> None:
    def check(data: bytes, _: random.Random, __: Watch) -> None:
        if data == b"refused":
            raise UpstreamProtocol("no")
        if data == b"broken":
            json.loads(data)

    operation = Operation("x", check, [b""], "json")
    assert attempt(operation, b"refused", 0)[1] == "refused"
    assert attempt(operation, b"fine", 0)[1] == ""
    assert attempt(operation, b"broken", 0)[1].startswith("JSONDecodeError at ")
    with contextlib.suppress(LlmhubError):
        check_stream("openai", b'data: {"choices":[]}\n\n', random.Random(0), Watch())
