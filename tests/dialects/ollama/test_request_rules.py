"""What goes to Ollama from elsewhere: what is mapped, and what is reported or refused."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_REFUSE, GenerateRequest
from llmhub.embedding.v1.embedding_service_pb2 import EMBEDDING_ENCODING_BYTES, EmbedRequest
from services.dialects.ollama import OllamaCodec
from services.runtime.errors import ParameterUnsupported, RequestInvalid
from tests.dialects.ollama.cases import PNG

codec = OllamaCodec()
ASK: dict[str, Any] = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}


def request(**members: Any) -> GenerateRequest:
    return ParseDict({"model": "x", "messages": [ASK], **members}, GenerateRequest())


def written(
    asked: GenerateRequest, model: str = "llama3", *, stream: bool = False
) -> tuple[dict[str, Any], list[str]]:
    wire = codec.encode_request(asked, model, stream=stream)
    body: dict[str, Any] = json.loads(wire.body)
    assert body["model"] == model
    assert body["stream"] == stream
    return body, [warning.field for warning in wire.warnings]


def message(*parts: Any, role: str = "ROLE_USER") -> GenerateRequest:
    return request(messages=[{"role": role, "parts": list(parts)}])


def test_a_plain_question_says_whether_it_wants_a_stream() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert written(request()) == ({"model": "llama3", "messages": messages, "stream": False}, [])
    assert written(request(), stream=True)[1] == []


def test_knobs() -> None:
    options = {
        "maxOutputTokens": 5,
        "temperature": 0.5,
        "topP": 1,
        "topK": 10,
        "seed": 3,
        "frequencyPenalty": -1.5,
        "presencePenalty": 0.5,
        "stopSequences": ["a"],
        "logprobs": True,
        "topLogprobs": 2,
    }
    asked = request(options=options, extensions={"ollama": '{"options":{"num_ctx":4096},"keep_alive":"1h"}'})
    body, warnings = written(asked)
    assert body["options"] == {
        "num_predict": 5,
        "temperature": 0.5,
        "top_p": 1,
        "top_k": 10,
        "seed": 3,
        "frequency_penalty": -1.5,
        "presence_penalty": 0.5,
        "stop": ["a"],
        "num_ctx": 4096,
    }
    assert (body["logprobs"], body["top_logprobs"], body["keep_alive"]) == (True, 2, "1h")
    assert warnings == []


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"options": {"candidates": 2}}, "options.candidates"),
        ({"options": {"logitBias": {"1": 2}}}, "options.logit_bias"),
        ({"options": {"verbosity": "low"}}, "options.verbosity"),
        ({"options": {"serviceTier": "flex"}}, "options.service_tier"),
        ({"options": {"endUserId": "u"}}, "options.end_user_id"),
        ({"options": {"promptCacheKey": "k"}}, "options.prompt_cache_key"),
        ({"options": {"modalities": ["audio"]}}, "options.modalities"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"reasoning": {"effort": "high"}}, "reasoning"),
        ({"extensions": {"openai": '{"store":true}'}}, "extensions[openai]"),
        ({"toolChoice": {"mode": "TOOL_CHOICE_MODE_REQUIRED"}}, "tool_choice.mode"),
        ({"toolChoice": {"parallel": False}}, "tool_choice.parallel"),
    ],
)
def test_what_ollama_lacks_is_reported_or_refused(members: dict[str, Any], field: str) -> None:
    asked = request(**members)
    assert written(asked)[1] == [field]
    asked.unsupported = UNSUPPORTED_POLICY_REFUSE
    with pytest.raises(ParameterUnsupported):
        written(asked)


@pytest.mark.parametrize(
    ("model", "reasoning", "think", "warnings"),
    [
        ("gpt-oss:20b", {"effort": "low"}, "low", []),
        ("gpt-oss:20b", {"effort": "minimal"}, "low", ["reasoning.effort"]),
        ("gpt-oss:20b", {"effort": "xhigh"}, "high", ["reasoning.effort"]),
        ("gpt-oss:20b", {"mode": "REASONING_MODE_ENABLED"}, True, []),
        ("qwen3:8b", {"effort": "low"}, True, ["reasoning.effort"]),
        ("qwen3:8b", {"mode": "REASONING_MODE_ADAPTIVE"}, True, []),
        ("deepseek-r1", {"budgetTokens": "9"}, True, ["reasoning.budget_tokens"]),
        ("llama3", {"mode": "REASONING_MODE_DISABLED"}, False, []),
        ("llama3", {"effort": "none"}, False, []),
        ("qwen3", {"effort": "none", "display": "auto"}, False, ["reasoning.display"]),
    ],
)
def test_thinking(model: str, reasoning: dict[str, Any], think: Any, warnings: list[str]) -> None:
    body, told = written(request(reasoning=reasoning), model)
    assert body["think"] is think if isinstance(think, bool) else body["think"] == think
    assert told == warnings


FUNCTIONS = [{"function": {"name": name, "parametersJson": '{"type":"object"}'}} for name in ("a", "b")]


@pytest.mark.parametrize(
    ("choice", "names", "warnings"),
    [
        ("TOOL_CHOICE_MODE_AUTO", ["a", "b"], []),
        ("TOOL_CHOICE_MODE_NONE", [], ["tool_choice"]),
        ("TOOL_CHOICE_MODE_REQUIRED", ["a", "b"], ["tool_choice.mode"]),
        ("TOOL_CHOICE_MODE_NAMED", ["b"], ["tool_choice.mode", "tool_choice.names"]),
        ("TOOL_CHOICE_MODE_ALLOWED", ["b"], ["tool_choice.names"]),
    ],
)
def test_tool_choice(choice: str, names: list[str], warnings: list[str]) -> None:
    chosen = ["b"] if len(names) == 1 else []
    body, told = written(request(tools=FUNCTIONS, toolChoice={"mode": choice, "names": chosen}))
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == names
    assert told == warnings


def test_formats() -> None:
    schema = {"jsonSchema": {"name": "n", "schemaJson": '{"type":"object"}', "description": "d"}}
    body, warnings = written(request(responseFormat=schema))
    assert (body["format"], warnings) == ({"type": "object"}, ["response_format.description"])
    assert written(request(responseFormat={"json": True}))[0]["format"] == "json"
    assert written(request(responseFormat={"jsonSchema": {"name": "n"}}))[0]["format"] == "json"
    assert "format" not in written(request(responseFormat={"text": True}))[0]
    with pytest.raises(RequestInvalid):
        written(request(responseFormat={"jsonSchema": {"schemaJson": "{"}}))


def test_texts_and_pictures_of_a_message() -> None:
    image = {"media": {"kind": "MEDIA_KIND_IMAGE", "data": PNG, "detail": "low"}}
    body, warnings = written(message({"text": "See"}, image, role="ROLE_DEVELOPER"))
    assert body["messages"] == [{"role": "system", "content": "See", "images": [PNG]}]
    assert warnings == ["messages[0].parts[1].media.detail"]
    body, warnings = written(message({"text": "a"}, image, {"text": "b"}))
    assert body["messages"][0]["content"] == "a\n\nb"
    assert warnings[-1] == "messages[0]"
    body, warnings = written(
        message({"text": "a"}, {"media": {"kind": "MEDIA_KIND_IMAGE", "url": "https://a.b"}})
    )
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert warnings == ["messages[0].parts[1]"]


def test_documents_are_text_or_reported() -> None:
    text = {"media": {"kind": "MEDIA_KIND_DOCUMENT", "text": "facts", "title": "T"}}
    plain = {"media": {"kind": "MEDIA_KIND_DOCUMENT", "data": "aGk=", "mimeType": "text/plain"}}
    parts = {"media": {"kind": "MEDIA_KIND_DOCUMENT", "parts": {"parts": [{"text": "p"}]}}}
    pdf = {"media": {"kind": "MEDIA_KIND_DOCUMENT", "data": "aGk=", "mimeType": "application/pdf"}}
    body, warnings = written(message(text, plain, parts, pdf))
    assert body["messages"][0]["content"] == "T\n\nfacts\n\nhi\n\np"
    assert warnings == [*(f"messages[0].parts[{number}]" for number in range(4)), "messages[0]"]


def test_calls_and_results() -> None:
    call = {"id": "c1", "name": "add", "kind": "TOOL_KIND_FUNCTION"}
    asked = request(
        messages=[
            {
                "role": "ROLE_ASSISTANT",
                "name": "Bob",
                "parts": [
                    {"toolCall": {**call, "arguments": '{"a":1.0}'}},
                    {"toolCall": {**call, "id": "c2", "arguments": ""}},
                    {"toolCall": {**call, "id": "c3", "arguments": "{broken"}},
                    {"toolCall": {**call, "id": "made", "idGenerated": True, "arguments": "[1]"}},
                ],
            },
            {
                "role": "ROLE_TOOL",
                "parts": [
                    {"toolResult": {"callId": "c1", "parts": [{"text": "2"}], "isError": True}},
                    {"toolResult": {"callId": "?", "name": "sub"}},
                ],
            },
        ]
    )
    body, warnings = written(asked)
    turn, first, second = body["messages"]
    assert [each.get("id") for each in turn["tool_calls"]] == ["c1", "c2", "c3", None]
    assert [each["function"]["arguments"] for each in turn["tool_calls"]] == [
        {"a": 1.0},
        {},
        {"input": "{broken"},
        {"input": "[1]"},
    ]
    assert first == {"role": "tool", "tool_name": "add", "tool_call_id": "c1", "content": "2"}
    assert second == {"role": "tool", "tool_name": "sub", "tool_call_id": "?", "content": ""}
    assert warnings == [
        "messages[0].name",
        "messages[0].parts[2].tool_call.arguments",
        "messages[0].parts[3].tool_call.arguments",
        "messages[1].tool_result.is_error",
    ]


def test_results_without_ids_answer_the_calls_by_name_and_order() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {}}}

    body = {
        "model": "m",
        "messages": [
            {"role": "assistant", "tool_calls": [call("a"), call("b"), call("a"), {"id": "x", **call("c")}]},
            {"role": "tool", "tool_name": "b", "content": "1"},
            {"role": "tool", "tool_call_id": "x", "content": "2"},
            {"role": "tool", "content": "3"},
            {"role": "tool", "tool_name": "a", "content": "4"},
            {"role": "tool", "content": "5"},
        ],
    }
    read = codec.decode_request(json.dumps(body).encode()).request
    results = [each.parts[0].tool_result for each in read.messages[1:]]
    assert [(each.call_id, each.name) for each in results] == [
        ("call_0_1", "b"),
        ("x", "c"),
        ("call_0_0", "a"),
        ("call_0_2", "a"),
        ("", ""),
    ]
    assert [part.tool_call.id_generated for part in read.messages[0].parts] == [True, True, True, False]


def test_reasoning_goes_back_only_where_it_belongs() -> None:
    free = {"reasoning": {"text": "hm", "summaries": ["s"]}}
    bound = {
        "reasoning": {"text": "hm"},
        "state": {"data": "AA==", "dialect": "anthropic", "kind": "signature"},
    }
    body, warnings = written(message(free, {"text": "x"}, role="ROLE_ASSISTANT"))
    assert body["messages"][0] == {"role": "assistant", "content": "x", "thinking": "hm"}
    assert warnings == ["messages[0].parts[0].reasoning.summaries"]
    body, warnings = written(message(bound, role="ROLE_ASSISTANT"))
    assert body["messages"] == []
    assert warnings == ["messages[0].parts[0].state", "messages[0].parts[0]"]


def test_faults_are_named() -> None:
    body = {
        "messages": [{"role": "x"}, 3, {"role": "user", "content": 1}],
        "options": {"temperature": "hot", "seed": 1.5},
        "tools": 1,
        "format": "xml",
        "think": 3,
        "stream": "yes",
    }
    with pytest.raises(RequestInvalid) as caught:
        codec.decode_request(json.dumps(body).encode())
    assert {each.field for each in caught.value.violations} == {
        "model",
        "stream",
        "messages[0].role",
        "messages[1]",
        "messages[2].content",
        "options.temperature",
        "options.seed",
        "tools",
        "format",
        "think",
    }


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":""}', b"\xff", b"[" * 9999])
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.decode_request(body)
    with pytest.raises(RequestInvalid):
        codec.decode_embed_request(body)


def test_embeddings_from_elsewhere() -> None:
    asked = EmbedRequest(model="x", dimensions=64, encoding=EMBEDDING_ENCODING_BYTES, end_user_id="u")
    asked.inputs.add().text = "a"
    wire = codec.encode_embed_request(asked, "all-minilm")
    assert wire.path == "/api/embed"
    assert json.loads(wire.body) == {"model": "all-minilm", "input": ["a"], "dimensions": 64}
    assert [warning.field for warning in wire.warnings] == ["encoding", "end_user_id"]
    asked.inputs.add().tokens.ids.append(1)
    with pytest.raises(ParameterUnsupported):
        codec.encode_embed_request(asked, "all-minilm")
