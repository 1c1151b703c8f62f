"""Usage: counts that stand among the members of the last line; thinking is in the output and not told apart."""

from __future__ import annotations

from typing import Final

from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.dialects.members import JsonObject, Members, json_text

_COUNTS: Final = ("prompt_eval_count", "eval_count")
_TIMES: Final = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_MOST: Final = 1 << 62


def take_usage(members: Members) -> Usage | None:
    """Take the counts; the times stay. None if nothing is counted."""
    told: JsonObject = {
        name: members.rest[name] for name in (*_COUNTS, *_TIMES) if members.rest.get(name) is not None
    }
    usage = Usage(measure=Measure.MEASURE_VENDOR)
    found = False
    for name, field in zip(_COUNTS, ("input_tokens", "output_tokens"), strict=True):
        count = told.get(name)
        if type(count) is int and 0 <= count < _MOST:
            setattr(usage, field, count)
            del members.rest[name]
            found = True
    if not found:
        return None
    usage.provider_json = json_text(told)
    return usage


def write_usage(usage: Usage) -> JsonObject:
    """The counts; a class that is not known is left out."""
    written: JsonObject = {}
    read = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "tool_prompt_tokens")
    split = ("cache_write_5m_tokens", "cache_write_1h_tokens")
    if any(usage.HasField(each) for each in (*read, *split)):  # type: ignore[arg-type]
        written["prompt_eval_count"] = sum(getattr(usage, each) for each in (*read, *split))
    if usage.HasField("output_tokens") or usage.HasField("reasoning_tokens"):
        written["eval_count"] = usage.output_tokens + usage.reasoning_tokens
    return written
