"""Requests and answers of other dialects in this one, and the other way, by the official SDK's account."""

import json
from typing import Any, Final

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.types.v1.content_pb2 import Part, Role
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding
from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec
from tests.dialects.openai_responses import official
from tests.dialects.openai_responses.traffic import ALL, ASKED, BROKEN, STREAMS, WHOLE
from tests.support.exchanges import Exchange
from tests.support.recordings import recordings

codec = ResponsesCodec()
OTHERS: Final[dict[str, Any]] = {"openai": OpenAICodec(), "anthropic": AnthropicCodec()}
FOREIGN: Final = [
    each
    for each in recordings("openai.chat", "anthropic.messages")
    if (each.body or each.status == 200) and len(each.answer) + len(str(each.body)) < 40_000
]
CALLER = DecodedRequest(GenerateRequest(), stream=True)
_request = TypeAdapter(ResponseCreateParamsNonStreaming)


def said(parts: Any) -> list[tuple[str, ...]]:
    """What every dialect carries of a turn."""
    found: list[tuple[str, ...]] = []
    for part in parts:
        match part.WhichOneof("kind"):
            case "text" if part.text:
                found.append(("text", part.text))
            case "tool_call":
                call = part.tool_call
                found.append(("call", call.id, call.name, call.arguments))
            case "tool_result":
                found.append(("result", part.tool_result.call_id, *words(part.tool_result.parts)))
            case "media" if part.media.WhichOneof("source") == "data" and part.media.kind == 1:
                found.append(("image", str(len(part.media.data))))
            case _:
                pass
    return found


def words(parts: Any) -> list[str]:
    return [part.text for part in parts if part.text]


def turns(request: GenerateRequest) -> list[tuple[str, ...]]:
    return [each for message in request.messages for each in said(message.parts)]


@pytest.mark.parametrize("exchange", [each for each in FOREIGN if each.body], ids=str)
def test_a_request_of_another_dialect(exchange: Exchange) -> None:
    """It is one by the SDK's types, and says the same when it is read again."""
    request = OTHERS[exchange.dialect].decode_request(json.dumps(exchange.body).encode()).request
    written = codec.encode_request(request, "gpt-5", stream=False)
    _request.validate_python(json.loads(written.body))
    again = codec.decode_request(written.body).request
    lost = [each.field for each in written.warnings]
    if not any("media" in each or "parts" in each for each in lost):
        assert turns(again) == turns(request)
    assert [each.function.name for each in again.tools if each.HasField("function")] == [
        each.function.name for each in request.tools if each.HasField("function")
    ]
    assert [each.function.parameters_json for each in again.tools if each.HasField("function")] == [
        each.function.parameters_json or '{"type":"object","properties":{}}'
        for each in request.tools
        if each.HasField("function")
    ]
    assert again.response_format.json_schema.schema_json == request.response_format.json_schema.schema_json
    assert again.options.max_output_tokens == request.options.max_output_tokens
    assert again.tool_choice.mode == request.tool_choice.mode


@pytest.mark.parametrize("exchange", ASKED, ids=str)
@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_request_in_another_dialect(name: str, exchange: Exchange) -> None:
    other = OTHERS[name]
    request = codec.decode_request(json.dumps(exchange.body).encode()).request
    if not any(message.role != Role.ROLE_SYSTEM and said(message.parts) for message in request.messages):
        # Nothing in it can be said elsewhere.
        return
    written = other.encode_request(request, "gpt-5", stream=False)
    again = other.decode_request(written.body).request
    # Ids have other letters elsewhere.
    calls = [each[2:] for each in turns(request) if each[0] == "call"]
    assert [each[2:] for each in turns(again) if each[0] == "call"] == calls
    spoken = [part.text for each in request.messages for part in each.parts if part.text]
    sent = json.dumps(json.loads(written.body), ensure_ascii=False)
    assert all(json.dumps(text, ensure_ascii=False)[1:-1] in sent for text in spoken)


@pytest.mark.parametrize(
    "exchange", [each for each in FOREIGN if each.status == 200 and not each.streaming], ids=str
)
def test_an_answer_of_another_dialect(exchange: Exchange) -> None:
    response = OTHERS[exchange.dialect].decode_response(exchange.answer)
    candidate = response.candidates[0]
    theirs = official.whole(codec.encode_response(response))
    check(theirs, candidate.parts)
    assert theirs.usage is None or theirs.usage.total_tokens == (
        theirs.usage.input_tokens + theirs.usage.output_tokens
    )


def check(theirs: Any, parts: Any) -> None:
    assert theirs.output_text == "".join(part.text for part in parts)
    assert [
        (each.call_id, each.name, each.arguments) for each in theirs.output if each.type == "function_call"
    ] == [
        (part.tool_call.id, part.tool_call.name, part.tool_call.arguments)
        for part in parts
        if part.HasField("tool_call")
    ]
    thoughts = [each for item in theirs.output if item.type == "reasoning" for each in item.content or []]
    assert "".join(each.text for each in thoughts) == "".join(part.reasoning.text for part in parts)
    identities = [each.id for each in theirs.output]
    assert len(set(identities)) == len(identities)
    assert theirs.id.startswith("resp_")


@pytest.mark.parametrize(
    "exchange", [each for each in FOREIGN if each.streaming and BROKEN not in each.features], ids=str
)
def test_a_stream_of_another_dialect(exchange: Exchange) -> None:
    """The SDK puts it together, and its last frame is the whole answer."""
    decoder, folding = OTHERS[exchange.dialect].stream_decoder(), Folding()
    events = [*decoder.feed(exchange.answer), *decoder.close()]
    for event in events:
        folding.add(event)
    written = codec.stream_encoder(CALLER).encode(events)
    last = json.loads(written.rstrip().rpartition(b"\ndata: ")[2])
    assert last["response"] == json.loads(codec.encode_response(folding.whole()))
    seen = official.streamed(written)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    if last["type"] == "response.completed":
        check(official.accumulated(written), folding.whole().candidates[0].parts)


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
@pytest.mark.parametrize("name", sorted(OTHERS))
def test_an_answer_in_another_dialect(name: str, exchange: Exchange) -> None:
    other = OTHERS[name]
    response = codec.decode_response(exchange.answer)
    again = other.decode_response(other.encode_response(response))
    expected = [part.text for part in response.candidates[0].parts if part.text]
    assert "".join(words(again.candidates[0].parts)) == "".join(expected)
    assert calls_of(again) == calls_of(response)


def calls_of(response: GenerateResponse) -> list[str]:
    parts: list[Part] = [part for each in response.candidates for part in each.parts]
    return [part.tool_call.name for part in parts if part.HasField("tool_call")]


@pytest.mark.parametrize("exchange", [each for each in STREAMS if BROKEN not in each.features], ids=str)
@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_stream_in_another_dialect(name: str, exchange: Exchange) -> None:
    other = OTHERS[name]
    asked = other.decode_request(
        b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"?"}]}'
    )
    decoder, folding = codec.stream_decoder(), Folding()
    events = [*decoder.feed(exchange.answer), *decoder.close()]
    for event in events:
        folding.add(event)
    again, refolded = other.stream_decoder(), Folding()
    written = other.stream_encoder(asked).encode(events)
    for event in [*again.feed(written), *again.close()]:
        refolded.add(event)
    expected, found = folding.whole(), refolded.whole()
    assert "".join(words(found.candidates[0].parts)) == "".join(words(expected.candidates[0].parts))
    assert calls_of(found) == calls_of(expected)


def test_every_recording_is_in_one_of_these() -> None:
    assert len(ALL) == 69
    assert sum(each.dialect == "anthropic" for each in FOREIGN) > 40


def test_a_turn_of_calls_stays_one_turn() -> None:
    """Chat wants the calls of one turn in one message, with the results behind."""
    items: list[dict[str, Any]] = [
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": "2"},
    ]
    request = codec.decode_request(json.dumps({"model": "m", "input": items}).encode()).request
    assert [message.role for message in request.messages] == [
        Role.ROLE_USER,
        Role.ROLE_ASSISTANT,
        Role.ROLE_TOOL,
        Role.ROLE_TOOL,
    ]
    written = OTHERS["openai"].encode_request(request, "m", stream=False)
    messages = json.loads(written.body)["messages"]
    assert [len(each.get("tool_calls", [])) for each in messages] == [0, 2, 0, 0]
    assert [each.field for each in written.warnings] == ["messages[1].parts[0].state"]
