"""Requests that say nothing, or too little, at one place: refused or reported, never silently something else."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1 import content_pb2 as content
from llmhub.types.v1 import generation_pb2 as generation
from llmhub.types.v1.content_pb2 import Message, Part
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec
from services.dialects.openai import OpenAICodec
from services.runtime.errors import RequestInvalid

OPENAI = OpenAICodec()
ANTHROPIC = AnthropicCodec()
USER = {"role": "user", "content": "hi"}


def chat(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [USER], **members}).encode()


def crossed(body: bytes) -> tuple[dict[str, Any], dict[str, int]]:
    wire = ANTHROPIC.encode_request(OPENAI.decode_request(body).request, "claude", stream=False)
    return json.loads(wire.body), {each.field: each.kind for each in wire.warnings}


@pytest.mark.parametrize("role", ["system", "developer", "user", "tool", "function"])
@pytest.mark.parametrize("content", [{}, {"content": None}], ids=["missing", "null"])
def test_a_message_must_have_content(role: str, content: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid) as refused:
        OPENAI.decode_request(chat(messages=[USER, {"role": role, "tool_call_id": "c", **content}]))
    assert [each.field for each in refused.value.violations] == ["messages[1].content"]


def test_an_assistant_may_say_nothing_but_not_silently() -> None:
    body, warnings = crossed(chat(messages=[USER, {"role": "assistant", "content": None}, USER]))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}] * 2}]
    assert warnings["messages[1]"] == generation.WARNING_KIND_DROPPED


def test_a_conversation_without_any_content_is_refused() -> None:
    request = GenerateRequest(messages=[Message(role=content.ROLE_USER, parts=[Part(text="")])])
    with pytest.raises(RequestInvalid) as refused:
        ANTHROPIC.encode_request(request, "claude", stream=False)
    assert [each.field for each in refused.value.violations] == ["messages"]


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_of_answers_below_one_is_refused(number: int) -> None:
    with pytest.raises(RequestInvalid) as refused:
        OPENAI.decode_request(chat(n=number))
    assert [each.field for each in refused.value.violations] == ["n"]
    assert OPENAI.decode_request(chat(n=1)).request.options.candidates == 1


def test_a_format_without_a_schema_asks_for_json() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "answer"}}
    body, warnings = crossed(chat(response_format=form))
    assert "output_config" not in body
    assert "JSON" in body["system"][-1]["text"]
    assert warnings["response_format.json_schema.schema_json"] == generation.WARNING_KIND_EMULATED
    same = OPENAI.encode_request(OPENAI.decode_request(chat(response_format=form)).request, "m", stream=False)
    assert json.loads(same.body)["response_format"] == form


@pytest.mark.parametrize(
    ("body", "message", "code", "reason"),
    [
        (
            {"detail": {"message": "no", "code": "rate_limit_exceeded"}},
            "no",
            "rate_limit_exceeded",
            "UPSTREAM_RATE_LIMITED",
        ),
        ({"detail": {"error": {"message": "no", "code": "7"}}}, "no", "7", "UPSTREAM_REJECTED"),
        ({"detail": {"error": "no", "code": 7}}, "no", "7", "UPSTREAM_REJECTED"),
        ({"error": {"message": "outer"}, "detail": {"message": "inner"}}, "outer", "", "UPSTREAM_REJECTED"),
    ],
)
def test_a_failure_that_a_framework_wrapped(
    body: dict[str, Any], message: str, code: str, reason: str
) -> None:
    error = OPENAI.decode_error(400, {}, json.dumps(body).encode())
    assert error.upstream is not None
    assert (error.upstream.message, error.upstream.code) == (message, code)
    assert error.reason == reason


@pytest.mark.parametrize("source", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
@pytest.mark.parametrize("door", [OPENAI, ANTHROPIC], ids=["at openai", "at anthropic"])
def test_a_conflict_stays_one(source: ChatCodec, door: ChatCodec) -> None:
    error = source.decode_error(409, {}, b'{"error":{"message":"locked"}}')
    answer = door.encode_error(error, "r")
    assert (error.reason, answer.status) == ("UPSTREAM_FAILED", 409)
    assert answer.headers.get("x-should-retry") != "false"
