"""`thinkingConfig`, both ways."""

from __future__ import annotations

from typing import Final

from llmhub.types.v1.generation_pb2 import (
    REASONING_MODE_ADAPTIVE,
    REASONING_MODE_DISABLED,
    REASONING_MODE_ENABLED,
    REASONING_MODE_UNSPECIFIED,
    ReasoningOptions,
)
from services.dialects.gemini.family import Family
from services.dialects.gemini.wire import DIALECT, canonical, merge_back, save_spelling
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members

_LEVELS: Final = frozenset({"minimal", "low", "medium", "high", "xhigh"})
_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
"""What Google's own OpenAI-compatible endpoint makes of an effort for models that take budgets."""
_SHOWN: Final = frozenset({"summarized", "auto", "concise", "detailed"})
_LEVEL: Final = "level"
"""Hint: the level as it was spelled, if not in capitals."""


def read_thinking(value: JsonObject, reasoning: ReasoningOptions) -> None:
    """Read a thinkingConfig; what has no field is kept in the extension, which also marks it as Gemini's own."""
    spelled: list[str] = []
    members = Members(canonical(value, spelled))
    shown = members.flag("includeThoughts")
    if shown is not None:
        reasoning.display = "summarized" if shown else "omitted"
    budget = value.get("thinkingBudget")
    if type(budget) is int and -1 <= budget < 1 << 31:
        del value["thinkingBudget"]
        if budget > 0:
            reasoning.mode = REASONING_MODE_ENABLED
            reasoning.budget_tokens = budget
        else:
            reasoning.mode = REASONING_MODE_ADAPTIVE if budget else REASONING_MODE_DISABLED
    level = value.get("thinkingLevel")
    if type(level) is str and level.lower() in _LEVELS:
        del value["thinkingLevel"]
        reasoning.effort = level.lower()
        if not level.isupper():
            members.hint(_LEVEL, level)
    save_spelling(members, spelled)
    reasoning.extensions[DIALECT] = members.extension() or "{}"


def write_thinking(reasoning: ReasoningOptions, family: Family, losses: Losses) -> JsonObject:
    """Write a thinkingConfig; empty if there is nothing to say."""
    losses.foreign(reasoning.extensions, DIALECT, "reasoning")
    if DIALECT in reasoning.extensions:
        return _own(reasoning)
    wanted = reasoning.mode or reasoning.effort or reasoning.HasField("budget_tokens") or reasoning.display
    if wanted and not family.thinks:
        if reasoning.mode != REASONING_MODE_DISABLED and reasoning.effort != "none":
            losses.dropped("reasoning", "this model cannot be told to think")
        return {}
    config = _by_level(reasoning, family, losses) if family.takes_levels else _by_budget(reasoning, losses)
    thinks = reasoning.mode in {REASONING_MODE_ENABLED, REASONING_MODE_ADAPTIVE}
    if reasoning.display in _SHOWN or (thinks and not reasoning.display):
        config["includeThoughts"] = True
    return config


def _own(reasoning: ReasoningOptions) -> JsonObject:
    extension = Extension(reasoning.extensions, DIALECT)
    config: JsonObject = {}
    if reasoning.display:
        config["includeThoughts"] = reasoning.display != "omitted"
    if reasoning.HasField("budget_tokens"):
        config["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.mode in {REASONING_MODE_ADAPTIVE, REASONING_MODE_DISABLED}:
        config["thinkingBudget"] = -1 if reasoning.mode == REASONING_MODE_ADAPTIVE else 0
    if reasoning.effort:
        config["thinkingLevel"] = extension.shape.get(_LEVEL, reasoning.effort.upper())
    return merge_back(config, extension)


def _disabled(reasoning: ReasoningOptions) -> bool:
    return reasoning.mode == REASONING_MODE_DISABLED or reasoning.effort == "none"


def _by_level(reasoning: ReasoningOptions, family: Family, losses: Losses) -> JsonObject:
    """From generation 3 on; a budget is still taken, but not beside a level."""
    effort = reasoning.effort
    least = "low" if family.pro else "minimal"
    if _disabled(reasoning):
        losses.altered("reasoning.mode", f"this model always thinks: its least level, {least}, is asked for")
        return {"thinkingLevel": least.upper()}
    if not effort:
        return {"thinkingBudget": reasoning.budget_tokens} if reasoning.HasField("budget_tokens") else {}
    if reasoning.HasField("budget_tokens"):
        losses.dropped("reasoning.budget_tokens", "Gemini takes a level or a budget, not both")
    level = effort if effort in _LEVELS else "high"
    if level == "xhigh":
        level = "high"
    if level == "minimal":
        level = least
    if level != effort:
        losses.altered("reasoning.effort", f"Gemini's nearest level is {level}")
    return {"thinkingLevel": level.upper()}


def _by_budget(reasoning: ReasoningOptions, losses: Losses) -> JsonObject:
    if _disabled(reasoning):
        return {"thinkingBudget": 0}
    if reasoning.HasField("budget_tokens"):
        return {"thinkingBudget": reasoning.budget_tokens}
    if reasoning.effort:
        budget = _BUDGETS.get(reasoning.effort, _BUDGETS["high"])
        losses.emulated("reasoning.effort", f"this model takes budgets: {budget} tokens")
        return {"thinkingBudget": budget}
    return {} if reasoning.mode == REASONING_MODE_UNSPECIFIED else {"thinkingBudget": -1}
