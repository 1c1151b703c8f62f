"""The sampling knobs and thinking, in both directions."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import GenerationOptions, ReasoningMode, ReasoningOptions
from services.dialects.losses import Losses
from services.dialects.members import JsonObject, Members, plain_number
from services.dialects.ollama.target import Target
from services.dialects.ollama.wire import DIALECT, takes_levels, thinks
from services.runtime.errors import Violation

_NUMBERS: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_COUNTS: Final = {"seed": "seed", "top_k": "top_k"}
_MOST_TOKENS: Final = 1 << 62
_ABSENT: Final = {
    "logit_bias": "tokens cannot be weighted here",
    "verbosity": "verbosity cannot be set here",
    "service_tier": "there are no service tiers here",
    "end_user_id": "end users are not told here",
    "prompt_cache_key": "caching cannot be steered here",
}
_ENABLED: Final = ReasoningMode.REASONING_MODE_ENABLED
_DISABLED: Final = ReasoningMode.REASONING_MODE_DISABLED
_LEVELS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def read_options(members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    """Take what the contract types; the other options of the model stay in the extension."""
    options = request.options
    logprobs = members.flag("logprobs")
    if logprobs is not None:
        options.logprobs = logprobs
    top = members.integer("top_logprobs", 31)
    if top is not None:
        options.top_logprobs = top
    _read_think(members, request)
    value = members.mapping("options")
    if value is not None:
        said = bool(value)
        _read_knobs(Members(value, "options", faults), options)
        if value or not said:
            members.rest["options"] = value


def _read_knobs(inner: Members, options: GenerationOptions) -> None:
    value = inner.rest
    for name in _NUMBERS:
        number = inner.number(name)
        if number is not None:
            setattr(options, name, number)
    for name, field in _COUNTS.items():
        count = inner.integer(name)
        if count is not None:
            setattr(options, field, count)
    most = value.get("num_predict")
    # Below zero it means without end, or as much as the context holds.
    if type(most) is int and 0 < most < _MOST_TOKENS:
        options.max_output_tokens = most
        del value["num_predict"]
    stops = value.get("stop")
    if isinstance(stops, list) and stops and all(isinstance(each, str) for each in stops):
        options.stop_sequences.extend(stops)
        del value["stop"]


def _read_think(members: Members, request: GenerateRequest) -> None:
    think = members.rest.get("think")
    if isinstance(think, bool):
        request.reasoning.mode = _ENABLED if think else _DISABLED
        del members.rest["think"]
    elif isinstance(think, str) and think:
        request.reasoning.effort = think
        del members.rest["think"]
    elif think is not None and think != "":
        members.fault("think", "must be a boolean or a level")


def write_options(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    """Write the knobs; report those that Ollama has not."""
    options, losses = request.options, target.losses
    written = _written_knobs(options)
    rest = target.extension.members.get("options")
    if isinstance(rest, dict):
        written = {**rest, **written}
    if written:
        body["options"] = written
    if options.HasField("logprobs"):
        body["logprobs"] = options.logprobs
    if options.HasField("top_logprobs"):
        body["top_logprobs"] = options.top_logprobs
    _report_absent(options, losses)
    if request.metadata:
        losses.dropped("metadata", "there are no labels here")
    if request.HasField("reasoning"):
        losses.foreign(request.reasoning.extensions, DIALECT, "reasoning")
        think = _think(request.reasoning, target)
        if think is not None:
            body["think"] = think


def _written_knobs(options: GenerationOptions) -> JsonObject:
    written: JsonObject = {}
    for name in _NUMBERS:
        if options.HasField(name):
            written[name] = plain_number(getattr(options, name))
    for name, field in _COUNTS.items():
        if options.HasField(field):  # type: ignore[arg-type]
            written[name] = getattr(options, field)
    if options.HasField("max_output_tokens"):
        written["num_predict"] = options.max_output_tokens
    if options.stop_sequences:
        written["stop"] = list(options.stop_sequences)
    return written


def _report_absent(options: GenerationOptions, losses: Losses) -> None:
    for field, reason in _ABSENT.items():
        if getattr(options, field):
            losses.dropped(f"options.{field}", reason)
    if options.candidates > 1:
        losses.dropped("options.candidates", "there is one answer a call here")
    if any(each != "text" for each in options.modalities):
        losses.dropped("options.modalities", "answers are text here")


def _think(reasoning: ReasoningOptions, target: Target) -> bool | str | None:
    """What `think` is to be; None if nothing is said."""
    if target.native:
        return reasoning.effort or (reasoning.mode != _DISABLED if reasoning.mode else None)
    losses = target.losses
    if reasoning.display:
        losses.dropped("reasoning.display", "what is shown of reasoning cannot be chosen here")
    if reasoning.mode == _DISABLED or reasoning.effort == "none":
        return False
    if not (reasoning.mode or reasoning.effort or reasoning.HasField("budget_tokens")):
        return None
    if not thinks(target.model):
        losses.dropped("reasoning", f"{target.model} is not known to think")
        return None
    if reasoning.HasField("budget_tokens"):
        losses.dropped("reasoning.budget_tokens", "thinking has no budget here")
    return _level(reasoning.effort, target)


def _level(effort: str, target: Target) -> bool | str:
    if not effort:
        return True
    level = _LEVELS.get(effort)
    if level is None or not takes_levels(target.model):
        target.losses.altered("reasoning.effort", f"{target.model} only switches thinking: it is on")
        return True
    if level != effort:
        target.losses.altered("reasoning.effort", f"sent as {level}")
    return level
