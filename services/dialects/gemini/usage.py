"""Usage: Gemini's prompt includes what was cached, its candidates exclude thoughts."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from llmhub.types.v1.usage_pb2 import (
    MEASURE_VENDOR,
    MODALITY_AUDIO,
    MODALITY_DOCUMENT,
    MODALITY_IMAGE,
    MODALITY_TEXT,
    MODALITY_VIDEO,
    USAGE_CLASS_CACHE_READ,
    USAGE_CLASS_INPUT,
    USAGE_CLASS_OUTPUT,
    Modality,
    Usage,
    UsageClass,
)
from services.dialects.members import JsonObject

_COUNTS: Final = (
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)
_MODALITIES: Final[dict[Any, Modality.ValueType]] = {
    "TEXT": MODALITY_TEXT,
    "IMAGE": MODALITY_IMAGE,
    "VIDEO": MODALITY_VIDEO,
    "AUDIO": MODALITY_AUDIO,
    "DOCUMENT": MODALITY_DOCUMENT,
    1: MODALITY_TEXT,
    2: MODALITY_IMAGE,
    3: MODALITY_VIDEO,
    4: MODALITY_AUDIO,
    5: MODALITY_DOCUMENT,
}
_INT64: Final = 1 << 63
_MOST: Final = _INT64 - 1


def says_counts(value: JsonObject) -> bool:
    """Tell whether a usage object has any count: early ones of Vertex have none."""
    return any(name in value for name in _COUNTS)


_Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class _Counts(msgspec.Struct, gc=False):
    """As much of a usage object as changes from chunk to chunk."""

    promptTokenCount: _Tokens | None = None  # noqa: N815 - Gemini's own names
    candidatesTokenCount: _Tokens | None = None  # noqa: N815
    totalTokenCount: _Tokens | None = None  # noqa: N815
    thoughtsTokenCount: _Tokens | None = None  # noqa: N815
    toolUsePromptTokenCount: _Tokens | None = None  # noqa: N815
    cachedContentTokenCount: _Tokens | None = None  # noqa: N815


_counts = msgspec.json.Decoder(_Counts).decode


def running_usage(raw: msgspec.Raw) -> Usage | None:
    """Read a usage object in passing: no split by modality, which the last chunk has; None if it takes more care."""
    try:
        told = _counts(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    counts = (
        told.promptTokenCount,
        told.candidatesTokenCount,
        told.totalTokenCount,
        told.thoughtsTokenCount,
        told.toolUsePromptTokenCount,
        told.cachedContentTokenCount,
    )
    if counts[0] is None or counts[2] is None:
        return None
    return Usage(measure=MEASURE_VENDOR, provider_json=str(raw, "utf-8"), **_classes(*counts))


def read_usage(value: JsonObject, text: str) -> Usage:
    """Read a usage object into disjoint classes; `text` is the object to the letter."""
    counts = [_count(value.get(name)) for name in _COUNTS]
    usage = Usage(measure=MEASURE_VENDOR, provider_json=text, **_classes(*counts))
    for name in ("serviceTier", "trafficType"):
        if type(tier := value.get(name)) is str:
            usage.service_tier = tier
            break
    _read_modalities(value, usage)
    return usage


def _classes(
    prompt: int | None,
    candidates: int | None,
    total: int | None,
    thoughts: int | None,
    tools: int | None,
    cached: int | None,
) -> dict[str, Any]:
    classes: dict[str, Any] = {}
    if cached is not None:
        classes["cache_read_tokens"] = cached
    if prompt is not None:
        classes["input_tokens"] = max(0, prompt - (cached or 0))
    if thoughts is not None:
        classes["reasoning_tokens"] = thoughts
    if tools is not None:
        classes["tool_prompt_tokens"] = tools
    if candidates is None and total is not None and prompt is not None:
        # A count of nothing is left out; the total tells nothing from not told.
        rest = total - prompt - (thoughts or 0) - (tools or 0)
        candidates = rest if rest >= 0 else None
    if candidates is not None:
        classes["output_tokens"] = candidates
    if total is not None:
        classes["provider_total_tokens"] = total
    return classes


def write_usage(usage: Usage) -> JsonObject:
    """Write a usage object; classes that are not known are left out."""
    written: JsonObject = {}
    writes = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    prompt = usage.input_tokens + usage.cache_read_tokens + writes
    written["promptTokenCount"] = prompt
    written["candidatesTokenCount"] = usage.output_tokens
    if usage.HasField("cache_read_tokens"):
        written["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.HasField("reasoning_tokens"):
        written["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.HasField("tool_prompt_tokens"):
        written["toolUsePromptTokenCount"] = usage.tool_prompt_tokens
    written["totalTokenCount"] = (
        prompt + usage.output_tokens + usage.reasoning_tokens + usage.tool_prompt_tokens
    )
    return written


def _read_modalities(value: JsonObject, usage: Usage) -> None:
    prompt = _details(value.get("promptTokensDetails"))
    cached = _details(value.get("cacheTokensDetails"))
    if usage.cache_read_tokens and not cached and len(prompt) == 1:
        # All of one modality: so is what was cached.
        cached = dict.fromkeys(prompt, usage.cache_read_tokens)
    if cached or not usage.cache_read_tokens:
        fresh = {modality: tokens - cached.get(modality, 0) for modality, tokens in prompt.items()}
        _add(usage, USAGE_CLASS_INPUT, fresh)
    _add(usage, USAGE_CLASS_CACHE_READ, cached)
    _add(usage, USAGE_CLASS_OUTPUT, _details(value.get("candidatesTokensDetails")))


def _add(usage: Usage, usage_class: UsageClass.ValueType, tokens: dict[Modality.ValueType, int]) -> None:
    for modality, count in tokens.items():
        if count > 0:
            usage.modalities.add(usage_class=usage_class, modality=modality, tokens=count)


def _details(value: Any) -> dict[Modality.ValueType, int]:
    found: dict[Modality.ValueType, int] = {}
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict) and (count := _count(each.get("tokenCount"))) is not None:
            name = each.get("modality")
            modality = _MODALITIES.get(name) if type(name) in {str, int} else None
            if modality is not None:
                found[modality] = min(found.get(modality, 0) + count, _INT64 - 1)
    return found


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _INT64 else None
