"""Streamed blocks that have no counterpart elsewhere: server tools, MCP, compaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from services.dialects.members import JsonObject, decode_json, json_text


def whole_block(start: str, deltas: Iterable[str]) -> str:
    """The block as a whole answer has it, from its start and its deltas (`opaque_json`); raise ValueError for junk."""
    block: JsonObject = decode_json(start)
    arguments: list[str] = []
    for text in deltas:
        delta = decode_json(text)
        kind = delta.pop("type", "")
        if kind == "input_json_delta":
            arguments.append(delta.get("partial_json") or "")
        else:
            # compaction_delta and its like bring members of the block.
            block.update(delta)
    joined = "".join(arguments)
    if joined:
        decode_json(joined)
        block["input"] = msgspec.Raw(joined)
    return json_text(block)
