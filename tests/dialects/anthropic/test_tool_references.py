"""What a caller's own tool search found: blocks for Anthropic, words for everybody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmhub.types.v1.generation_pb2 import WARNING_KIND_DROPPED
from services.dialects.anthropic import AnthropicCodec
from services.dialects.codec import ChatCodec
from services.dialects.gemini import GeminiCodec
from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec

BODY: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "tools": [{"name": "ToolSearch", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": "Look it up."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "a", "name": "ToolSearch", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [
                        {"type": "tool_reference", "tool_name": "WebFetch"},
                        {"type": "tool_reference", "tool_name": "WebSearch"},
                    ],
                }
            ],
        },
    ],
}
OTHERS: dict[str, ChatCodec] = {
    "chat": OpenAICodec(),
    "responses": ResponsesCodec(),
    "gemini": GeminiCodec(),
}


@pytest.mark.parametrize("codec", OTHERS.values(), ids=OTHERS)
def test_other_models_are_told_in_words(codec: ChatCodec) -> None:
    asked = AnthropicCodec().decode_request(json.dumps(BODY).encode())
    wire = codec.encode_request(asked.request, "m", stream=False)
    for name in ("WebFetch", "WebSearch"):
        assert f"The tool {name} can be called now." in wire.body.decode()
    assert WARNING_KIND_DROPPED not in {warning.kind for warning in wire.warnings}


def test_words_that_were_changed_stay_words() -> None:
    asked = AnthropicCodec().decode_request(json.dumps(BODY).encode())
    first, _ = asked.request.messages[2].parts[0].tool_result.parts
    first.text = "Nothing was found."
    wire = AnthropicCodec().encode_request(asked.request, "m", stream=False)
    content = json.loads(wire.body)["messages"][2]["content"][0]["content"]
    assert content == [
        {"type": "text", "text": "Nothing was found."},
        {"type": "tool_reference", "tool_name": "WebSearch"},
    ]
