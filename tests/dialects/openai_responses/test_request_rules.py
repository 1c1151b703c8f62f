"""What a request may be, what is lost of it, and what a provider is asked that the caller did not say."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, UnsupportedPolicy
from llmhub.types.v1.content_pb2 import MediaKind, Message, OpaqueState, Part, Role, ToolKind
from llmhub.types.v1.generation_pb2 import ReasoningMode, ToolChoiceMode, WarningKind
from services.dialects.codec import WireRequest
from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec
from services.runtime.errors import ParameterUnsupported, RequestInvalid

codec = ResponsesCodec()


def body_of(written: WireRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written.body)
    return found


def asked(*messages: Message, **members: Any) -> GenerateRequest:
    return GenerateRequest(
        model="m", messages=messages or [Message(role=Role.ROLE_USER, parts=[Part(text="?")])], **members
    )


def said(role: Role.ValueType, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def media(kind: MediaKind.ValueType, **members: Any) -> Part:
    part = Part()
    part.media.kind = kind
    for name, value in members.items():
        setattr(part.media, name, value)
    return part


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model"),
    ({"model": None}, "model"),
    ({"input": None}, "input"),
    ({"input": 5}, "input"),
    ({"input": {}}, "input"),
    ({"input": ["x"]}, "input[0]"),
    ({"input": [{}]}, "input[0]"),
    ({"input": [{"type": 5}]}, "input[0].type"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": ["user"], "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": {}}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": [1]}]}, "input[0].output[0]"),
    ({"instructions": 5}, "instructions"),
    ({"tools": {}}, "tools"),
    ({"tools": ["x"]}, "tools[0]"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"type": "function", "name": "f", "strict": "yes"}]}, "tools[0].strict"),
    ({"tools": [{"name": "f"}]}, "tools[0].type"),
    ({"tool_choice": 5}, "tool_choice"),
    ({"tool_choice": "perhaps"}, "tool_choice"),
    ({"text": []}, "text"),
    ({"reasoning": "high"}, "reasoning"),
    ({"temperature": "warm"}, "temperature"),
    ({"max_output_tokens": 1.5}, "max_output_tokens"),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"stream": "yes"}, "stream"),
]


@pytest.mark.parametrize(("members", "field"), FAULTS, ids=str)
def test_a_fault_is_named(members: dict[str, Any], field: str) -> None:
    body = json.dumps({"model": "m", "input": "?", **members}).encode()
    with pytest.raises(RequestInvalid) as raised:
        codec.decode_request(body)
    assert [each.field for each in raised.value.violations] == [field]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"input":"\\ud800","model":"m"}', b"[" * 5000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.decode_request(body)


def test_what_an_input_means() -> None:
    body = {
        "model": "m",
        "instructions": "be brief",
        "input": [
            {"role": "developer", "content": "d"},
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "g", "input": "free"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
            {"type": "computer_call_output", "call_id": "d", "output": {}},
            {"type": "item_reference", "id": "msg_9"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["message.output_text.logprobs"],
        "parallel_tool_calls": False,
        "safety_identifier": "u",
    }
    request = codec.decode_request(json.dumps(body).encode()).request
    assert [message.role for message in request.messages] == [
        Role.ROLE_SYSTEM,
        Role.ROLE_DEVELOPER,
        Role.ROLE_USER,
        Role.ROLE_ASSISTANT,
        Role.ROLE_TOOL,
        Role.ROLE_USER,
        Role.ROLE_ASSISTANT,
    ]
    call = request.messages[3].parts[0].tool_call
    assert (call.id, call.item_id, call.kind) == ("c", "ctc", ToolKind.TOOL_KIND_CUSTOM)
    assert request.messages[4].parts[0].tool_result.parts[0].text == "done"
    assert request.messages[5].parts[0].opaque.type == "computer_call_output"
    assert request.tools[1].hosted.type == "web_search"
    assert request.tool_choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_NAMED
    assert list(request.tool_choice.names) == ["f"]
    assert request.tool_choice.parallel is False
    assert (request.reasoning.effort, request.reasoning.display) == ("low", "auto")
    assert request.options.logprobs
    assert request.options.end_user_id == "u"


def test_knobs_that_are_not_there_are_reported() -> None:
    request = asked(
        options={
            "stop_sequences": ["x"],
            "seed": 1,
            "top_k": 2,
            "logit_bias": {"1": 1.0},
            "candidates": 2,
            "modalities": ["audio"],
            "frequency_penalty": 1.0,
            "presence_penalty": 1.0,
            "service_tier": "on_demand",
            "temperature": 0.5,
            "top_p": 1.0,
            "max_output_tokens": 5,
            "top_logprobs": 2,
            "logprobs": True,
            "verbosity": "low",
            "end_user_id": "u",
            "prompt_cache_key": "k",
        }
    )
    written = codec.encode_request(request, "gpt-4o", stream=True)
    assert sorted(each.field for each in written.warnings) == [
        "options.candidates",
        "options.frequency_penalty",
        "options.logit_bias",
        "options.modalities",
        "options.presence_penalty",
        "options.seed",
        "options.service_tier",
        "options.stop_sequences",
        "options.top_k",
    ]
    assert body_of(written) == {
        "model": "gpt-4o",
        "input": [{"type": "message", "role": "user", "content": "?"}],
        "temperature": 0.5,
        "top_p": 1,
        "max_output_tokens": 5,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "text": {"verbosity": "low"},
        "safety_identifier": "u",
        "prompt_cache_key": "k",
        "store": False,
        "stream": True,
    }
    request.unsupported = UnsupportedPolicy.UNSUPPORTED_POLICY_REFUSE
    with pytest.raises(ParameterUnsupported):
        codec.encode_request(request, "gpt-4o", stream=False)


def test_one_answer_is_no_loss() -> None:
    written = codec.encode_request(asked(options={"candidates": 1}), "gpt-4o", stream=False)
    assert written.warnings == ()


@pytest.mark.parametrize(
    ("model", "reasoning", "sent", "fields"),
    [
        ("gpt-5", {"effort": "high"}, {"effort": "high"}, []),
        ("gpt-5", {"budget_tokens": 1000}, {"effort": "low"}, ["reasoning.budget_tokens"]),
        ("gpt-5", {"mode": ReasoningMode.REASONING_MODE_DISABLED}, None, ["reasoning.mode"]),
        ("gpt-5", {"display": "summarized"}, {"summary": "auto"}, []),
        ("gpt-4o", {"effort": "high"}, None, ["reasoning"]),
        ("gpt-4o", {"effort": "none"}, None, []),
        ("grok-4", {"effort": "low", "display": "omitted"}, {"effort": "low"}, []),
    ],
)
def test_reasoning(model: str, reasoning: dict[str, Any], sent: Any, fields: list[str]) -> None:
    written = codec.encode_request(asked(reasoning=reasoning), model, stream=False)
    body = body_of(written)
    assert body.get("reasoning") == sent
    assert [each.field for each in written.warnings] == fields
    # State must come with the answer of a model that has some, since nothing is stored.
    assert body["store"] is False
    assert ("include" in body) == (model == "gpt-5" or sent is not None)


def test_tools_of_other_dialects() -> None:
    request = asked()
    request.tools.add().function.name = "f"
    request.tools.add().custom.name = "g"
    request.tools[1].custom.format_json = '{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}'
    request.tools[1].cache.ttl = "5m"
    hosted = request.tools.add().hosted
    hosted.dialect, hosted.type, hosted.json = "anthropic", "bash", "{}"
    request.tool_choice.mode = ToolChoiceMode.TOOL_CHOICE_MODE_ALLOWED
    request.tool_choice.names.extend(["f", "g"])
    written = codec.encode_request(request, "gpt-4o", stream=False)
    body = body_of(written)
    assert body["tools"] == [
        {
            "type": "function",
            "name": "f",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {
            "type": "custom",
            "name": "g",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        },
    ]
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}],
    }
    assert [each.field for each in written.warnings] == ["tools[1].cache", "tools[2]"]


def test_content_that_has_no_form_here() -> None:
    document = media(MediaKind.MEDIA_KIND_DOCUMENT, text="words", title="T", context="c", citations=True)
    parts = media(MediaKind.MEDIA_KIND_DOCUMENT)
    parts.media.parts.parts.add().text = "inner"
    request = asked(
        said(
            Role.ROLE_USER,
            media(MediaKind.MEDIA_KIND_IMAGE, url="https://x.test/a.png"),
            media(MediaKind.MEDIA_KIND_AUDIO, data=b"x"),
            media(MediaKind.MEDIA_KIND_VIDEO, url="https://x.test/v"),
            document,
            parts,
            media(MediaKind.MEDIA_KIND_DOCUMENT, data=b"%PDF", mime_type="application/pdf"),
            media(MediaKind.MEDIA_KIND_DOCUMENT, data=b"a,b", mime_type="text/csv", file_name="a.csv"),
            media(MediaKind.MEDIA_KIND_DOCUMENT, url="https://x.test/a.pdf"),
            Part(text=""),
        )
    )
    written = codec.encode_request(request, "gpt-4o", stream=False)
    (message,) = body_of(written)["input"]
    assert message["content"] == [
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
        {"type": "input_text", "text": "T\n\nwords"},
        {"type": "input_text", "text": "inner"},
        {
            "type": "input_file",
            "file_data": "data:application/pdf;base64,JVBERg==",
            "filename": "document.pdf",
        },
        {"type": "input_text", "text": "a.csv\n\na,b"},
        {"type": "input_file", "file_url": "https://x.test/a.pdf"},
    ]
    kinds = [(each.kind, each.field.rpartition("messages[0].")[2]) for each in written.warnings]
    dropped, emulated = WarningKind.WARNING_KIND_DROPPED, WarningKind.WARNING_KIND_EMULATED
    assert [kind for kind, _ in kinds] == [dropped, dropped, dropped, dropped, emulated, emulated, emulated]


def test_a_turn_of_another_dialect() -> None:
    call = Part()
    call.tool_call.id, call.tool_call.name, call.tool_call.arguments = "c" * 65, "f", "{}"
    call.state.CopyFrom(OpaqueState(data=b"s", dialect="gemini", kind="thought_signature"))
    thought = Part()
    thought.reasoning.text = "hm"
    own = Part()
    own.reasoning.summaries.append("s")
    own.reasoning.id = "rs_1"
    own.state.CopyFrom(OpaqueState(data=b"e", dialect="openai-responses", kind="encrypted_content"))
    foreign = Part()
    foreign.opaque.dialect, foreign.opaque.type, foreign.opaque.json = "anthropic", "server_tool_use", "{}"
    result = Part()
    result.tool_result.call_id = "c" * 65
    result.tool_result.is_error = True
    result.tool_result.parts.add().text = "1"
    result.tool_result.parts.append(media(MediaKind.MEDIA_KIND_IMAGE, data=b"\x89PNG"))
    request = asked(
        said(Role.ROLE_SYSTEM, Part(text="s")),
        said(Role.ROLE_SYSTEM, Part(text="t")),
        said(Role.ROLE_ASSISTANT, thought, own, Part(text="x"), Part(refusal="no"), call, foreign),
        said(Role.ROLE_TOOL, result),
    )
    written = codec.encode_request(request, "gpt-5", stream=False)
    body = body_of(written)
    call_id = body["input"][4]["call_id"]
    assert len(call_id) <= 64
    assert body["instructions"] == "s"
    assert body["input"][0] == {"type": "message", "role": "system", "content": "t"}
    assert body["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}],
        "encrypted_content": "e",
    }
    assert body["input"][2] == {"type": "message", "role": "assistant", "content": "x"}
    assert body["input"][3]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert body["input"][5] == {
        "type": "function_call_output",
        "call_id": call_id,
        "output": [
            {"type": "input_text", "text": "1"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "auto"},
        ],
    }
    assert [each.field for each in written.warnings] == [
        "messages[2].parts[0]",
        "messages[2].parts[4].state",
        "messages[2].parts[5]",
        "messages[3].parts[0].tool_result.is_error",
    ]


def test_a_count_leaves_out_what_does_not_count() -> None:
    request = asked(options={"temperature": 0.5, "max_output_tokens": 5}, reasoning={"effort": "low"})
    written = codec.encode_count_request(request, "gpt-5")
    assert body_of(written) == {
        "model": "gpt-5",
        "input": [{"type": "message", "role": "user", "content": "?"}],
        "reasoning": {"effort": "low"},
    }
    assert codec.decode_count_response(b'{"input_tokens":5}').input_tokens == 5


def test_a_request_must_say_something() -> None:
    for message in (said(Role.ROLE_USER, Part(text="")), said(Role.ROLE_USER)):
        with pytest.raises(RequestInvalid) as raised:
            codec.encode_request(asked(message), "m", stream=False)
        assert [each.field for each in raised.value.violations] == ["messages"]
    alone = codec.encode_request(asked(said(Role.ROLE_SYSTEM, Part(text="s"))), "m", stream=False)
    assert body_of(alone)["input"] == [{"type": "message", "role": "system", "content": "s"}]


def test_a_grammar_is_chat_s_in_chat() -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "x"}
    body = {"model": "m", "input": "?", "tools": [{"type": "custom", "name": "g", "format": form}]}
    request = codec.decode_request(json.dumps(body).encode()).request
    sent = json.loads(OpenAICodec().encode_request(request, "m", stream=False).body)
    grammar = {"syntax": "lark", "definition": "x"}
    assert sent["tools"][0]["custom"]["format"] == {"type": "grammar", "grammar": grammar}


def test_a_schema_must_be_json() -> None:
    request = asked()
    request.tools.add().function.name = "f"
    request.tools[0].function.parameters_json = "{"
    with pytest.raises(RequestInvalid):
        codec.encode_request(request, "m", stream=False)
