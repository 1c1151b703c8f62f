"""Usage: what Cohere bills for, which is less than what its models read and write.

`billed_units` leaves out the tokens that Cohere itself adds to prompt and answer; they are not charged, so they are in
no class. `cached_tokens` counts among all tokens, not among the billed ones, so it is a class of its own only where
nothing is said about billing. Everything is in `provider_json`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.types.v1.usage_pb2 import Measure, Modality, Usage, UsageClass
from services.dialects.members import JsonObject, decode_json, json_text

_MOST: Final = 1 << 62
_CALLS: Final = ("search_units", "classifications")


def read_usage(value: JsonObject, written: str = "") -> Usage:
    """Read a usage object, or the `meta` of embeddings; `written` is its JSON to the letter."""
    usage = Usage(measure=Measure.MEASURE_VENDOR, provider_json=written or json_text(value))
    billed, tokens = _object(value, "billed_units"), _object(value, "tokens")
    _read_input(usage, value, billed, tokens)
    output = _count(billed.get("output_tokens"))
    if output is None:
        output = _count(tokens.get("output_tokens"))
    thought = _count(tokens.get("reasoning_tokens"))
    if output is not None:
        usage.output_tokens = output - min(thought or 0, output)
    if thought is not None:
        usage.reasoning_tokens = thought if output is None else min(thought, output)
    for name in _CALLS:
        units = _count(billed.get(name))
        if units:
            usage.server_tool_calls[name] = units
    return usage


def _read_input(usage: Usage, value: JsonObject, billed: JsonObject, tokens: JsonObject) -> None:
    read = _count(billed.get("input_tokens"))
    if read is not None:
        usage.input_tokens = read
    elif (read := _count(tokens.get("input_tokens"))) is not None:
        cached = _count(value.get("cached_tokens"))
        if cached is not None and cached <= read:
            usage.cache_read_tokens = cached
            read -= cached
        usage.input_tokens = read
    images = _count(billed.get("image_tokens"))
    if images:
        text = _count(billed.get("text_tokens"))
        if text is None or read is None or text + images != read:
            # Image tokens stand beside the text's.
            usage.input_tokens += images
        usage.modalities.add(
            usage_class=UsageClass.USAGE_CLASS_INPUT, modality=Modality.MODALITY_IMAGE, tokens=images
        )


def write_usage(usage: Usage) -> JsonObject | msgspec.Raw:
    """Write a usage object: Cohere's own, to the letter, if it says the same."""
    if usage.provider_json and _is_own(usage):
        return msgspec.Raw(usage.provider_json.encode())
    cached = usage.cache_read_tokens
    written = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    counts: JsonObject = {
        "input_tokens": usage.input_tokens + cached + written + usage.tool_prompt_tokens,
        "output_tokens": usage.output_tokens + usage.reasoning_tokens,
    }
    tokens = dict(counts)
    if usage.HasField("reasoning_tokens"):
        tokens["reasoning_tokens"] = usage.reasoning_tokens
    value: JsonObject = {"billed_units": counts, "tokens": tokens}
    if usage.HasField("cache_read_tokens"):
        value["cached_tokens"] = cached
    return value


def _is_own(usage: Usage) -> bool:
    try:
        value = decode_json(usage.provider_json)
    except ValueError:
        return False
    if not isinstance(value, dict):
        return False
    again = read_usage(value, usage.provider_json)
    again.measure = usage.measure
    return again == usage


def _object(value: JsonObject, name: str) -> JsonObject:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _count(value: Any) -> int | None:
    """A count; Cohere's types allow 7.0 for 7."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST else None
