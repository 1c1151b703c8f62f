"""The knobs, limits and labels of a request, in both directions."""

from __future__ import annotations

import re
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ReasoningMode, ReasoningOptions
from services.dialects.end_user import end_user
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, plain_number
from services.dialects.openai_responses.wire import DIALECT, ENCRYPTED_REASONING, LOGPROBS
from services.dialects.raw_json import merge_deep

_NUMBERS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_PENALTIES: Final = frozenset({"frequency_penalty", "presence_penalty"})
_WORDS: Final = ("service_tier", "prompt_cache_key")
_END_USERS: Final = ("safety_identifier", "user")
_SERVICE_TIERS: Final = {"standard_only": "default"}
_KNOWN_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority"})
_DISPLAYS: Final = {"summarized": "auto", "auto": "auto", "concise": "concise", "detailed": "detailed"}
_EFFORTS: Final = ((2048, "low"), (8192, "medium"))
_MOST_METADATA: Final = 64
# Models of this vendor that do not reason, and refuse to be asked.
_PLAIN_FAMILY: Final = re.compile(r"(?:^|/)(?:gpt-3|gpt-4|chatgpt|ft:gpt-[34])")
_REASONING_FAMILY: Final = re.compile(r"(?:^|/)(?:openai\.)?(?:o\d|gpt-[5-9]|codex)")
_DROPPED: Final = (
    ("stop_sequences", "stop sequences are not known here"),
    ("seed", "a seed is not known here"),
    ("top_k", "top_k is not known here"),
    ("logit_bias", "biases are not known here"),
)


def read_options(members: Members, request: GenerateRequest) -> None:
    """Take what the contract types; hints say which of several spellings was used."""
    options = request.options
    for name in _NUMBERS:
        number = members.number(name)
        if number is not None:
            setattr(options, name, number)
    for name in _WORDS:
        word = members.word(name)
        if word is not None:
            setattr(options, name, word)
    for name in _END_USERS:
        user = members.word(name)
        if user is not None:
            options.end_user_id = user
            members.hint("end_user", name)
            break
    _read_rest(members, request)
    _read_reasoning(members, request)


def _read_rest(members: Members, request: GenerateRequest) -> None:
    options = request.options
    most = members.integer("max_output_tokens")
    if most is not None:
        options.max_output_tokens = most
    top = members.integer("top_logprobs", 31)
    if top is not None:
        options.top_logprobs = top
    include = members.rest.get("include")
    if isinstance(include, list) and LOGPROBS in include:
        options.logprobs = True
    metadata = members.rest.get("metadata")
    if isinstance(metadata, dict) and 0 < len(metadata) <= _MOST_METADATA:
        if all(isinstance(value, str) for value in metadata.values()):
            request.metadata.update(metadata)
            del members.rest["metadata"]
        else:
            members.fault("metadata", "must map names to strings")
    parallel = members.flag("parallel_tool_calls")
    if parallel is not None:
        request.tool_choice.parallel = parallel


def _read_reasoning(members: Members, request: GenerateRequest) -> None:
    value = members.rest.get("reasoning")
    if not isinstance(value, dict):
        if value is not None:
            members.fault("reasoning", "must be an object")
        return
    inner = Members(value, "reasoning")
    effort, summary = inner.word("effort"), inner.word("summary")
    if effort is not None:
        request.reasoning.effort = effort
    if summary is not None:
        request.reasoning.display = summary
    if not value and request.HasField("reasoning"):
        del members.rest["reasoning"]


def write_options(
    request: GenerateRequest, model: str, body: JsonObject, extension: Extension, losses: Losses
) -> None:
    """Write the knobs; members that the contract does not type are merged in later."""
    native = DIALECT in request.extensions
    _write_values(request, body, extension, losses)
    _write_logprobs(request, body, extension)
    _drop(request, losses)
    _write_reasoning(request, model, body, extension, losses)
    if not native:
        _without_memory(model, body)


def _write_values(request: GenerateRequest, body: JsonObject, extension: Extension, losses: Losses) -> None:
    options = request.options
    native = DIALECT in request.extensions
    for name in _NUMBERS:
        if options.HasField(name):
            if native or name not in _PENALTIES:
                body[name] = plain_number(getattr(options, name))
            else:
                losses.dropped(f"options.{name}", "penalties are not known here")
    if options.service_tier:
        _write_tier(options.service_tier, body, losses, native=native)
    if options.prompt_cache_key:
        body["prompt_cache_key"] = options.prompt_cache_key
    if options.end_user_id:
        spelled = extension.shape.get("end_user")
        user = options.end_user_id if spelled else end_user(options.end_user_id, losses)
        body[spelled if spelled in _END_USERS else "safety_identifier"] = user
    if options.HasField("max_output_tokens"):
        body["max_output_tokens"] = options.max_output_tokens
    if request.metadata:
        body["metadata"] = dict(request.metadata)


def _write_tier(tier: str, body: JsonObject, losses: Losses, *, native: bool) -> None:
    known = _SERVICE_TIERS.get(tier, tier)
    if known != tier:
        losses.altered("options.service_tier", f"{tier} is called {known} here")
    if native or known in _KNOWN_TIERS:
        body["service_tier"] = known
    else:
        losses.dropped("options.service_tier", f"there is no {tier} here")


def _write_logprobs(request: GenerateRequest, body: JsonObject, extension: Extension) -> None:
    options = request.options
    if options.HasField("top_logprobs"):
        body["top_logprobs"] = options.top_logprobs
    kept = extension.members.get("include")
    include: list[Any] = list(kept) if isinstance(kept, list) else []
    if options.logprobs and LOGPROBS not in include:
        body["include"] = [*include, LOGPROBS]
    elif options.HasField("logprobs") and not options.logprobs and LOGPROBS in include:
        body["include"] = [each for each in include if each != LOGPROBS]


def _drop(request: GenerateRequest, losses: Losses) -> None:
    options = request.options
    given = {field.name for field, _ in options.ListFields()}
    for name, message in _DROPPED:
        if name in given:
            losses.dropped(f"options.{name}", message)
    if options.candidates > 1:
        losses.dropped("options.candidates", "there is one answer only")
    if any(each != "text" for each in options.modalities):
        losses.dropped("options.modalities", "answers are text here")


def _write_reasoning(
    request: GenerateRequest, model: str, body: JsonObject, extension: Extension, losses: Losses
) -> None:
    if not request.HasField("reasoning"):
        return
    reasoning = request.reasoning
    losses.foreign(reasoning.extensions, DIALECT, "reasoning")
    if DIALECT in request.extensions:
        kept = extension.members.get("reasoning")
        written: JsonObject = {"effort": reasoning.effort} if reasoning.effort else {}
        if reasoning.display:
            written["summary"] = reasoning.display
        body["reasoning"] = merge_deep(written, kept) if isinstance(kept, dict) else written
        return
    if _PLAIN_FAMILY.search(model):
        if reasoning.effort != "none" and reasoning.mode != ReasoningMode.REASONING_MODE_DISABLED:
            losses.dropped("reasoning", f"{model} is known not to reason")
        return
    written = _translated(reasoning, losses)
    if written:
        body["reasoning"] = written


def _translated(reasoning: ReasoningOptions, losses: Losses) -> JsonObject:
    written: JsonObject = {}
    if reasoning.effort:
        written["effort"] = reasoning.effort
    elif reasoning.mode == ReasoningMode.REASONING_MODE_DISABLED:
        losses.dropped("reasoning.mode", "not every model here can be kept from reasoning")
    elif reasoning.HasField("budget_tokens"):
        effort = next((word for most, word in _EFFORTS if reasoning.budget_tokens <= most), "high")
        written["effort"] = effort
        losses.emulated("reasoning.budget_tokens", f"sent as reasoning.effort {effort}")
    summary = _DISPLAYS.get(reasoning.display)
    if summary is not None:
        written["summary"] = summary
    return written


def _without_memory(model: str, body: JsonObject) -> None:
    """Keep the vendor from storing what is asked in a dialect without storage; have state come with the answer."""
    body["store"] = False
    if _PLAIN_FAMILY.search(model) is None and ("reasoning" in body or _REASONING_FAMILY.search(model)):
        body["include"] = [*body.get("include", ()), ENCRYPTED_REASONING]
