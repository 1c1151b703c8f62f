"""OpenAI's callers on Gemini's models and the reverse: recorded traffic through the contract."""

import json
from typing import Any

import pydantic
import pytest
from google.genai import types

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from services.dialects.gemini import GeminiCodec
from services.dialects.openai import OpenAICodec
from services.runtime.errors import LlmhubError
from tests.dialects.gemini.official import streamed, whole
from tests.dialects.gemini.recorded import CONTENT, PLAIN, STREAMS, WHOLE, body_of, decoded
from tests.dialects.gemini.test_official_sdk import accumulated, parts_of
from tests.support.exceptions import REFUSED
from tests.support.exchanges import Exchange, random_pieces, recorded

CHATS = recorded("openai.chat")
ASKED = [each for each in CHATS if each.body is not None]
ANSWERS = [each for each in CHATS if each.status == 200 and not each.streaming]
STREAMED = [each for each in CHATS if each.status == 200 and each.streaming]

codec = GeminiCodec()
openai = OpenAICodec()


def violations(body: dict[str, Any]) -> list[str]:
    """What the SDK's own types of a request say against a body; they allow no unknown member."""
    faults: list[str] = []
    checks: list[tuple[Any, Any]] = [
        (types.Content, body.get("systemInstruction")),
        (types.ToolConfig, body.get("toolConfig")),
        (types.GenerationConfig, body.get("generationConfig")),
        *((types.Content, turn) for turn in body["contents"]),
        *((types.Tool, tool) for tool in body.get("tools", ())),
    ]
    for kind, value in checks:
        try:
            if value is not None:
                kind.model_validate(value)
        except pydantic.ValidationError as error:
            faults += [f"{kind.__name__}{each['loc']}: {each['msg']}" for each in error.errors()]
    return faults


def test_the_types_can_refuse() -> None:
    assert violations(json.loads(PLAIN)) == []
    assert violations({"contents": [{"rolle": "user"}]})
    assert violations({"contents": [], "generationConfig": {"max_tokens": 3}})


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_requests_of_openai_callers_are_what_the_sdk_would_send(exchange: Exchange) -> None:
    read = openai.decode_request(json.dumps(exchange.body).encode())
    written = codec.encode_request(read.request, "gemini-3-pro", stream=read.stream)
    body = json.loads(written.body)
    assert violations(body) == []
    assert body["contents"]
    assert all(turn["parts"] and turn["role"] in {"user", "model"} for turn in body["contents"])
    assert all(warning.field and warning.message and warning.kind for warning in written.warnings)
    answered = [
        part["functionResponse"]
        for turn in body["contents"]
        for part in turn["parts"]
        if "functionResponse" in part
    ]
    assert all(each["name"] for each in answered)
    again = codec.decode_request(written.body).request
    said = [part.text for message in read.request.messages for part in message.parts if part.text]
    assert [part.text for message in again.messages for part in message.parts if part.text] == said


@pytest.mark.parametrize("exchange", [each for each in CONTENT if each.name not in REFUSED], ids=str)
def test_own_requests_are_what_the_sdk_would_send(exchange: Exchange) -> None:
    written = codec.encode_request(codec.decode_request(body_of(exchange)).request, "m", stream=False)
    body = json.loads(written.body)
    for turn in (body.get("systemInstruction", {}), *body["contents"]):
        if isinstance(turn.get("parts"), dict):
            # One recorded client wrote a single part without a list, and Google took it.
            turn["parts"] = [turn["parts"]]
    assert violations(body) == []


def events_of(exchange: Exchange) -> list[StreamEvent]:
    decoder = openai.stream_decoder()
    pieces = random_pieces(exchange.answer, 11)
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
def test_streams_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    events = events_of(exchange)
    encoder = codec.stream_encoder(codec.decode_request(PLAIN))
    stream = b"".join(encoder.encode([event]) for event in events)
    if events[-1].finished.complete:
        chunks = streamed(stream)
        same(fold(events), accumulated(chunks), chunks[-1])
        own = fold(decoded(stream))
        assert own.usage.output_tokens == fold(events).usage.output_tokens
    else:
        assert b'"error"' in stream
        assert b"finishReason" not in stream


@pytest.mark.parametrize("exchange", ANSWERS, ids=str)
def test_answers_of_openai_are_read_by_the_sdk(exchange: Exchange) -> None:
    try:
        response = openai.decode_response(exchange.answer)
    except LlmhubError:
        return
    read = whole(codec.encode_response(response))
    assert read.candidates
    same(response, parts_of(read.candidates[0]), read)


def same(
    response: GenerateResponse, parts: list[dict[str, Any]], last: types.GenerateContentResponse
) -> None:
    mine = response.candidates[0].parts
    said = "".join(part.text or part.refusal for part in mine)
    assert "".join(part["text"] for part in parts if "text" in part and not part.get("thought")) == said
    thought = "".join(part.reasoning.text or "\n\n".join(part.reasoning.summaries) for part in mine)
    assert "".join(part["text"] for part in parts if part.get("thought")) == thought
    calls = [part.tool_call for part in mine if part.HasField("tool_call")]
    read = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [(each.name, None if each.id_generated else each.id) for each in calls] == [
        (each["name"], each.get("id")) for each in read
    ]
    assert [json.loads(each.arguments or "{}") for each in calls] == [each.get("args", {}) for each in read]
    usage = response.usage
    if last.usage_metadata is not None:
        written = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
        assert (
            last.usage_metadata.prompt_token_count == usage.input_tokens + usage.cache_read_tokens + written
        )
        assert last.usage_metadata.candidates_token_count == usage.output_tokens
        assert (last.usage_metadata.thoughts_token_count or 0) == usage.reasoning_tokens
    assert last.model_version == response.provider_model


@pytest.mark.parametrize("exchange", [each for each in CONTENT if each.name not in REFUSED], ids=str)
def test_requests_of_gemini_callers_can_go_to_openai(exchange: Exchange) -> None:
    request = codec.decode_request(body_of(exchange)).request
    body = json.loads(openai.encode_request(request, "gpt", stream=False).body)
    calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    assert len(set(calls)) == len(calls)
    assert set(answered) <= set(calls)
    assert all(len(call_id) <= 40 for call_id in calls)
    for tool in body.get("tools", ()):
        assert tool["function"]["parameters"].get("type", "object") == "object"


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams_of_gemini_are_chunks_of_openai(exchange: Exchange) -> None:
    events = decoded(exchange.answer)
    asked = DecodedRequest(codec.decode_request(PLAIN).request, stream=True, include_usage=True)
    stream = openai.stream_encoder(asked).encode(events)
    reader = openai.stream_decoder()
    again = fold(reader.feed(stream) + reader.close())
    first = fold(events)
    parts, copies = first.candidates[0].parts, again.candidates[0].parts
    assert "".join(part.text for part in copies) == "".join(part.text for part in parts)
    calls = [part.tool_call for part in parts if part.HasField("tool_call")]
    copied = [part.tool_call for part in copies if part.HasField("tool_call")]
    assert [(c.id, c.name, c.arguments) for c in copied] == [(c.id, c.name, c.arguments) for c in calls]
    assert again.candidates[0].finish.reason == first.candidates[0].finish.reason
    assert again.usage.input_tokens + again.usage.cache_read_tokens == (
        first.usage.input_tokens + first.usage.cache_read_tokens + first.usage.tool_prompt_tokens
    )
    assert stream.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("exchange", [each for each in WHOLE if "error" not in each.name], ids=str)
def test_answers_of_gemini_are_completions_of_openai(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    again = openai.decode_response(openai.encode_response(response))
    text = "".join(part.text for part in response.candidates[0].parts)
    assert "".join(part.text for part in again.candidates[0].parts) == text
    urls = [
        citation.url for part in response.candidates[0].parts for citation in part.citations if citation.url
    ]
    assert [c.url for part in again.candidates[0].parts for c in part.citations] == urls


def test_several_candidates_cross() -> None:
    body = {
        "candidates": [
            {"content": {"parts": [{"text": word}], "role": "model"}, "finishReason": "STOP", "index": index}
            for index, word in enumerate(("one", "two", "three"))
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 3, "totalTokenCount": 4},
        "modelVersion": "m",
        "responseId": "r",
    }
    response = codec.decode_response(json.dumps(body).encode())
    assert [candidate.parts[0].text for candidate in response.candidates] == ["one", "two", "three"]
    assert json.loads(codec.encode_response(response)) == body
    crossed = openai.decode_response(openai.encode_response(response))
    assert [candidate.parts[0].text for candidate in crossed.candidates] == ["one", "two", "three"]
    back = json.loads(codec.encode_response(crossed))
    assert [each["content"]["parts"][0]["text"] for each in back["candidates"]] == ["one", "two", "three"]
    assert back["usageMetadata"] == body["usageMetadata"]
