"""Requests in Gemini's own words, odd ones too; cases of ours."""

import json
from typing import Any

import pytest
from google.genai import types

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import TOOL_CHOICE_MODE_NAMED
from services.dialects.fold import fold
from services.dialects.gemini import GeminiCodec
from services.runtime.errors import RequestInvalid
from tests.dialects.gemini.official import asked
from tests.dialects.gemini.recorded import decoded

codec = GeminiCodec()
PNG = b"\x89PNG\r\n\x1a\n0000"


def written(request: GenerateRequest) -> tuple[dict[str, Any], list[str]]:
    """The body, and the fields of which something was lost."""
    wire = codec.encode_request(request, "gemini-3-pro", stream=False)
    body: dict[str, Any] = json.loads(wire.body)
    return body, [warning.field for warning in wire.warnings]


def read(body: dict[str, Any]) -> GenerateRequest:
    return codec.decode_request(json.dumps(body).encode()).request


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "contents"),
        (b'{"contents":[]}', "contents"),
        (b'{"contents":3}', "contents"),
        (b'{"contents":[3]}', "contents"),
        (b'{"contents":[{"parts":3}]}', "contents[0].parts"),
        (b'{"contents":[{"role":"system","parts":[]}]}', "contents[0].role"),
        (b'{"contents":[{"parts":[{"text":3}]}]}', "contents[0].parts[0].text"),
        (b'{"contents":[{"parts":[]}],"tools":{}}', "tools"),
        (
            b'{"contents":[{"parts":[]}],"tools":[{"functionDeclarations":[{}]}]}',
            "tools[0].functionDeclarations[0].name",
        ),
        (b'{"contents":[{"parts":[]}],"systemInstruction":"x"}', "systemInstruction"),
        (b'{"contents":[{"parts":[]}],"generationConfig":[]}', "generationConfig"),
        (
            b'{"contents":[{"parts":[]}],"generationConfig":{"temperature":"hot"}}',
            "generationConfig.temperature",
        ),
        (
            b'{"contents":[{"parts":[]}],"generationConfig":{"stopSequences":"x"}}',
            "generationConfig.stopSequences",
        ),
        (b"[]", ""),
        (b'{"contents":' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
    ],
)
def test_bodies_that_are_no_requests(body: bytes, field: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        codec.decode_request(body)
    assert caught.value.violations[0].field == field


def test_what_the_sdk_writes_comes_back_as_it_was() -> None:
    """Every feature of a request at once, in the SDK's own words."""
    config = types.GenerateContentConfig(
        system_instruction="be brief",
        temperature=0.5,
        top_k=3,
        candidate_count=2,
        stop_sequences=["a"],
        response_modalities=["TEXT"],
        response_mime_type="application/json",
        response_schema={"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=9),
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="OFF")],
        tools=[
            types.Tool(
                function_declarations=[types.FunctionDeclaration(name="f", parameters_json_schema={"a": 1})]
            ),
            types.Tool(google_search=types.GoogleSearch(), code_execution=types.ToolCodeExecution()),
        ],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["f"])
        ),
        cached_content="cachedContents/x",
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents = [
        types.Content(
            role="user", parts=[types.Part.from_bytes(data=PNG + b"\xff\xfe\xfd", mime_type="image/png")]
        ),
        types.Content(role="model", parts=[types.Part.from_function_call(name="f", args={"a": [1]})]),
        types.Content(role="user", parts=[types.Part.from_function_response(name="f", response={"x": 1})]),
        types.Content(role="user", parts=[types.Part.from_uri(file_uri="gs://b/o", mime_type="video/mp4")]),
    ]
    body = json.loads(asked(contents=contents, config=config))
    request = read(body)
    assert written(request) == (body, [])
    assert sorted(str(tool.WhichOneof("kind")) for tool in request.tools) == ["function", "hosted", "hosted"]
    assert json.loads(request.response_format.json_schema.schema_json) == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}},
    }
    assert request.messages[1].parts[0].media.data == PNG + b"\xff\xfe\xfd"


def test_either_spelling_is_read_and_kept() -> None:
    body = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
                    {"file_data": {"file_uri": "gs://b/o", "mime_type": "text/plain"}},
                    {"text": "x", "thought_signature": "abc="},
                    {"executable_code": {"code": "1"}, "thought_signature": "abc="},
                ],
            }
        ],
        "generation_config": {
            "max_output_tokens": 5,
            "top_k": 2,
            "thinking_config": {"thinking_budget": 7, "include_thoughts": False},
            "response_mime_type": "application/json",
            "response_json_schema": {"type": "object"},
            "speech_config": {"voice": "x"},
        },
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "tools": [
            {"function_declarations": [{"name": "f", "parameters_json_schema": {}}]},
            {"google_search": {}},
        ],
        "cached_content": "c",
    }
    request = read(body)
    assert (request.options.max_output_tokens, request.options.top_k) == (5, 2)
    assert request.reasoning.budget_tokens == 7
    assert request.response_format.json_schema.schema_json == '{"type": "object"}'
    assert request.tool_choice.mode == TOOL_CHOICE_MODE_NAMED
    assert [part.WhichOneof("kind") for part in request.messages[1].parts] == [
        "media",
        "media",
        "text",
        "opaque",
    ]
    assert written(request) == (body, [])


def answer_with_calls(response_id: str) -> bytes:
    parts = [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "f", "args": {}}}]
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
    return json.dumps({"candidates": [candidate], "responseId": response_id}).encode()


def test_ids_made_for_calls_tell_answers_apart_and_are_the_same_in_a_stream() -> None:
    def ids(body: bytes) -> list[str]:
        return [part.tool_call.id for part in codec.decode_response(body).candidates[0].parts]

    first, second = ids(answer_with_calls("r1")), ids(answer_with_calls("r2"))
    assert len({*first, *second}) == 4
    events = decoded(b"data: %b\r\n\r\n" % answer_with_calls("r1"))
    assert [part.tool_call.id for part in fold(events).candidates[0].parts] == first
    assert "call_lh" not in codec.encode_response(codec.decode_response(answer_with_calls("r1"))).decode()


def test_results_without_ids_answer_the_calls_that_are_still_open() -> None:
    calls = [{"functionCall": {"name": "f", "id": call_id}} for call_id in ("a", "b", "c")]
    results = [{"functionResponse": {"name": "f", "id": "a", "response": {}}}] + [
        {"functionResponse": {"name": "f", "response": {}}} for _ in range(3)
    ]
    body = {"contents": [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]}
    request = read(body)
    answered = [part.tool_result.call_id for part in request.messages[1].parts]
    assert answered[:3] == ["a", "b", "c"]
    assert answered[3] not in {"a", "b", "c"}
    assert written(request) == (body, [])


@pytest.mark.parametrize("data", ["ab-+", "a-==", "AAA", "A A=", "-_-_", "+/+/"])
def test_bytes_in_any_spelling_come_back(data: str) -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}]
    }
    assert written(read(body)) == (body, [])


def test_objects_of_tools_stay_apart() -> None:
    tools = [{"functionDeclarations": [{"name": name}]} for name in "fg"]
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "tools": tools}
    assert written(read(body)) == (body, [])


def test_a_schema_that_was_changed_on_the_way_is_the_one_that_is_sent() -> None:
    declaration = {"name": "f", "parameters": {"type": "OBJECT"}}
    config = {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}
    body = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "tools": [{"functionDeclarations": [declaration]}],
        "generationConfig": config,
    }
    request = read(body)
    request.tools[0].function.parameters_json = '{"type":"object","title":"new"}'
    request.response_format.json_schema.schema_json = '{"type":"number"}'
    sent, _ = written(request)
    assert sent["tools"][0]["functionDeclarations"] == [
        {"name": "f", "parametersJsonSchema": {"type": "object", "title": "new"}}
    ]
    assert sent["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "number"},
    }
