"""What depends on the model: the bound that is supplied, and the effort that is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Message, Part, Role
from llmhub.types.v1.generation_pb2 import ReasoningOptions, WarningKind
from services.dialects.anthropic import AnthropicCodec
from services.dialects.anthropic.generations import generation


def written(model: str, effort: str = "") -> tuple[dict[str, Any], str]:
    """Return the body, and what became of the effort."""
    words = Message(role=Role.ROLE_USER, parts=[Part(text="Hello")])
    asked = GenerateRequest(messages=[words], reasoning=ReasoningOptions(effort=effort))
    wire = AnthropicCodec().encode_request(asked, model, stream=False)
    told = [WarningKind.Name(each.kind) for each in wire.warnings if each.field == "reasoning.effort"]
    return json.loads(wire.body), told[0].removeprefix("WARNING_KIND_") if told else ""


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("claude-2.1", ("", 2, 1)),
        ("claude-instant-1.2", ("", 1, 2)),
        ("claude-3-opus-20240229", ("", 3, 0)),
        ("claude-3-5-haiku-latest", ("", 3, 5)),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", ("", 3, 7)),
        ("claude-opus-4-20250514", ("opus", 4, 0)),
        ("claude-opus-4-1-20250805", ("opus", 4, 1)),
        ("anthropic/claude-sonnet-4.5", ("sonnet", 4, 5)),
        ("claude-haiku-4-5@20251001", ("haiku", 4, 5)),
        ("claude-opus-5", ("opus", 5, 0)),
        ("claude-fable-5-1-20260901", ("fable", 5, 1)),
        ("my-deployment", None),
        ("claude-latest", None),
    ],
)
def test_names_tell_generations(model: str, known: tuple[str, int, int] | None) -> None:
    assert generation(model) == known


@pytest.mark.parametrize(
    ("model", "bound"),
    [
        ("my-deployment", 4096),
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-3-7-sonnet-latest", 32_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-sonnet-4-5", 32_000),
    ],
)
def test_the_supplied_bound_lets_programs_write_files(model: str, bound: int) -> None:
    assert written(model)[0]["max_tokens"] == bound


@pytest.mark.parametrize(
    ("model", "asked", "sent", "told"),
    [
        ("claude-sonnet-4-5-20250929", "medium", None, "DROPPED"),
        ("claude-haiku-4-5", "low", None, "DROPPED"),
        ("claude-opus-4-1", "high", None, "DROPPED"),
        ("claude-3-7-sonnet-latest", "high", None, "DROPPED"),
        ("claude-opus-4-5", "medium", "medium", ""),
        ("claude-opus-4-5", "max", "high", "ALTERED"),
        ("claude-sonnet-4-6", "xhigh", "high", "ALTERED"),
        ("claude-sonnet-4-6", "max", "max", ""),
        ("claude-opus-4-7", "xhigh", "xhigh", ""),
        ("claude-sonnet-5", "max", "max", ""),
        ("my-deployment", "xhigh", "xhigh", ""),
    ],
)
def test_effort_goes_only_to_models_that_take_it(model: str, asked: str, sent: str | None, told: str) -> None:
    body, loss = written(model, asked)
    assert (body.get("output_config", {}).get("effort"), loss) == (sent, told)
