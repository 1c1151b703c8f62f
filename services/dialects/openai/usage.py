"""Usage of every OpenAI-compatible vendor in disjoint classes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.types.v1.usage_pb2 import Measure, Modality, Usage, UsageClass
from services.dialects.members import decode_json, json_text
from services.dialects.surrogates import mended

_INPUT_MODALITIES: Final = (
    ("audio_tokens", Modality.MODALITY_AUDIO),
    ("image_tokens", Modality.MODALITY_IMAGE),
    ("video_tokens", Modality.MODALITY_VIDEO),
)
_SEARCHES: Final = (
    ("num_sources_used", "sources_used"),
    ("num_search_queries", "search_queries"),
)
_MOST_TOKENS: Final = 1 << 62


class _Spoken(msgspec.Struct, gc=False):
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _GroqSpoken(msgspec.Struct, gc=False):
    x_groq: _Spoken | None = None


_spoken = msgspec.json.Decoder(_Spoken).decode
_groq_spoken = msgspec.json.Decoder(_GroqSpoken).decode


def usage_text(body: bytes) -> str:
    """The JSON of the usage member of a body or frame, to the letter."""
    try:
        spoken = _spoken(body)
    except msgspec.MsgspecError:
        spoken = _spoken(mended(body))
    return bytes(spoken.usage).decode()


def groq_usage_text(body: bytes) -> str:
    """As usage_text, of Groq's own copy."""
    try:
        own = _groq_spoken(body).x_groq
    except msgspec.MsgspecError:
        own = _groq_spoken(mended(body)).x_groq
    return bytes(own.usage).decode() if own is not None else ""


def decode_usage(value: dict[str, Any], text: str = "") -> Usage:
    """Read a usage object; `text` is its JSON to the letter, made from the value where it is not at hand."""
    usage = Usage(measure=Measure.MEASURE_VENDOR, provider_json=text or json_text(value))
    prompt, completion, total = (
        _count(value.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    prompt_details = _details(value, "prompt_tokens_details")
    completion_details = _details(value, "completion_tokens_details")
    if total is not None:
        usage.provider_total_tokens = total
    if prompt is not None:
        _decode_input(usage, value, prompt, prompt_details)
    elif total is not None and completion is not None and total >= completion:
        usage.input_tokens = total - completion
    if completion is not None:
        reasoning = _count(completion_details.get("reasoning_tokens"))
        _decode_output(usage, value, (prompt, completion, total), reasoning)
    audio = _count(completion_details.get("audio_tokens"))
    if audio:
        _modality(usage, UsageClass.USAGE_CLASS_OUTPUT, Modality.MODALITY_AUDIO, audio)
    image = _count(completion_details.get("image_tokens"))
    if image:
        _modality(usage, UsageClass.USAGE_CLASS_OUTPUT, Modality.MODALITY_IMAGE, image)
    _decode_tools(usage, value)
    return usage


def encode_usage(usage: Usage, *, embedding: bool = False) -> dict[str, Any] | msgspec.Raw:
    """Write a usage object: the provider's own, to the letter, if it is of this dialect and says the same."""
    if usage.provider_json and _is_own(usage):
        return msgspec.Raw(usage.provider_json)
    reads = usage.cache_read_tokens
    writes = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    prompt = usage.input_tokens + reads + writes + usage.tool_prompt_tokens
    completion = usage.output_tokens + usage.reasoning_tokens
    if embedding:
        return {"prompt_tokens": prompt, "total_tokens": prompt}
    written: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details: dict[str, int] = {}
    if usage.HasField("cache_read_tokens"):
        details["cached_tokens"] = reads
    if writes:
        details["cache_write_tokens"] = writes
    if details:
        written["prompt_tokens_details"] = details
    if usage.HasField("reasoning_tokens"):
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return written


def _decode_input(usage: Usage, value: dict[str, Any], prompt: int, details: dict[str, Any]) -> None:
    cached = _first(
        details.get("cached_tokens"),
        value.get("prompt_cache_hit_tokens"),
        value.get("num_cached_tokens"),
        value.get("cached_tokens"),
    )
    written = _first(details.get("cache_write_tokens"), value.get("cache_creation_input_tokens"))
    if cached is not None:
        usage.cache_read_tokens = cached
    if written is not None:
        usage.cache_write_tokens = written
    rest = prompt - (cached or 0) - (written or 0)
    # More from the cache than in the prompt: the vendor counts the cache beside the prompt (xAI on Azure).
    usage.input_tokens = rest if rest >= 0 else prompt
    for name, modality in _INPUT_MODALITIES:
        count = _count(details.get(name))
        if count:
            _modality(usage, UsageClass.USAGE_CLASS_INPUT, modality, count)
    cited = _count(value.get("citation_tokens"))
    if cited:
        usage.tool_prompt_tokens = cited


def _decode_output(
    usage: Usage,
    value: dict[str, Any],
    counts: tuple[int | None, int, int | None],
    reasoning: int | None,
) -> None:
    prompt, completion, total = counts
    usage.output_tokens = completion
    hidden = total - prompt - completion if total is not None and prompt is not None else 0
    if reasoning is not None:
        if hidden > 0 and hidden == reasoning:
            # xAI: completion leaves reasoning out, the total has it.
            usage.reasoning_tokens = reasoning
        elif reasoning <= completion + completion // 4 + 4:
            # OpenAI: reasoning is a part of completion. A count just above it comes from another tokenizer.
            usage.reasoning_tokens = min(reasoning, completion)
            usage.output_tokens = completion - usage.reasoning_tokens
        else:
            # Vercel before Gemini: neither completion nor total has it.
            usage.reasoning_tokens = reasoning
        return
    beside = _count(value.get("reasoning_tokens"))
    if beside is not None:
        # Perplexity's research models: beside completion and total.
        usage.reasoning_tokens = beside
    elif hidden > 0:
        if value.get("prompt_audio_seconds") is not None:
            # Mistral: sound is in the total only.
            usage.input_tokens += hidden
            _modality(usage, UsageClass.USAGE_CLASS_INPUT, Modality.MODALITY_AUDIO, hidden)
        else:
            # Gemini's compatible endpoint: thoughts are in the total only.
            usage.reasoning_tokens = hidden


def _decode_tools(usage: Usage, value: dict[str, Any]) -> None:
    for name, call in _SEARCHES:
        count = _count(value.get(name))
        if count:
            usage.server_tool_calls[call] = count
    searches = _count(_details(value, "server_tool_use_details").get("web_search_requests"))
    if searches is None:
        searches = _count(_details(value, "server_tool_use").get("web_search_requests"))
    if searches:
        usage.server_tool_calls["web_search_requests"] = searches


def _is_own(usage: Usage) -> bool:
    try:
        value = decode_json(usage.provider_json)
    except ValueError:
        return False
    if not isinstance(value, dict) or "prompt_tokens" not in value:
        return False
    again = decode_usage(value, usage.provider_json)
    again.service_tier = usage.service_tier
    again.measure = usage.measure
    return again == usage


def _modality(
    usage: Usage, usage_class: UsageClass.ValueType, modality: Modality.ValueType, tokens: int
) -> None:
    usage.modalities.add(usage_class=usage_class, modality=modality, tokens=tokens)


def _details(value: dict[str, Any], name: str) -> dict[str, Any]:
    details = value.get(name)
    return details if isinstance(details, dict) else {}


def _first(*values: object) -> int | None:
    for value in values:
        count = _count(value)
        if count is not None:
            return count
    return None


def _count(value: object) -> int | None:
    """A token count; None for what is none."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None
