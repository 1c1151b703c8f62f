"""Usage: Bedrock's input excludes cache reads and writes, its output includes thinking, its total is of all."""

from __future__ import annotations

from typing import Any, Final

from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.members import JsonObject

_INT64: Final = 1 << 63


def read_usage(value: JsonObject, text: str) -> Usage:
    """Read a usage object into disjoint classes; `text` is the object to the letter."""
    usage = Usage(measure=MEASURE_VENDOR, provider_json=text)
    for name, field in _PLAIN:
        if (tokens := _count(value.get(name))) is not None:
            setattr(usage, field, tokens)
    _read_cache_writes(value, usage)
    tools = value.get("serverToolUsage")
    if type(tools) is dict:
        for name, calls in tools.items():
            if (counted := _count(calls)) is not None:
                usage.server_tool_calls[name] = counted
    return usage


def write_usage(usage: Usage) -> JsonObject:
    """Write a usage object; cache classes that are not known are left out."""
    inputs = usage.input_tokens + usage.tool_prompt_tokens
    outputs = usage.output_tokens + usage.reasoning_tokens
    writes = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + usage.cache_write_tokens
    written: JsonObject = {
        "inputTokens": inputs,
        "outputTokens": outputs,
        "totalTokens": inputs + outputs + writes + usage.cache_read_tokens,
    }
    if usage.HasField("cache_read_tokens"):
        written["cacheReadInputTokens"] = usage.cache_read_tokens
    details = [
        {"ttl": ttl, "inputTokens": tokens}
        for ttl, tokens in (("1h", usage.cache_write_1h_tokens), ("5m", usage.cache_write_5m_tokens))
        if tokens
    ]
    if details or any(usage.HasField(field) for field in _WRITES):
        written["cacheWriteInputTokens"] = writes
    if details:
        written["cacheDetails"] = details
    return written


def _read_cache_writes(value: JsonObject, usage: Usage) -> None:
    """Split the tokens written by lifetime, as far as the split accounts for them."""
    total = _count(value.get("cacheWriteInputTokens"))
    details = value.get("cacheDetails")
    split = {"5m": 0, "1h": 0}
    for each in details if type(details) is list else ():
        if type(each) is dict and (ttl := each.get("ttl")) in ("5m", "1h"):
            split[ttl] += _count(each.get("inputTokens")) or 0
    known = split["5m"] + split["1h"]
    if known >= _INT64 or (total is not None and total < known):
        split, known = {"5m": 0, "1h": 0}, 0
    if split["5m"]:
        usage.cache_write_5m_tokens = split["5m"]
    if split["1h"]:
        usage.cache_write_1h_tokens = split["1h"]
    if total is not None and (total > known or not known):
        usage.cache_write_tokens = total - known


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _INT64 else None


_PLAIN: Final = (
    ("inputTokens", "input_tokens"),
    ("outputTokens", "output_tokens"),
    ("totalTokens", "provider_total_tokens"),
    ("cacheReadInputTokens", "cache_read_tokens"),
)
_WRITES: Final = ("cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
