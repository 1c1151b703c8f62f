"""An end user's id crosses to OpenAI's words, whose ids are shorter."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from llmhub.types.v1.generation_pb2 import WARNING_KIND_ALTERED
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec
from services.dialects.openai import PROFILES, OpenAICodec
from services.dialects.openai_responses import ResponsesCodec

# As Claude Code writes it into `metadata.user_id`.
CLAUDE_CODE = json.dumps({"device_id": "c" * 64, "account_uuid": "", "session_id": "0d9cf0b7-7928-4528-97fd"})
TARGETS: dict[str, tuple[ChatCodec, str]] = {
    "chat": (OpenAICodec(PROFILES["openai"]), "safety_identifier"),
    "compatible": (OpenAICodec(PROFILES["compatible"]), "user"),
    "responses": (ResponsesCodec(), "safety_identifier"),
}


@pytest.mark.parametrize(("target", "member"), TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("user", ["u" * 64, "u" * 65, CLAUDE_CODE], ids=["fits", "longer", "claude-code"])
def test_an_id_that_is_too_long_goes_on_as_its_digest(target: ChatCodec, member: str, user: str) -> None:
    body: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    body["metadata"] = {"user_id": user}
    asked = AnthropicCodec().decode_request(json.dumps(body).encode())
    wire = target.encode_request(asked.request, "gpt-5", stream=False)
    told = [each.kind for each in wire.warnings if each.field == "options.end_user_id"]
    fits = len(user) <= 64
    expected = user if fits else hashlib.sha256(user.encode()).hexdigest()
    assert json.loads(wire.body)[member] == expected
    assert told == ([] if fits else [WARNING_KIND_ALTERED])


@pytest.mark.parametrize(("codec", "member"), TARGETS.values(), ids=TARGETS)
def test_between_equal_dialects_it_stays_as_it_is(codec: ChatCodec, member: str) -> None:
    words = (
        {"input": "Hi"}
        if isinstance(codec, ResponsesCodec)
        else {"messages": [{"role": "user", "content": "Hi"}]}
    )
    body = {"model": "gpt-5", **words, member: "u" * 200}
    asked = codec.decode_request(json.dumps(body).encode())
    assert json.loads(codec.encode_request(asked.request, "gpt-5", stream=False).body)[member] == "u" * 200
