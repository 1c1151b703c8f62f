"""Sampling, thinking and output options, both ways."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import (
    REASONING_MODE_ADAPTIVE,
    REASONING_MODE_DISABLED,
    REASONING_MODE_ENABLED,
    REASONING_MODE_UNSPECIFIED,
    GenerationOptions,
    ReasoningMode,
    ReasoningOptions,
)
from services.dialects.anthropic.generations import USUAL_BOUND, nearest_effort
from services.dialects.anthropic.wire import DIALECT, type_of
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, plain_number
from services.dialects.quiet import merge_back, quiet, take_word

EFFORT: Final = "effort"
"""Hint: the caller asked for the effort in Anthropic's words, and so it goes on as it is."""
_LEAST_BUDGET: Final = 1024

_THINKING: Final = {
    "enabled": REASONING_MODE_ENABLED,
    "adaptive": REASONING_MODE_ADAPTIVE,
    "disabled": REASONING_MODE_DISABLED,
}
_THINKING_WORDS: Final = {mode: word for word, mode in _THINKING.items()}
_DISPLAYS: Final = {"summarized", "omitted"}
_TIERS: Final = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}


def read_options(members: Members, request: GenerateRequest) -> None:
    """Take sampling options, thinking, service tier and the end user's id."""
    options = request.options
    for name, field in (("max_tokens", "max_output_tokens"), ("top_k", "top_k")):
        if (integer := members.integer(name)) is not None:
            setattr(options, field, integer)
    for name in ("temperature", "top_p"):
        if (number := members.number(name)) is not None:
            setattr(options, name, number)
    _read_stop_sequences(members, options)
    if tier := take_word(members, "service_tier"):
        options.service_tier = tier
    metadata = members.mapping("metadata")
    if metadata is not None:
        labels = Members(metadata, "metadata")
        if user := labels.text("user_id"):
            options.end_user_id = user
            if metadata:
                members.rest["metadata"] = metadata
        else:
            if user == "":
                metadata["user_id"] = ""
            members.rest["metadata"] = metadata
    _read_thinking(members, request)


def write_options(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    """Write sampling options; what Anthropic has no word for is noted as a loss."""
    options = request.options
    _write_sampling(options, body, losses)
    if options.end_user_id:
        body["metadata"] = {"user_id": options.end_user_id}
    if tier := options.service_tier:
        if tier in _TIERS:
            body["service_tier"] = _TIERS[tier]
        else:
            losses.dropped("options.service_tier", f"Anthropic has no service tier {tier}")
    _drop_unknown(options, losses)
    if request.metadata:
        losses.dropped("metadata", "Anthropic takes no labels")


def _write_sampling(options: GenerationOptions, body: JsonObject, losses: Losses) -> None:
    if options.HasField("temperature"):
        temperature = options.temperature
        if temperature > 1:
            losses.altered("options.temperature", "Anthropic's temperature ends at 1")
            temperature = 1.0
        body["temperature"] = plain_number(temperature)
    if options.HasField("top_p"):
        body["top_p"] = plain_number(options.top_p)
    if options.HasField("top_k"):
        body["top_k"] = options.top_k
    stops = [stop for stop in options.stop_sequences if not stop.isspace() and stop]
    if len(stops) < len(options.stop_sequences):
        losses.dropped("options.stop_sequences", "Anthropic refuses stop sequences of blanks only")
    if stops:
        body["stop_sequences"] = stops


def write_thinking(request: GenerateRequest, body: JsonObject, losses: Losses) -> JsonObject:
    """Write `thinking` into the body; return the members of `output_config` that belong to it."""
    reasoning = request.reasoning
    mode = reasoning.mode
    effort = reasoning.effort
    losses.foreign(reasoning.extensions, DIALECT, "reasoning")
    if mode == REASONING_MODE_UNSPECIFIED:
        if reasoning.HasField("budget_tokens"):
            mode = REASONING_MODE_ENABLED
        elif effort == "none":
            mode = REASONING_MODE_DISABLED
    if mode != REASONING_MODE_UNSPECIFIED:
        body["thinking"] = _thinking(reasoning, mode, body, losses)
    elif reasoning.display:
        losses.dropped("reasoning.display", "there is no thinking to show")
    if not effort or effort == "none":
        return {}
    if effort == "minimal":
        losses.altered("reasoning.effort", "Anthropic's least effort is low")
        effort = "low"
    if EFFORT in Extension(request.extensions, DIALECT).shape:
        return {"effort": effort}
    return _effort(effort, body["model"], losses)


def _effort(effort: str, model: str, losses: Losses) -> JsonObject:
    taken = nearest_effort(model, effort)
    if not taken:
        losses.dropped("reasoning.effort", "this model takes no effort")
        return {}
    if taken != effort:
        losses.altered("reasoning.effort", f"the most this model takes is {taken}")
    return {"effort": taken}


def _thinking(
    reasoning: ReasoningOptions, mode: ReasoningMode.ValueType, body: JsonObject, losses: Losses
) -> JsonObject:
    block: JsonObject = {"type": _THINKING_WORDS[mode]}
    if reasoning.HasField("budget_tokens"):
        block["budget_tokens"] = reasoning.budget_tokens
    elif mode == REASONING_MODE_ENABLED:
        block["budget_tokens"] = max(_LEAST_BUDGET, body.get("max_tokens", USUAL_BOUND) // 2)
        losses.emulated("reasoning.budget_tokens", "Anthropic demands a budget: half of the output bound")
    if display := reasoning.display:
        if display not in _DISPLAYS:
            losses.altered("reasoning.display", f"Anthropic has no display {display}: summarized")
            display = "summarized"
        block["display"] = display
    return merge_back(block, Extension(reasoning.extensions, DIALECT))


def _read_stop_sequences(members: Members, options: GenerationOptions) -> None:
    stops = members.rest.get("stop_sequences")
    if stops is None:
        return
    if type(stops) is not list or not all(type(stop) is str for stop in stops):
        members.fault("stop_sequences", "must be an array of strings")
    elif stops:
        options.stop_sequences.extend(stops)
        del members.rest["stop_sequences"]
    else:
        quiet(members, "stop_sequences")


def _read_thinking(members: Members, request: GenerateRequest) -> None:
    value = members.mapping("thinking")
    if value is None:
        return
    mode = _THINKING.get(type_of(value))
    if mode is None:
        members.rest["thinking"] = value
        return
    del value["type"]
    thinking = Members(value, "thinking")
    reasoning = request.reasoning
    reasoning.mode = mode
    if (budget := thinking.integer("budget_tokens")) is not None:
        reasoning.budget_tokens = budget
    reasoning.display = take_word(thinking, "display")
    thinking.save(reasoning.extensions, DIALECT)


def _drop_unknown(options: GenerationOptions, losses: Losses) -> None:
    for name in ("seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"):
        if options.HasField(name) and getattr(options, name) is not False:
            losses.dropped(f"options.{name}", f"Anthropic has no {name}")
    if options.HasField("candidates") and options.candidates > 1:
        losses.dropped("options.candidates", "Anthropic gives one answer")
    if options.logit_bias:
        losses.dropped("options.logit_bias", "Anthropic has no logit bias")
    if options.verbosity:
        losses.dropped("options.verbosity", "Anthropic has no verbosity")
    if any(modality != "text" for modality in options.modalities):
        losses.dropped("options.modalities", "Anthropic answers in text only")
    if options.prompt_cache_key:
        losses.dropped("options.prompt_cache_key", "Anthropic caches at marks, not by key")
