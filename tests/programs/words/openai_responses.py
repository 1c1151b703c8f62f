"""POST /v1/responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.programs.words.spoken import INPUT_TOKENS, OUTPUT_TOKENS, Asked, Said, halves, plain

_RESULTS = ("function_call_output", "custom_tool_call_output")
_USAGE = {
    "input_tokens": INPUT_TOKENS,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": OUTPUT_TOKENS,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}


class OpenAIResponses:
    """Responses."""

    def read(self, body: dict[str, Any], path: str) -> Asked:
        items = body["input"] if isinstance(body["input"], list) else []
        results = (plain(item["output"]) for item in items if item.get("type") in _RESULTS)
        tools = (each["name"] for each in body.get("tools", ()) if "name" in each)
        return Asked(bool(body.get("stream")), frozenset(tools), tuple(results), body)

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        return _response(said, model, _items(said), "completed")

    def events(self, said: Said, model: str) -> list[bytes]:
        items = _items(said)
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": _response(said, model, [], "in_progress")}
        ]
        for index, item in enumerate(items):
            empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
            opened = {**item, "status": "in_progress", **empty}
            events.append({"type": "response.output_item.added", "output_index": index, "item": opened})
            events += _inside(item, index)
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        events.append({"type": "response.completed", "response": _response(said, model, items, "completed")})
        return [
            f"event: {each['type']}\ndata: {json.dumps({**each, 'sequence_number': number})}\n\n".encode()
            for number, each in enumerate(events)
        ]


def _items(said: Said) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": []}
        items.append(
            {
                "type": "message",
                "id": f"msg_{said.number}",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    items += [
        {
            "type": "function_call",
            "id": f"fc_{said.number}_{number}",
            "call_id": call.id,
            "name": call.name,
            "arguments": json.dumps(call.arguments),
            "status": "completed",
        }
        for number, call in enumerate(said.calls)
    ]
    return items


def _inside(item: dict[str, Any], index: int) -> Iterator[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "function_call":
        for piece in halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
        return
    (part,) = item["content"]
    at = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    for piece in halves(part["text"]):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}


def _response(said: Said, model: str, items: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{said.number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": model,
        "output": items,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _USAGE if status == "completed" else None,
    }
