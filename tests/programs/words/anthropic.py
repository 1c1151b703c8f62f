"""POST /v1/messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.programs.words.spoken import INPUT_TOKENS, OUTPUT_TOKENS, Asked, Call, Said, halves, plain


class Anthropic:
    """Messages."""

    def read(self, body: dict[str, Any], path: str) -> Asked:
        blocks = (
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        )
        results = (plain(block.get("content")) for block in blocks if block["type"] == "tool_result")
        tools = frozenset(each["name"] for each in body.get("tools", ()))
        return Asked(bool(body.get("stream")), tools, tuple(results), body)

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
        content += [_use(call, call.arguments) for call in said.calls]
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
        return {**_head(said, model), "content": content, "stop_reason": _reason(said), "usage": usage}

    def events(self, said: Said, model: str) -> list[bytes]:
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
        message = {**_head(said, model), "content": [], "stop_reason": None, "usage": usage}
        delta = {"stop_reason": _reason(said), "stop_sequence": None}
        events = [
            {"type": "message_start", "message": message},
            *_blocks(said),
            {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT_TOKENS}},
            {"type": "message_stop"},
        ]
        return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]


def _head(said: Said, model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{said.number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_sequence": None,
    }


def _reason(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _use(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


def _blocks(said: Said) -> Iterator[dict[str, Any]]:
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if said.text:
        pieces = [{"type": "text_delta", "text": piece} for piece in halves(said.text)]
        blocks.append(({"type": "text", "text": ""}, pieces))
    for call in said.calls:
        pieces = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in halves(json.dumps(call.arguments))
        ]
        blocks.append((_use(call, {}), pieces))
    for index, (block, deltas) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
