"""Sampling, reasoning, labels and tiers, both ways."""

from __future__ import annotations

import re
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import (
    REASONING_MODE_ADAPTIVE,
    REASONING_MODE_DISABLED,
    REASONING_MODE_ENABLED,
    REASONING_MODE_UNSPECIFIED,
    GenerationOptions,
    ReasoningMode,
)
from services.dialects.bedrock.family import Family
from services.dialects.losses import Losses
from services.dialects.members import JsonObject, Members, plain_number

_LEAST_BUDGET: Final = 1024
_USUAL_BUDGET: Final = 4096
_MOST_LABELS: Final = 16
_LABEL: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_TIERS: Final = {
    "priority": "priority",
    "default": "default",
    "flex": "flex",
    "reserved": "reserved",
    "standard_only": "default",
}
_THINKING: Final = {
    REASONING_MODE_ENABLED: "enabled",
    REASONING_MODE_ADAPTIVE: "adaptive",
    REASONING_MODE_DISABLED: "disabled",
}
_SWITCHES: Final = {"reasoningConfig", "reasoning_effort", "reasoning"}
"""Additional fields that switch reasoning on by their effort."""


def read_options(members: Members, request: GenerateRequest) -> None:
    """Take inferenceConfig, serviceTier and requestMetadata."""
    config = members.mapping("inferenceConfig")
    if config is not None:
        _read_inference(config, members, request.options)
    tier = members.rest.get("serviceTier")
    if type(tier) is dict and type(word := tier.get("type")) is str and word:
        request.options.service_tier = word
        del tier["type"]
        if not tier:
            del members.rest["serviceTier"]
    labels = members.rest.get("requestMetadata")
    if type(labels) is dict and 0 < len(labels) <= _MOST_LABELS:
        words = {name: label for name, label in labels.items() if type(label) is str}
        if len(words) == len(labels):
            request.metadata.update(words)
            del members.rest["requestMetadata"]


def write_options(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    """Write sampling options, tier and labels; what Bedrock has no word for is noted as a loss."""
    options = request.options
    config = _inference(options, losses)
    if config:
        body["inferenceConfig"] = config
    if tier := options.service_tier:
        if tier in _TIERS:
            body["serviceTier"] = {"type": _TIERS[tier]}
        elif tier != "auto":
            losses.dropped("options.service_tier", f"Bedrock has no service tier {tier}")
    _drop_unknown(options, losses)
    labels = {
        name: label
        for name, label in request.metadata.items()
        if name and _LABEL.fullmatch(name) and _LABEL.fullmatch(label)
    }
    if len(labels) > _MOST_LABELS:
        labels = dict(sorted(labels.items())[:_MOST_LABELS])
    if len(labels) < len(request.metadata):
        losses.dropped("metadata", "Bedrock takes 16 labels, of letters, digits and :_@$#=/+,.- only")
    if labels:
        body["requestMetadata"] = labels


def write_top_k(options: GenerationOptions, fields: JsonObject, family: Family, losses: Losses) -> None:
    """Write top_k as the model's own field."""
    if not options.HasField("top_k"):
        return
    match family.top_k:
        case "flat":
            fields["top_k"] = options.top_k
        case "nova":
            fields["inferenceConfig"] = {"topK": options.top_k}
        case "cohere":
            fields["k"] = options.top_k
        case _:
            losses.dropped("options.top_k", f"{family.name} at Bedrock take no top_k that is known")


def write_reasoning(
    request: GenerateRequest,
    fields: JsonObject,
    output: JsonObject,
    family: Family,
    losses: Losses,
    *,
    own: bool,
) -> None:
    """Write what is asked of reasoning into additional fields, or into `output`, which is outputConfig."""
    losses.foreign(request.reasoning.extensions, "bedrock", "reasoning")
    effort = request.reasoning.effort
    if own and effort:
        output["effort"] = effort
    elif effort:
        _effort(effort, fields, output, family, losses)
    _mode(request, fields, family, losses)


def _mode(request: GenerateRequest, fields: JsonObject, family: Family, losses: Losses) -> None:
    """Write how reasoning is switched: Anthropic's `thinking`, or Nova's own switch."""
    reasoning = request.reasoning
    mode = reasoning.mode
    if mode == REASONING_MODE_UNSPECIFIED and reasoning.HasField("budget_tokens"):
        mode = REASONING_MODE_ENABLED
    elif mode == REASONING_MODE_UNSPECIFIED and reasoning.effort == "none":
        mode = REASONING_MODE_DISABLED
    if mode == REASONING_MODE_UNSPECIFIED:
        pass
    elif family.thinking:
        fields["thinking"] = _thinking(request, mode, losses)
    elif mode == REASONING_MODE_DISABLED and family.effort == "nova":
        fields["reasoningConfig"] = {"type": "disabled"}
    elif not fields.keys() & _SWITCHES:
        losses.dropped("reasoning.mode", f"it is not known how {family.name} at Bedrock switch reasoning")
    if not family.thinking and reasoning.HasField("budget_tokens"):
        losses.dropped("reasoning.budget_tokens", f"{family.name} at Bedrock take no budget")
    if reasoning.display and "thinking" not in fields:
        losses.dropped("reasoning.display", "what is shown of reasoning cannot be chosen here")


def _read_inference(config: JsonObject, members: Members, options: GenerationOptions) -> None:
    if not config:
        members.hint("=inferenceConfig", {})
        return
    inner = Members(config, "inferenceConfig")
    if (bound := inner.integer("maxTokens")) is not None:
        options.max_output_tokens = bound
    if (temperature := inner.number("temperature")) is not None:
        options.temperature = temperature
    if (top_p := inner.number("topP")) is not None:
        options.top_p = top_p
    stops = config.get("stopSequences")
    if type(stops) is list and all(type(stop) is str for stop in stops):
        options.stop_sequences.extend(stops)
        if stops:
            del config["stopSequences"]
    if config:
        members.rest["inferenceConfig"] = config


def _inference(options: GenerationOptions, losses: Losses) -> JsonObject:
    config: JsonObject = {}
    if options.HasField("max_output_tokens"):
        config["maxTokens"] = options.max_output_tokens
    if options.HasField("temperature"):
        if options.temperature > 1:
            losses.altered("options.temperature", "Bedrock's temperature ends at 1")
        config["temperature"] = plain_number(min(options.temperature, 1.0))
    if options.HasField("top_p"):
        config["topP"] = plain_number(options.top_p)
    stops = [stop for stop in options.stop_sequences if stop]
    if len(stops) < len(options.stop_sequences):
        losses.dropped("options.stop_sequences", "Bedrock refuses empty stop sequences")
    if stops:
        config["stopSequences"] = stops
    return config


def _effort(effort: str, fields: JsonObject, output: JsonObject, family: Family, losses: Losses) -> None:
    """Write the effort as the family spells it; none is no effort but a mode, except where it is a level."""
    if family.effort == "nested":
        fields["reasoning"] = {"effort": effort}
        return
    if effort == "none":
        return
    level = "low" if effort == "minimal" else effort
    if family.effort in {"nova", "flat"} and level in {"xhigh", "max"}:
        level = "high"
    if family.effort and level != effort:
        losses.altered("reasoning.effort", f"sent as {level}: {family.name} at Bedrock do not know {effort}")
    match family.effort:
        case "output":
            output["effort"] = level
        case "nova":
            fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
        case "flat":
            fields["reasoning_effort"] = level
        case _:
            losses.dropped("reasoning.effort", f"{family.name} at Bedrock take no effort that is known")


def _thinking(request: GenerateRequest, mode: ReasoningMode.ValueType, losses: Losses) -> JsonObject:
    """Anthropic's own member, as Bedrock hands it on to Claude."""
    reasoning = request.reasoning
    block: JsonObject = {"type": _THINKING[mode]}
    if reasoning.HasField("budget_tokens"):
        block["budget_tokens"] = reasoning.budget_tokens
    elif mode == REASONING_MODE_ENABLED:
        bound = request.options.max_output_tokens
        block["budget_tokens"] = max(_LEAST_BUDGET, bound // 2) if bound else _USUAL_BUDGET
        losses.emulated("reasoning.budget_tokens", f"Claude demands a budget: {block['budget_tokens']}")
    if reasoning.display in {"summarized", "omitted"}:
        block["display"] = reasoning.display
    elif reasoning.display:
        losses.dropped("reasoning.display", f"Claude has no display {reasoning.display}")
    return block


def _drop_unknown(options: GenerationOptions, losses: Losses) -> None:
    for name in ("seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"):
        if options.HasField(name) and getattr(options, name) is not False:
            losses.dropped(f"options.{name}", f"Converse has no {name}")
    if options.HasField("candidates") and options.candidates > 1:
        losses.dropped("options.candidates", "Converse gives one answer")
    for name in ("logit_bias", "verbosity", "end_user_id", "prompt_cache_key"):
        if getattr(options, name):
            losses.dropped(f"options.{name}", f"Converse has no {name}")
    if any(modality != "text" for modality in options.modalities):
        losses.dropped("options.modalities", "Converse cannot be asked for other media than text")
