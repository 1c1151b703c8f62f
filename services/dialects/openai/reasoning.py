"""How reasoning is asked for: reasoning_effort, and the spellings of OpenRouter, DeepSeek and Z.ai."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ReasoningMode, ReasoningOptions
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.openai.target import Target

_ENABLED: Final = ReasoningMode.REASONING_MODE_ENABLED
_DISABLED: Final = ReasoningMode.REASONING_MODE_DISABLED
_EFFORTS: Final = ((2048, "low"), (8192, "medium"))


def decode_reasoning(members: Members, request: GenerateRequest) -> None:
    """Take reasoning_effort, OpenRouter's `reasoning` object and the `thinking` switch of DeepSeek and Z.ai."""
    effort = members.word("reasoning_effort")
    if effort is not None:
        request.reasoning.effort = effort
    value = members.rest.get("reasoning")
    if effort is None and isinstance(value, dict):
        inner = Members(value)
        members.hint("reasoning")
        request.reasoning.effort = inner.word("effort") or ""
        budget = inner.integer("max_tokens")
        if budget is not None:
            request.reasoning.budget_tokens = budget
        enabled = inner.flag("enabled")
        if enabled is not None:
            request.reasoning.mode = _ENABLED if enabled else _DISABLED
    switch = members.rest.get("thinking")
    mode = switch.get("type") if isinstance(switch, dict) else None
    known = isinstance(mode, str) and mode in {"enabled", "disabled"}
    if known and isinstance(switch, dict) and not request.reasoning.mode:
        members.hint("thinking")
        del switch["type"]
        request.reasoning.mode = _ENABLED if mode == "enabled" else _DISABLED


def encode_reasoning(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    """Write what is asked of reasoning, as it was spelled, or as reasoning_effort."""
    if not request.HasField("reasoning"):
        return
    reasoning = request.reasoning
    target.losses.foreign(reasoning.extensions, "openai", "reasoning")
    if target.extension.shape:
        _restore(reasoning, body, target.extension)
    elif target.profile.reasoning_object:
        _describe(reasoning, body, target)
    elif target.profile.thinking_switch and reasoning.mode and not reasoning.effort:
        _switch(reasoning, body, target)
    elif target.profile.takes_effort(target.model):
        _translate(reasoning, body, target)
    elif reasoning.effort or reasoning.mode not in {ReasoningMode.REASONING_MODE_UNSPECIFIED, _DISABLED}:
        target.losses.dropped("reasoning", f"{target.model} is not known to take reasoning_effort")


def _describe(reasoning: ReasoningOptions, body: JsonObject, target: Target) -> None:
    """Write the `reasoning` object, which holds a budget and a switch too."""
    inner: JsonObject = {}
    if reasoning.effort:
        inner["effort"] = reasoning.effort
    elif reasoning.HasField("budget_tokens"):
        inner["max_tokens"] = reasoning.budget_tokens
    elif reasoning.mode:
        inner["enabled"] = reasoning.mode != _DISABLED
    if inner:
        body["reasoning"] = inner
    _report_display(reasoning, target)


def _switch(reasoning: ReasoningOptions, body: JsonObject, target: Target) -> None:
    """Write the `thinking` switch, which has no amount."""
    body["thinking"] = {"type": "disabled" if reasoning.mode == _DISABLED else "enabled"}
    if reasoning.HasField("budget_tokens"):
        target.losses.dropped("reasoning.budget_tokens", "reasoning has no budget here")
    _report_display(reasoning, target)


def _report_display(reasoning: ReasoningOptions, target: Target) -> None:
    if reasoning.display:
        target.losses.dropped("reasoning.display", "what is shown of reasoning cannot be chosen here")


def _translate(reasoning: ReasoningOptions, body: JsonObject, target: Target) -> None:
    if reasoning.effort:
        body["reasoning_effort"] = reasoning.effort
    elif reasoning.mode == _DISABLED:
        target.losses.dropped("reasoning.mode", "not every model here can be kept from reasoning")
    elif reasoning.HasField("budget_tokens"):
        effort = next((word for most, word in _EFFORTS if reasoning.budget_tokens <= most), "high")
        body["reasoning_effort"] = effort
        target.losses.emulated("reasoning.budget_tokens", f"sent as reasoning_effort {effort}")
    _report_display(reasoning, target)


def _restore(reasoning: ReasoningOptions, body: JsonObject, extension: Extension) -> None:
    mode = reasoning.mode
    if "thinking" in extension.shape and mode:
        switch = extension.members.get("thinking")
        word = "enabled" if mode == _ENABLED else "disabled"
        body["thinking"] = {**(switch if isinstance(switch, dict) else {}), "type": word}
    if "reasoning" not in extension.shape:
        if reasoning.effort:
            body["reasoning_effort"] = reasoning.effort
        return
    rest = extension.members.get("reasoning")
    inner: JsonObject = dict(rest) if isinstance(rest, dict) else {}
    if reasoning.effort:
        inner["effort"] = reasoning.effort
    if reasoning.HasField("budget_tokens"):
        inner["max_tokens"] = reasoning.budget_tokens
    if mode and "thinking" not in extension.shape:
        inner["enabled"] = mode == _ENABLED
    body["reasoning"] = inner
