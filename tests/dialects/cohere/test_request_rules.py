"""What goes to Cohere from elsewhere: what is mapped, and what is reported or refused."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_REFUSE, GenerateRequest
from services.dialects.cohere import CohereCodec
from services.runtime.errors import ParameterUnsupported, RequestInvalid
from tests.dialects.cohere.cases import ANSWERS, PNG

codec = CohereCodec()
ASK: dict[str, Any] = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
THINKER = "command-a-reasoning-08-2025"


def request(**members: Any) -> GenerateRequest:
    return ParseDict({"model": "x", "messages": [ASK], **members}, GenerateRequest())


def written(asked: GenerateRequest, model: str = THINKER) -> tuple[dict[str, Any], list[str]]:
    wire = codec.encode_request(asked, model, stream=False)
    body: dict[str, Any] = json.loads(wire.body)
    assert body["model"] == model
    return body, [warning.field for warning in wire.warnings]


def message(*parts: Any, role: str = "ROLE_USER") -> GenerateRequest:
    return request(messages=[{"role": role, "parts": list(parts)}])


def test_a_plain_question() -> None:
    assert written(request()) == ({"model": THINKER, "messages": [{"role": "user", "content": "Hi"}]}, [])


def test_knobs_are_brought_into_range_with_a_word_about_it() -> None:
    options = {
        "maxOutputTokens": 5,
        "temperature": 0.5,
        "topP": 1,
        "topK": 1000,
        "seed": 3,
        "frequencyPenalty": -1.5,
        "presencePenalty": 0.5,
        "stopSequences": list("abcdef"),
        "logprobs": True,
    }
    body, warnings = written(request(options=options))
    body = {name: value for name, value in body.items() if name not in {"model", "messages"}}
    assert body == {
        "max_tokens": 5,
        "temperature": 0.5,
        "p": 0.99,
        "k": 500,
        "seed": 3,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.5,
        "stop_sequences": list("abcde"),
        "logprobs": True,
    }
    expected = ["options.frequency_penalty", "options.top_p", "options.top_k", "options.stop_sequences"]
    assert warnings == expected


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"candidates": 2}, "options.candidates"),
        ({"topLogprobs": 2}, "options.top_logprobs"),
        ({"logitBias": {"1": 2}}, "options.logit_bias"),
        ({"verbosity": "low"}, "options.verbosity"),
        ({"serviceTier": "flex"}, "options.service_tier"),
        ({"endUserId": "u"}, "options.end_user_id"),
        ({"promptCacheKey": "k"}, "options.prompt_cache_key"),
        ({"modalities": ["text", "audio"]}, "options.modalities"),
    ],
)
def test_what_cohere_lacks_is_reported_or_refused(options: dict[str, Any], field: str) -> None:
    asked = request(options=options)
    assert written(asked)[1] == [field]
    asked.unsupported = UNSUPPORTED_POLICY_REFUSE
    with pytest.raises(ParameterUnsupported, match=field):
        written(asked)


def test_what_says_nothing_is_not_reported() -> None:
    assert written(request(options={"candidates": 1, "modalities": ["text"]}))[1] == []


@pytest.mark.parametrize(
    ("reasoning", "thinking", "warned"),
    [
        (
            {"mode": "REASONING_MODE_ENABLED", "budgetTokens": "99"},
            {"type": "enabled", "token_budget": 99},
            False,
        ),
        ({"mode": "REASONING_MODE_DISABLED"}, {"type": "disabled"}, False),
        ({"effort": "none"}, {"type": "disabled"}, False),
        ({"effort": "low"}, {"type": "enabled", "token_budget": 2048}, True),
        ({"effort": "high"}, {"type": "enabled"}, True),
        ({"mode": "REASONING_MODE_ADAPTIVE"}, {"type": "enabled"}, False),
    ],
)
def test_thinking(reasoning: dict[str, Any], thinking: dict[str, Any], warned: bool) -> None:
    asked = request(reasoning=reasoning)
    body, warnings = written(asked)
    assert body["thinking"] == thinking
    assert bool(warnings) == warned
    body, warnings = written(asked, "command-r-plus-08-2024")
    assert "thinking" not in body
    assert bool(warnings) == (thinking["type"] == "enabled")


FUNCTIONS = [
    {"function": {"name": name, "parametersJson": '{"type":"object"}', "strict": True}} for name in ("a", "b")
]


@pytest.mark.parametrize(
    ("choice", "word", "names"),
    [
        ("TOOL_CHOICE_MODE_AUTO", None, ["a", "b"]),
        ("TOOL_CHOICE_MODE_NONE", "NONE", ["a", "b"]),
        ("TOOL_CHOICE_MODE_REQUIRED", "REQUIRED", ["a", "b"]),
        ("TOOL_CHOICE_MODE_NAMED", "REQUIRED", ["b"]),
        ("TOOL_CHOICE_MODE_ALLOWED", None, ["b"]),
    ],
)
def test_tool_choice(choice: str, word: str | None, names: list[str]) -> None:
    narrowed = len(names) == 1
    body, warnings = written(
        request(tools=FUNCTIONS, toolChoice={"mode": choice, "names": ["b"] if narrowed else []})
    )
    assert body.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert warnings == (["tool_choice.names"] if narrowed else [])
    assert body["strict_tools"] is True


def test_nothing_is_forced_without_tools() -> None:
    assert "tool_choice" not in written(request(toolChoice={"mode": "TOOL_CHOICE_MODE_REQUIRED"}))[0]


def test_tools_of_other_kinds() -> None:
    tools = [
        *FUNCTIONS[:1],
        {"function": {"name": "bare"}, "cache": {}},
        {"custom": {"name": "patch", "description": "d", "formatJson": "{}"}},
        {"hosted": {"dialect": "openai", "type": "web_search", "json": "{}"}},
    ]
    body, warnings = written(request(tools=tools, toolChoice={"parallel": False}))
    bare, patch = body["tools"][1:]
    assert bare["function"]["parameters"] == {"type": "object", "properties": {}}
    assert patch["function"]["name"] == "patch__llmhub_text"
    assert warnings == [
        "tools[1].cache",
        "tools[2]",
        "tools[2].custom.format_json",
        "tools[3]",
        "tools",
        "tool_choice.parallel",
    ]
    assert "strict_tools" not in body


def test_calls_of_free_text_tools_come_back_as_text() -> None:
    call = {"toolCall": {"id": "1", "name": "patch", "arguments": 'a "b"', "kind": "TOOL_KIND_CUSTOM"}}
    body, _ = written(message(call, role="ROLE_ASSISTANT"))
    answer = {"id": "i", "finish_reason": "TOOL_CALL", "message": body["messages"][0]}
    found = codec.decode_response(json.dumps(answer).encode()).candidates[0].parts[0].tool_call
    assert (found.id, found.name, found.arguments) == ("1", "patch", 'a "b"')


def test_formats() -> None:
    schema = {"jsonSchema": {"name": "n", "schemaJson": '{"type":"object"}', "strict": True}}
    body, warnings = written(request(responseFormat=schema))
    assert body["response_format"] == {"type": "json_object", "json_schema": {"type": "object"}}
    assert warnings == []
    assert written(request(responseFormat={"json": True}))[0]["response_format"] == {"type": "json_object"}
    with pytest.raises(RequestInvalid):
        written(request(responseFormat={"jsonSchema": {"schemaJson": "{"}}))


def test_roles_and_names() -> None:
    body, warnings = written(
        request(
            messages=[
                {"role": "ROLE_DEVELOPER", "parts": [{"text": "Be brief"}]},
                {**ASK, "name": "Ada"},
                {"role": "ROLE_ASSISTANT", "parts": [{"text": "a"}, {"text": ""}, {"refusal": "No"}]},
            ]
        )
    )
    assert [each["role"] for each in body["messages"]] == ["system", "user", "assistant"]
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "No"}]
    assert body["messages"][2]["content"] == texts
    assert warnings == ["messages[1].name", "messages[2].parts[2]"]


def test_pictures() -> None:
    body, warnings = written(
        message(
            {"text": "See"},
            {"media": {"kind": "MEDIA_KIND_IMAGE", "data": PNG}},
            {"media": {"kind": "MEDIA_KIND_IMAGE", "url": "https://a.b/c", "detail": "low"}},
            {"media": {"kind": "MEDIA_KIND_IMAGE", "fileId": "f"}},
            {"media": {"kind": "MEDIA_KIND_AUDIO", "data": "AAAA"}},
        )
    )
    content = body["messages"][0]["content"]
    assert content[1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert content[2] == {"type": "image_url", "image_url": {"url": "https://a.b/c", "detail": "low"}}
    assert len(content) == 3
    assert warnings == ["messages[0].parts[3]", "messages[0].parts[4]"]


DOCUMENT = {"media": {"kind": "MEDIA_KIND_DOCUMENT", "text": "facts", "title": "T", "context": "c"}}


def test_documents_of_users_go_to_the_request_and_citations_name_their_place() -> None:
    plain = {
        "media": {"kind": "MEDIA_KIND_DOCUMENT", "data": "aGk=", "mimeType": "text/plain", "fileName": "f"}
    }
    pdf = {"media": {"kind": "MEDIA_KIND_DOCUMENT", "data": "aGk=", "mimeType": "application/pdf"}}
    body, warnings = written(message({"text": "Who?"}, DOCUMENT, plain, pdf))
    assert body["documents"] == [
        {"id": "doc:0", "data": {"text": "facts", "title": "T", "context": "c"}},
        {"id": "doc:1", "data": {"text": "hi", "title": "f"}},
    ]
    assert body["messages"] == [{"role": "user", "content": "Who?"}]
    assert warnings == [f"messages[0].parts[{number}]" for number in (1, 2, 3)]
    source = {"type": "document", "id": "doc:1", "document": {"title": "f", "url": "https://a.b"}}
    cited = {"start": 0, "end": 1, "text": "h", "sources": [{"type": "tool"}, source]}
    answer = {
        "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}], "citations": [cited]}
    }
    (found,) = codec.decode_response(json.dumps(answer).encode()).candidates[0].parts[0].citations
    assert (found.document_index, found.title, found.url) == (1, "f", "https://a.b")


def test_a_document_without_a_question_is_text() -> None:
    body, warnings = written(message(DOCUMENT))
    assert body["messages"] == [{"role": "user", "content": "T\n\nfacts"}]
    assert warnings == ["messages[0].parts[0]"]


def test_results_of_tools() -> None:
    asked = request(
        messages=[
            {
                "role": "ROLE_TOOL",
                "parts": [
                    {"toolResult": {"callId": "1", "parts": [{"text": "two"}], "isError": True}},
                    {"toolResult": {"callId": "2", "parts": [{"text": "x"}, DOCUMENT]}},
                    {"toolResult": {"callId": "3"}},
                ],
            }
        ]
    )
    body, warnings = written(asked)
    first, second, third = body["messages"]
    assert first == {"role": "tool", "tool_call_id": "1", "content": "two"}
    assert second["content"][1]["document"] == {"data": {"text": "facts", "title": "T", "context": "c"}}
    assert third["content"] == ""
    assert warnings == ["messages[0].tool_result.is_error"]


def test_reasoning_goes_back_only_where_it_belongs() -> None:
    free = {"reasoning": {"text": "hm"}}
    bound = {
        "reasoning": {"text": "hm"},
        "state": {"data": "AA==", "dialect": "anthropic", "kind": "signature"},
    }
    body, warnings = written(message(free, {"text": "x"}, role="ROLE_ASSISTANT"))
    assert body["messages"][0]["content"][0] == {"type": "thinking", "thinking": "hm"}
    assert warnings == []
    assert written(message(free, role="ROLE_ASSISTANT"), "command-r")[0]["messages"] == []
    body, warnings = written(message(bound, {"text": "x"}, role="ROLE_ASSISTANT"))
    assert body["messages"][0]["content"] == "x"
    assert warnings == ["messages[0].parts[0].state", "messages[0].parts[0]"]


def test_what_other_dialects_say_in_their_own_words_is_reported() -> None:
    asked = request(
        extensions={"openai": '{"store":true}', "cohere": '{"safety_mode":"OFF"}'}, metadata={"a": "b"}
    )
    asked.messages[0].parts[0].extensions["gemini"] = '{"thought":true}'
    opaque = asked.messages.add(role="ROLE_ASSISTANT").parts.add().opaque
    opaque.dialect, opaque.type, opaque.json = "anthropic", "server_tool_use", "{}"
    body, warnings = written(asked)
    assert body["safety_mode"] == "OFF"
    assert warnings == [
        "extensions[openai]",
        "messages[0].parts[0].extensions[gemini]",
        "messages[1].parts[0]",
        "metadata",
    ]


def test_faults_are_named() -> None:
    body = {
        "messages": [
            {"role": "user", "content": 1},
            {"role": "x"},
            3,
            {"role": "assistant", "tool_calls": [1]},
        ],
        "temperature": "hot",
        "tool_choice": "maybe",
        "tools": [1, {"type": "function", "function": {}}],
        "stop_sequences": [1],
        "response_format": 1,
        "thinking": 1,
    }
    with pytest.raises(RequestInvalid) as caught:
        codec.decode_request(json.dumps(body).encode())
    assert {each.field for each in caught.value.violations} == {
        "model",
        "messages[0].content",
        "messages[1].role",
        "messages[2]",
        "messages[3].tool_calls",
        "tools[0]",
        "tools[1].function.name",
        "tool_choice",
        "temperature",
        "stop_sequences",
        "response_format",
        "thinking",
    }


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model":"m"}', b'{"model":"m","messages":[]}', b"\xff", b"[" * 9999]
)
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.decode_request(body)


def test_citations_belong_to_the_parts_that_they_quote() -> None:
    body = json.dumps(ANSWERS["citations out of order"]).encode()
    parts = codec.decode_response(body).candidates[0].parts
    assert [[each.cited_text for each in part.citations] for part in parts] == [
        ["plan"],
        ["first"],
        ["second"],
        ["third"],
    ]
