"""The sampling knobs and thinking, in both directions."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import GenerationOptions, ReasoningMode, ReasoningOptions
from services.dialects.cohere.target import Target
from services.dialects.cohere.wire import DIALECT, may_think
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, plain_number

_NUMBERS: Final = {
    "temperature": "temperature",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "p": "top_p",
}
_COUNTS: Final = {"max_tokens": "max_output_tokens", "seed": "seed", "k": "top_k"}
_RANGES: Final = {
    "frequency_penalty": (0.0, 1.0),
    "presence_penalty": (0.0, 1.0),
    "top_p": (0.01, 0.99),
    "top_k": (0, 500),
}
_MOST_STOPS: Final = 5
_ABSENT: Final = {
    "top_logprobs": "alternatives to a token are not told here",
    "logit_bias": "tokens cannot be weighted here",
    "verbosity": "verbosity cannot be set here",
    "service_tier": "there are no service tiers here",
    "end_user_id": "end users are not told here",
    "prompt_cache_key": "caching cannot be steered here",
}
_ENABLED: Final = ReasoningMode.REASONING_MODE_ENABLED
_DISABLED: Final = ReasoningMode.REASONING_MODE_DISABLED
_BUDGETS: Final = {"minimal": 512, "low": 2048, "medium": 8192}


def read_options(members: Members, request: GenerateRequest) -> None:
    """Take what the contract types."""
    options = request.options
    for name, field in _NUMBERS.items():
        number = members.number(name)
        if number is not None:
            setattr(options, field, number)
    for name, field in _COUNTS.items():
        count = members.integer(name)
        if count is not None:
            setattr(options, field, count)
    logprobs = members.flag("logprobs")
    if logprobs is not None:
        options.logprobs = logprobs
    stops = members.rest.get("stop_sequences")
    if isinstance(stops, list) and stops and all(isinstance(each, str) for each in stops):
        options.stop_sequences.extend(stops)
        del members.rest["stop_sequences"]
    elif stops:
        members.fault("stop_sequences", "must be an array of strings")
    _read_thinking(members, request)


def _read_thinking(members: Members, request: GenerateRequest) -> None:
    thinking = members.rest.get("thinking")
    if not isinstance(thinking, dict):
        if thinking is not None:
            members.fault("thinking", "must be an object")
        return
    mode = thinking.get("type")
    if not isinstance(mode, str) or mode not in {"enabled", "disabled"}:
        return
    inner = Members(members.rest.pop("thinking"), "thinking")
    del inner.rest["type"]
    request.reasoning.mode = _ENABLED if mode == "enabled" else _DISABLED
    budget = inner.integer("token_budget")
    if budget is not None:
        request.reasoning.budget_tokens = budget
    inner.save(request.reasoning.extensions, DIALECT)


def write_options(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    """Write the knobs, brought into Cohere's ranges if they come from elsewhere; report the others."""
    options = request.options
    for names in (_NUMBERS, _COUNTS):
        for name, field in names.items():
            if options.HasField(field):  # type: ignore[arg-type]
                body[name] = _ranged(field, getattr(options, field), target)
    if options.HasField("logprobs"):
        body["logprobs"] = options.logprobs
    stops = list(options.stop_sequences)
    if len(stops) > _MOST_STOPS and not target.native:
        target.losses.altered("options.stop_sequences", f"only the first {_MOST_STOPS} were sent")
        stops = stops[:_MOST_STOPS]
    if stops:
        body["stop_sequences"] = stops
    report_absent(options, _ABSENT, target.losses)
    if request.metadata:
        target.losses.dropped("metadata", "there are no labels here")
    if request.HasField("reasoning"):
        _write_thinking(request.reasoning, body, target)


def _ranged(field: str, value: float, target: Target) -> int | float:
    low, high = _RANGES.get(field, (value, value))
    if target.native or low <= value <= high:
        return value if type(value) is int else plain_number(value)
    bounded = min(max(value, low), high)
    target.losses.altered(f"options.{field}", f"{value:g} is sent as {bounded:g}")
    return bounded


def report_absent(options: GenerationOptions, absent: dict[str, str], losses: Losses) -> None:
    """Report what is set and has no form here."""
    for field, reason in absent.items():
        if getattr(options, field):
            losses.dropped(f"options.{field}", reason)
    if options.candidates > 1:
        losses.dropped("options.candidates", "there is one answer a call here")
    if any(each != "text" for each in options.modalities):
        losses.dropped("options.modalities", "answers are text here")


def _write_thinking(reasoning: ReasoningOptions, body: JsonObject, target: Target) -> None:
    losses = target.losses
    losses.foreign(reasoning.extensions, DIALECT, "reasoning")
    if reasoning.display:
        losses.dropped("reasoning.display", "what is shown of reasoning cannot be chosen here")
    off = reasoning.mode == _DISABLED or reasoning.effort == "none"
    asked = reasoning.mode or reasoning.effort or reasoning.HasField("budget_tokens")
    if not asked:
        return
    if not target.native and not may_think(target.model):
        if not off:
            losses.dropped("reasoning", f"{target.model} does not reason")
        return
    written: JsonObject = {"type": "disabled" if off else "enabled"}
    if reasoning.HasField("budget_tokens") and (not off or target.native):
        written["token_budget"] = reasoning.budget_tokens
    elif reasoning.effort and not off:
        budget = _BUDGETS.get(reasoning.effort)
        if budget is not None:
            written["token_budget"] = budget
        losses.emulated("reasoning.effort", f"sent as a budget of {budget or 'any number of'} tokens")
    body["thinking"] = Extension(reasoning.extensions, DIALECT).merge(written)
