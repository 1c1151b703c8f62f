"""How thinking is asked for, by what the model takes; cases of ours."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import ROLE_USER, Message, Part
from llmhub.types.v1.generation_pb2 import (
    REASONING_MODE_ADAPTIVE,
    REASONING_MODE_DISABLED,
    REASONING_MODE_ENABLED,
    ReasoningOptions,
)
from services.dialects.gemini import GeminiCodec

codec = GeminiCodec()
QUESTION = Message(role=ROLE_USER, parts=[Part(text="x")])


def written(request: GenerateRequest, model: str) -> tuple[dict[str, Any], list[str]]:
    """The body, and the fields of which something was lost."""
    wire = codec.encode_request(request, model, stream=False)
    body: dict[str, Any] = json.loads(wire.body)
    return body, [warning.field for warning in wire.warnings]


@pytest.mark.parametrize(
    ("reasoning", "model", "config", "lost"),
    [
        (ReasoningOptions(effort="low"), "gemini-3-pro", {"thinkingLevel": "LOW"}, []),
        (ReasoningOptions(effort="minimal"), "gemini-3-pro", {"thinkingLevel": "LOW"}, ["reasoning.effort"]),
        (ReasoningOptions(effort="minimal"), "gemini-3-flash", {"thinkingLevel": "MINIMAL"}, []),
        (ReasoningOptions(effort="max"), "gemini-3-flash", {"thinkingLevel": "HIGH"}, ["reasoning.effort"]),
        (ReasoningOptions(effort="none"), "gemini-3-flash", {"thinkingLevel": "MINIMAL"}, ["reasoning.mode"]),
        (ReasoningOptions(effort="high"), "gemini-2.5-pro", {"thinkingBudget": 24576}, ["reasoning.effort"]),
        (ReasoningOptions(effort="none"), "gemini-2.5-flash", {"thinkingBudget": 0}, []),
        (ReasoningOptions(mode=REASONING_MODE_DISABLED), "gemini-2.5-flash", {"thinkingBudget": 0}, []),
        (ReasoningOptions(effort="high"), "gemini-2.0-flash", None, ["reasoning"]),
        (ReasoningOptions(mode=REASONING_MODE_DISABLED), "gemini-1.5-pro", None, []),
        (
            ReasoningOptions(mode=REASONING_MODE_ENABLED, budget_tokens=2048),
            "gemini-2.5-pro",
            {"thinkingBudget": 2048, "includeThoughts": True},
            [],
        ),
        (
            ReasoningOptions(mode=REASONING_MODE_ENABLED, budget_tokens=2048),
            "gemini-3-pro",
            {"thinkingBudget": 2048, "includeThoughts": True},
            [],
        ),
        (
            ReasoningOptions(mode=REASONING_MODE_ADAPTIVE, display="omitted"),
            "gemini-2.5-pro",
            {"thinkingBudget": -1},
            [],
        ),
        (
            ReasoningOptions(effort="low", display="auto"),
            "gemini-3-pro",
            {"thinkingLevel": "LOW", "includeThoughts": True},
            [],
        ),
        (
            ReasoningOptions(effort="low", budget_tokens=9),
            "gemini-3-pro",
            {"thinkingLevel": "LOW"},
            ["reasoning.budget_tokens"],
        ),
    ],
)
def test_thinking(reasoning: ReasoningOptions, model: str, config: Any, lost: list[str]) -> None:
    body, fields = written(GenerateRequest(messages=[QUESTION], reasoning=reasoning), model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert fields == lost


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"thinkingBudget": 0},
        {"thinkingBudget": -1, "includeThoughts": False},
        {"thinkingBudget": -7},
        {"thinkingLevel": "medium", "includeThoughts": True},
        {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"},
        {"thinkingLevel": "XHIGH", "new": 1},
        {"thinking_budget": 5, "include_thoughts": True},
    ],
)
def test_geminis_own_words_come_back(config: dict[str, Any]) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"thinkingConfig": config}}
    request = codec.decode_request(json.dumps(body).encode()).request
    for model in ("gemini-1.5-pro", "gemini-2.5-pro", "gemini-3-pro"):
        assert written(request, model) == (body, [])
