"""Streamed blocks that have no counterpart elsewhere: server tools, MCP, compaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from services.dialects.members import JsonObject, decode_json, json_text


def whole_block(start: str, deltas: Iterable[str]) -> str:
    """The block as a whole answer has it, from its start and its deltas (`opaque_json`); raise ValueError for junk."""
    block = _object(start)
    arguments: list[str] = []
    for text in deltas:
        delta = _object(text)
        kind = delta.pop("type", "")
        if kind == "input_json_delta":
            piece = delta.get("partial_json") or ""
            if not isinstance(piece, str):
                raise ValueError("a piece of input that is no text")
            arguments.append(piece)
        else:
            # compaction_delta and its like bring members of the block.
            block.update(delta)
    joined = "".join(arguments)
    if joined:
        decode_json(joined)
        block["input"] = msgspec.Raw(joined)
    return json_text(block)


def _object(text: str) -> JsonObject:
    value = decode_json(text)
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004 - as for what is not JSON
    return value
