"""Usage: Anthropic's input excludes cache reads and writes, its output includes thinking."""

from __future__ import annotations

from typing import Any, Final

from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.members import JsonObject, decode_json

_INT64: Final = 1 << 63
_BESIDE: Final = ("compaction", "advisor_message")
"""Kinds of iterations that the sums leave out; those of the messages themselves are in them."""


def read_usage(value: JsonObject, text: str) -> Usage:
    """Read a usage object into disjoint classes; `text` is the object to the letter.

    Its sums leave out what compaction and advisors used, which Anthropic charges all the same: it is added here.
    """
    usage = Usage(measure=MEASURE_VENDOR, provider_json=text)
    _read_tokens(value, usage)
    for name, calls in _object(value.get("server_tool_use")).items():
        if (counted := _count(calls)) is not None:
            usage.server_tool_calls[name] = counted
    if type(tier := value.get("service_tier")) is str:
        usage.service_tier = tier
    if type(iterations := value.get("iterations")) is list:
        _add_iterations(iterations, usage)
    return usage


def _read_tokens(value: JsonObject, usage: Usage) -> None:
    if (tokens := _count(value.get("input_tokens"))) is not None:
        usage.input_tokens = tokens
    if (tokens := _count(value.get("cache_read_input_tokens"))) is not None:
        usage.cache_read_tokens = tokens
    _read_cache_writes(value, usage)
    if (tokens := _count(value.get("output_tokens"))) is not None:
        thinking = _count(_object(value.get("output_tokens_details")).get("thinking_tokens"))
        if thinking is not None:
            thinking = min(thinking, tokens)
            usage.reasoning_tokens = thinking
        usage.output_tokens = tokens - (thinking or 0)


def _add_iterations(iterations: list[Any], usage: Usage) -> None:
    for iteration in iterations:
        if type(iteration) is not dict or iteration.get("type") not in _BESIDE:
            continue
        beside = Usage()
        _read_tokens(iteration, beside)
        for field, tokens in beside.ListFields():
            total = getattr(usage, field.name) + tokens
            if tokens and total < _INT64:
                setattr(usage, field.name, total)


def merge_usage(before: JsonObject, update: JsonObject) -> JsonObject:
    """Running totals: what the update says replaces, what it leaves out or nulls stays."""
    return {**before, **{name: value for name, value in update.items() if value is not None}}


def write_usage(usage: Usage) -> JsonObject:
    """Write a usage object; classes that are not known are left out, or 0 where clients demand a number."""
    if '"iterations"' in usage.provider_json and (own := _own(usage)) is not None:
        return own
    written: JsonObject = {"input_tokens": usage.input_tokens + usage.tool_prompt_tokens}
    by_life = usage.HasField("cache_write_5m_tokens") or usage.HasField("cache_write_1h_tokens")
    if by_life or usage.HasField("cache_write_tokens"):
        written["cache_creation_input_tokens"] = (
            usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + usage.cache_write_tokens
        )
    if usage.HasField("cache_read_tokens"):
        written["cache_read_input_tokens"] = usage.cache_read_tokens
    if by_life:
        written["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        }
    written["output_tokens"] = usage.output_tokens + usage.reasoning_tokens
    if usage.HasField("reasoning_tokens"):
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    searches = usage.server_tool_calls.get("web_search_requests", 0)
    fetches = usage.server_tool_calls.get("web_fetch_requests", 0)
    if searches or fetches:
        written["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": fetches}
    return written


def _own(usage: Usage) -> JsonObject | None:
    """The provider's own object, if it is Anthropic's: its sums are not those of the classes."""
    try:
        value = decode_json(usage.provider_json)
    except ValueError:
        return None
    if type(value) is not dict or "input_tokens" not in value:
        return None
    again = read_usage(value, usage.provider_json)
    again.service_tier = usage.service_tier
    return value if again == usage else None


def _read_cache_writes(value: JsonObject, usage: Usage) -> None:
    """Split the tokens written by lifetime, as far as the split accounts for them."""
    total = _count(value.get("cache_creation_input_tokens"))
    split = _object(value.get("cache_creation"))
    five_minutes = _count(split.get("ephemeral_5m_input_tokens"))
    one_hour = _count(split.get("ephemeral_1h_input_tokens"))
    known = (five_minutes or 0) + (one_hour or 0)
    if total is not None and total < known:
        # The split is older than the total: it came with the start of a stream.
        usage.cache_write_tokens = total
        return
    if five_minutes is not None:
        usage.cache_write_5m_tokens = five_minutes
    if one_hour is not None:
        usage.cache_write_1h_tokens = one_hour
    if total is not None and (total > known or (five_minutes is None and one_hour is None)):
        usage.cache_write_tokens = total - known


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _INT64 else None


def _object(value: Any) -> JsonObject:
    return value if type(value) is dict else {}
