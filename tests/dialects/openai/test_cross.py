"""Requests and answers of other origins: what is carried, what is done another way, what is reported as lost."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import (
    UNSUPPORTED_POLICY_REFUSE,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.types.v1 import content_pb2 as content
from llmhub.types.v1 import generation_pb2 as generation
from llmhub.types.v1.content_pb2 import (
    CacheMark,
    Citation,
    Media,
    MediaParts,
    Message,
    OpaqueState,
    Part,
    ToolCall,
)
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.openai import PROFILES, OpenAICodec
from services.runtime.errors import ParameterUnsupported, RequestInvalid
from tests.dialects.openai import official

DROPPED = generation.WARNING_KIND_DROPPED
EMULATED = generation.WARNING_KIND_EMULATED
ALTERED = generation.WARNING_KIND_ALTERED
PNG = b"\x89PNG\r\n\x1a\n"

codec = OpenAICodec()


def request(*messages: Message, **members: Any) -> GenerateRequest:
    return GenerateRequest(model="openai/gpt-4o", messages=messages, **members)


def user(*parts: Part) -> Message:
    return Message(role=content.ROLE_USER, parts=parts)


def assistant(*parts: Part) -> Message:
    return Message(role=content.ROLE_ASSISTANT, parts=parts)


def written(
    asked: GenerateRequest, model: str = "gpt-4o", profile: str = "openai"
) -> tuple[dict[str, Any], dict[str, generation.WarningKind.ValueType]]:
    wire = OpenAICodec(PROFILES[profile]).encode_request(asked, model, stream=False)
    assert wire.path == "/chat/completions"
    return json.loads(wire.body), {warning.field: warning.kind for warning in wire.warnings}


def messages(*parts: Part, profile: str = "openai") -> tuple[list[dict[str, Any]], dict[str, Any]]:
    body, warnings = written(request(user(*parts)), profile=profile)
    return body["messages"], warnings


def test_a_plain_request() -> None:
    body, warnings = written(
        request(
            Message(role=content.ROLE_SYSTEM, parts=[Part(text="be brief"), Part(text="be kind")]),
            user(Part(text="hi")),
            options=generation.GenerationOptions(max_output_tokens=9, temperature=1.0, stop_sequences=["x"]),
        )
    )
    assert body == {
        "model": "gpt-4o",
        "messages": [
            {
                "role": "system",
                "content": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "be kind"}],
            },
            {"role": "user", "content": "hi"},
        ],
        "max_completion_tokens": 9,
        "temperature": 1,
        "stop": ["x"],
    }
    assert warnings == {}


@pytest.mark.parametrize(
    ("profile", "model", "member"),
    [
        ("openai", "gpt-4o", "max_completion_tokens"),
        ("compatible", "llama3", "max_tokens"),
        ("compatible", "gpt-5-mini", "max_completion_tokens"),
        ("openrouter", "openai/o3", "max_completion_tokens"),
        ("mistral", "mistral-large", "max_tokens"),
    ],
)
def test_the_output_limit_is_spelled_as_the_server_wants(profile: str, model: str, member: str) -> None:
    asked = request(user(Part(text="hi")), options=generation.GenerationOptions(max_output_tokens=9))
    assert written(asked, model, profile)[0][member] == 9
    native = codec.decode_request(b'{"model":"m","messages":[{"role":"user","content":"?"}],"max_tokens":7}')
    assert written(native.request, model, profile)[0]["max_tokens"] == 7


def test_images() -> None:
    said, warnings = messages(
        Part(media=Media(kind=content.MEDIA_KIND_IMAGE, data=PNG)),
        Part(media=Media(kind=content.MEDIA_KIND_IMAGE, url="https://x.test/a.png", detail="low")),
        Part(media=Media(kind=content.MEDIA_KIND_IMAGE, file_id="file_1")),
    )
    assert said[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
    ]
    assert warnings == {"messages[0].parts[2]": DROPPED}


def test_documents() -> None:
    said, warnings = messages(
        Part(
            media=Media(
                kind=content.MEDIA_KIND_DOCUMENT, data=b"%PDF", title="t", citations=True, context="c"
            )
        ),
        Part(media=Media(kind=content.MEDIA_KIND_DOCUMENT, text="words", title="t")),
        Part(media=Media(kind=content.MEDIA_KIND_DOCUMENT, data=b"csv", mime_type="text/csv")),
        Part(media=Media(kind=content.MEDIA_KIND_DOCUMENT, parts=MediaParts(parts=[Part(text="in")]))),
        Part(media=Media(kind=content.MEDIA_KIND_DOCUMENT, url="https://x.test/a.pdf")),
    )
    file = {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "t"}
    texts = [{"type": "text", "text": text} for text in ("t\n\nwords", "csv", "in")]
    assert said[0]["content"] == [{"type": "file", "file": file}, *texts]
    assert warnings == {
        "messages[0].parts[0].media.context": DROPPED,
        "messages[0].parts[0].media.citations": DROPPED,
        "messages[0].parts[1]": EMULATED,
        "messages[0].parts[2]": EMULATED,
        "messages[0].parts[3]": EMULATED,
        "messages[0].parts[4]": DROPPED,
    }


def test_sound_and_film() -> None:
    parts = [
        Part(media=Media(kind=content.MEDIA_KIND_AUDIO, data=b"RIFF", mime_type="audio/wav")),
        Part(media=Media(kind=content.MEDIA_KIND_AUDIO, data=b"x", mime_type="audio/ogg")),
        Part(media=Media(kind=content.MEDIA_KIND_VIDEO, url="https://x.test/v.mp4")),
    ]
    said, warnings = messages(*parts)
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    assert said[0]["content"] == [sound]
    assert warnings == {"messages[0].parts[1]": DROPPED, "messages[0].parts[2]": DROPPED}
    said, _ = messages(parts[2], profile="openrouter")
    assert said[0]["content"] == [{"type": "video_url", "video_url": {"url": "https://x.test/v.mp4"}}]


def test_tool_results_with_images_follow_as_a_user_message() -> None:
    call = Part(
        tool_call=ToolCall(id="t1", name="shot", arguments='{"a":1}', kind=content.TOOL_KIND_FUNCTION)
    )
    other = Part(tool_call=ToolCall(id="t2", name="look", kind=content.TOOL_KIND_FUNCTION))
    image = Part(media=Media(kind=content.MEDIA_KIND_IMAGE, data=PNG))
    results = [
        Part(tool_result=content.ToolResult(call_id="t1", parts=[Part(text="done"), image], is_error=True)),
        Part(tool_result=content.ToolResult(call_id="t2", parts=[Part(text="seen")])),
    ]
    body, warnings = written(
        request(assistant(Part(text="ok"), call, other), user(*results, Part(text="go on")))
    )
    first, one, two, after = body["messages"]
    assert first["content"] == "ok"
    assert [each["id"] for each in first["tool_calls"]] == ["t1", "t2"]
    assert first["tool_calls"][0]["function"] == {"name": "shot", "arguments": '{"a":1}'}
    assert one == {"role": "tool", "tool_call_id": "t1", "content": "done"}
    assert two == {"role": "tool", "tool_call_id": "t2", "content": "seen"}
    assert [each["type"] for each in after["content"]] == ["text", "image_url", "text"]
    assert after["role"] == "user"
    assert warnings["messages[1].tool_result"] == EMULATED
    assert warnings["messages[1].tool_result.is_error"] == DROPPED


def test_a_run_of_results_is_not_broken_by_their_images() -> None:
    image = Part(media=Media(kind=content.MEDIA_KIND_IMAGE, data=PNG))
    tools = [
        Message(
            role=content.ROLE_TOOL,
            parts=[Part(tool_result=content.ToolResult(call_id=f"t{n}", parts=[Part(text="x"), image]))],
        )
        for n in range(2)
    ]
    body, _ = written(request(*tools, assistant(Part(text="fine"))))
    assert [each["role"] for each in body["messages"]] == ["tool", "tool", "user", "assistant"]


def test_reasoning_of_another_dialect() -> None:
    state = OpaqueState(data=b"sig", dialect="anthropic", kind="signature")
    thought = Part(reasoning=content.Reasoning(text="hm"), state=state)
    asked = request(user(Part(text="?")), assistant(thought, Part(text="a")))
    body, warnings = written(asked)
    assert body["messages"][1] == {"role": "assistant", "content": "a"}
    assert warnings == {
        "messages[1].parts[0].state": DROPPED,
        "messages[1].parts[0].reasoning": DROPPED,
    }
    body, warnings = written(asked, profile="deepseek")
    assert body["messages"][1]["reasoning_content"] == "hm"
    assert warnings == {"messages[1].parts[0].state": DROPPED}


def test_reasoning_details_come_back_joined() -> None:
    one, two = ({"type": "reasoning.text", "text": text, "index": 0} for text in "ab")
    pieces = json.dumps([one]) + "\n" + json.dumps([{**two, "signature": "s"}]) + "\n"
    state = OpaqueState(data=pieces.encode(), dialect="openai", kind="reasoning_details")
    thought = Part(reasoning=content.Reasoning(text="ab"), state=state)
    body, _ = written(request(user(Part(text="?")), assistant(thought)), profile="openrouter")
    assert body["messages"][1] == {
        "role": "assistant",
        "content": None,
        "reasoning": "ab",
        "reasoning_details": [{"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"}],
    }


def test_opaque_parts_cache_marks_and_foreign_members() -> None:
    marked = Part(text="a", cache=CacheMark(ttl="1h"))
    opaque = Part(opaque=content.OpaquePart(dialect="anthropic", type="server_tool_use", json="{}"))
    asked = request(
        user(marked, opaque, Part(text="")), extensions={"anthropic": '{"container":"c","x":null}'}
    )
    body, warnings = written(asked)
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert warnings == {
        "messages[0].parts[0].cache": DROPPED,
        "messages[0].parts[1]": DROPPED,
        "extensions[anthropic]": DROPPED,
    }
    body, _ = written(asked, profile="openrouter")
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]


def test_thinking_budget_becomes_effort() -> None:
    for budget, effort in ((1024, "low"), (4096, "medium"), (32000, "high")):
        asked = request(
            user(Part(text="?")),
            reasoning=generation.ReasoningOptions(
                mode=generation.REASONING_MODE_ENABLED, budget_tokens=budget
            ),
        )
        body, warnings = written(asked, "gpt-5")
        assert (body["reasoning_effort"], warnings) == (effort, {"reasoning.budget_tokens": EMULATED})
        body, warnings = written(asked, "gpt-4o")
        assert "reasoning_effort" not in body
        assert warnings == {"reasoning": DROPPED}


def test_other_options() -> None:
    options = generation.GenerationOptions(
        top_k=5, end_user_id="u", seed=3, service_tier="standard_only", stop_sequences="abcdef"
    )
    body, warnings = written(request(user(Part(text="?")), options=options))
    assert warnings == {
        "options.top_k": DROPPED,
        "options.service_tier": ALTERED,
        "options.stop_sequences": ALTERED,
    }
    assert (body["safety_identifier"], body["seed"], body["service_tier"]) == ("u", 3, "default")
    assert body["stop"] == ["a", "b", "c", "d"]
    body, warnings = written(request(user(Part(text="?")), options=options), profile="mistral")
    assert (body["user"], body["random_seed"]) == ("u", 3)


def test_tools_and_choice() -> None:
    tools = [
        generation.Tool(
            function=generation.FunctionTool(name="f", parameters_json='{"b":1.0,"a":2}', strict=True)
        ),
        generation.Tool(custom=generation.CustomTool(name="g")),
        generation.Tool(hosted=generation.HostedTool(dialect="anthropic", type="web_search", json="{}")),
    ]
    choice = generation.ToolChoice(mode=generation.TOOL_CHOICE_MODE_NAMED, names=["g"], parallel=False)
    wire = codec.encode_request(
        request(user(Part(text="?")), tools=tools, tool_choice=choice), "m", stream=False
    )
    assert b'"parameters":{"b":1.0,"a":2}' in wire.body
    body = json.loads(wire.body)
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "g"}}
    assert body["parallel_tool_calls"] is False
    assert [tool["type"] for tool in body["tools"]] == ["function", "custom"]
    assert [warning.field for warning in wire.warnings] == ["tools[2]"]


def test_mistral_gets_ids_of_its_own_form_for_call_and_result_alike() -> None:
    call = Part(tool_call=ToolCall(id="toolu_01ABC", name="f", arguments="{}"))
    result = Part(tool_result=content.ToolResult(call_id="toolu_01ABC", parts=[Part(text="1")]))
    asked = request(assistant(call), Message(role=content.ROLE_TOOL, parts=[result]))
    first, second = written(asked, profile="mistral")[0]["messages"]
    made = first["tool_calls"][0]["id"]
    assert len(made) == 9
    assert made.isalnum()
    assert second["tool_call_id"] == made


@pytest.mark.parametrize(
    "part",
    [
        Part(text="a", cache=CacheMark()),
        Part(media=Media(kind=content.MEDIA_KIND_DOCUMENT, text="t")),
        Part(opaque=content.OpaquePart(dialect="anthropic", type="x", json="{}")),
    ],
)
def test_policy_refuse_raises_instead(part: Part) -> None:
    with pytest.raises(ParameterUnsupported) as raised:
        written(request(user(part), unsupported=UNSUPPORTED_POLICY_REFUSE))
    assert raised.value.metadata["field"].startswith("messages[0].parts[0]")


def test_text_that_must_be_json_is_checked() -> None:
    tool = generation.Tool(function=generation.FunctionTool(name="f", parameters_json="{"))
    with pytest.raises(RequestInvalid):
        written(request(user(Part(text="?")), tools=[tool]))
    with pytest.raises(RequestInvalid):
        written(request(user(Part(text="?")), extensions={"openai": "[]"}))


def test_an_answer_of_another_dialect_is_one_that_the_sdk_reads() -> None:
    response = GenerateResponse(
        response_id="msg_1",
        model="anthropic/claude",
        provider_model="claude-1",
        usage=Usage(input_tokens=5, cache_read_tokens=3, output_tokens=2, provider_json='{"input_tokens":5}'),
        extensions={"anthropic": '{"type":"message"}'},
    )
    candidate = response.candidates.add()
    candidate.parts.extend(
        [
            Part(reasoning=content.Reasoning(text="hm")),
            Part(text="one "),
            Part(opaque=content.OpaquePart(dialect="anthropic", type="x", json="{}")),
            Part(text="two", citations=[Citation(kind="web", url="https://x.test", title="X")]),
            Part(tool_call=ToolCall(id="toolu_1", name="f", arguments='{"a": 1}')),
        ]
    )
    candidate.finish.reason = generation.FINISH_REASON_TOOL_CALL
    candidate.finish.provider_reason = "tool_use"
    completion = official.whole(codec.encode_response(response))
    message = completion.choices[0].message
    assert (completion.id, completion.model, completion.object) == ("msg_1", "claude-1", "chat.completion")
    assert message.content == "one two"
    assert (message.model_extra or {})["reasoning_content"] == "hm"
    assert message.annotations is not None
    assert message.annotations[0].url_citation.url == "https://x.test"
    call = (message.tool_calls or [])[0]
    assert call.type == "function"
    assert (call.id, call.function.arguments) == ("toolu_1", '{"a": 1}')
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.total_tokens) == (8, 10)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (generation.FINISH_REASON_END, "stop"),
        (generation.FINISH_REASON_STOP_SEQUENCE, "stop"),
        (generation.FINISH_REASON_MAX_TOKENS, "length"),
        (generation.FINISH_REASON_CONTEXT_FULL, "length"),
        (generation.FINISH_REASON_TOOL_CALL, "tool_calls"),
        (generation.FINISH_REASON_PAUSE, "stop"),
        (generation.FINISH_REASON_REFUSAL, "content_filter"),
        (generation.FINISH_REASON_CONTENT_FILTER, "content_filter"),
    ],
)
def test_finish_reasons(reason: generation.FinishReason.ValueType, word: str) -> None:
    response = GenerateResponse()
    response.candidates.add(finish=generation.Finish(reason=reason, provider_reason="of another dialect"))
    assert json.loads(codec.encode_response(response))["choices"][0]["finish_reason"] == word
