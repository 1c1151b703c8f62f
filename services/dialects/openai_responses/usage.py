"""Usage in disjoint classes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.dialects.members import JSON_FAULTS, JsonObject, decode_json, json_text

_MOST_TOKENS: Final = 1 << 62


class _Spoken(msgspec.Struct, gc=False):
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Framed(msgspec.Struct, gc=False):
    response: _Spoken | None = None


_spoken = msgspec.json.Decoder(_Spoken).decode
_framed = msgspec.json.Decoder(_Framed).decode


def usage_text(body: bytes) -> str:
    """The JSON of a body's usage member, to the letter."""
    try:
        return bytes(_spoken(body).usage).decode()
    except JSON_FAULTS:
        return ""


def framed_usage_text(frame: bytes) -> str:
    """As usage_text, of the response in a stream's frame."""
    try:
        response = _framed(frame).response
        return bytes(response.usage).decode() if response is not None else ""
    except JSON_FAULTS:
        return ""


def read_usage(value: JsonObject, text: str = "", response: JsonObject | None = None) -> Usage:
    """Read a usage object; `text` is its JSON to the letter, `response` the object around it."""
    usage = Usage(measure=Measure.MEASURE_VENDOR, provider_json=text or json_text(value))
    given, made, total = (
        _count(value.get(name)) for name in ("input_tokens", "output_tokens", "total_tokens")
    )
    if total is not None:
        usage.provider_total_tokens = total
    if given is not None:
        details = _details(value, "input_tokens_details")
        cached, written = _count(details.get("cached_tokens")), _count(details.get("cache_write_tokens"))
        if cached is not None:
            usage.cache_read_tokens = cached
        if written is not None:
            usage.cache_write_tokens = written
        fresh = given - (cached or 0) - (written or 0)
        usage.input_tokens = fresh if fresh >= 0 else given
    if made is not None:
        reasoning = _count(_details(value, "output_tokens_details").get("reasoning_tokens"))
        usage.output_tokens = made
        if reasoning is not None:
            beside = total is not None and given is not None and total - given - made == reasoning
            usage.reasoning_tokens = reasoning if beside else min(reasoning, made)
            usage.output_tokens = made if beside else made - usage.reasoning_tokens
    if response is not None:
        _read_around(usage, response)
    return usage


def write_usage(usage: Usage) -> JsonObject | msgspec.Raw:
    """Write a usage object: the provider's own, to the letter, if it is of this dialect and says the same."""
    if usage.provider_json and _is_own(usage):
        return msgspec.Raw(usage.provider_json)
    writes = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    given = usage.input_tokens + usage.cache_read_tokens + writes + usage.tool_prompt_tokens
    made = usage.output_tokens + usage.reasoning_tokens
    details = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": writes}
    return {
        "input_tokens": given,
        "input_tokens_details": details,
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": given + made,
    }


def _read_around(usage: Usage, response: JsonObject) -> None:
    tier = response.get("service_tier")
    if isinstance(tier, str):
        usage.service_tier = tier
    searches = _count(_details(_details(response, "tool_usage"), "web_search").get("num_requests"))
    if searches:
        usage.server_tool_calls["web_search_requests"] = searches


def _is_own(usage: Usage) -> bool:
    try:
        value = decode_json(usage.provider_json)
    except ValueError:
        return False
    if not isinstance(value, dict) or "input_tokens" not in value or "input_tokens_details" not in value:
        return False
    again = read_usage(value, usage.provider_json)
    again.service_tier = usage.service_tier
    again.measure = usage.measure
    again.server_tool_calls.update(usage.server_tool_calls)
    return again == usage


def _details(value: JsonObject, name: str) -> JsonObject:
    details: Any = value.get(name)
    return details if isinstance(details, dict) else {}


def _count(value: object) -> int | None:
    """A token count; None for what is none."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None
