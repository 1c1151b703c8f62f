"""POST /v1/chat/completions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.programs.words.spoken import INPUT_TOKENS, OUTPUT_TOKENS, Asked, Said, halves, plain

_USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}


class OpenAIChat:
    """Chat completions."""

    def read(self, body: dict[str, Any], path: str) -> Asked:
        tools = (each["function"]["name"] for each in body.get("tools", ()) if each["type"] == "function")
        results = (plain(each["content"]) for each in body["messages"] if each["role"] == "tool")
        return Asked(bool(body.get("stream")), frozenset(tools), tuple(results), body)

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
        if said.calls:
            message["tool_calls"] = _calls(said)
        choice = {"index": 0, "message": message, "finish_reason": _reason(said)}
        return {**_head(said, model, "chat.completion"), "choices": [choice], "usage": _USAGE}

    def events(self, said: Said, model: str) -> list[bytes]:
        head = _head(said, model, "chat.completion.chunk")
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in _deltas(said)
        ]
        end = {"index": 0, "delta": {}, "finish_reason": _reason(said)}
        chunks += [{**head, "choices": [end]}, {**head, "choices": [], "usage": _USAGE}]
        return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def _head(said: Said, model: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{said.number}",
        "object": kind,
        "created": 1_700_000_000,
        "model": model,
    }


def _reason(said: Said) -> str:
    return "tool_calls" if said.calls else "stop"


def _calls(said: Said) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in said.calls
    ]


def _deltas(said: Said) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for piece in halves(said.text) if said.text else ():
        yield {"content": piece}
    for index, call in enumerate(_calls(said)):
        first, second = halves(call["function"]["arguments"])
        start = {**call, "index": index, "function": {**call["function"], "arguments": first}}
        yield {"tool_calls": [start]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": second}}]}
