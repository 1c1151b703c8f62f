"""POST /api/chat."""

from __future__ import annotations

import base64
import json
from typing import Any

from ollama import ChatResponse

from tests.matrix.cases import MESSAGE, RETRY_SECONDS, TOOL, Said, asked
from tests.matrix.upstream.words import halves, refused
from tests.support.faults import Program

_DONE = {"done": True, "done_reason": "stop", "total_duration": 9, "load_duration": 1}


class Ollama:
    """Ollama's own dialect: no ids, no signatures, and two counts."""

    lacks = frozenset({"ids", "state", "tokens_thought", "tokens_cached"})
    content_type = "application/x-ndjson"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        assert body.get("stream", True) == stream
        messages = body["messages"]
        users = [message for message in messages if message["role"] == "user"]
        calls = [call for message in messages for call in message.get("tool_calls") or ()]
        functions = [tool["function"] for tool in body.get("tools") or ()]
        settings = body.get("options") or {}
        return asked(
            system="".join(message["content"] for message in messages if message["role"] == "system"),
            texts=[message["content"] for message in users],
            images=[base64.b64decode(data) for message in users for data in message.get("images") or ()],
            tools=[(each["name"], each.get("description"), each["parameters"]) for each in functions],
            choice=body.get("tool_choice"),
            calls=[(c.get("id"), c["function"]["name"], c["function"]["arguments"]) for c in calls],
            results=[
                (message.get("tool_call_id"), message["content"])
                for message in messages
                if message["role"] == "tool"
            ],
            schema=body.get("format"),
            most_tokens=settings.get("num_predict"),
            temperature=settings.get("temperature"),
            stop=settings.get("stop") or [],
            think=body.get("think"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        message: dict[str, Any] = {"content": said.text}
        if said.thought:
            message["thinking"] = said.thought
        if said.calls:
            message["tool_calls"] = [_call(index, call.value) for index, call in enumerate(said.calls)]
        return _line(model, message, **_end(said))

    def pieces(self, said: Said, model: str) -> list[bytes]:
        lines = [_line(model, {"content": "", "thinking": piece}) for piece in halves(said.thought)]
        lines += [_line(model, {"content": piece}) for piece in halves(said.text)]
        lines += [
            _line(model, {"content": "", "tool_calls": [_call(index, call.value)]})
            for index, call in enumerate(said.calls)
        ]
        lines.append(_line(model, {"content": ""}, **_end(said)))
        return [json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines]

    def refusal(self) -> Program:
        return refused({"error": MESSAGE}, {"retry-after": str(RETRY_SECONDS)})


def _call(index: int, arguments: dict[str, str]) -> dict[str, Any]:
    return {"function": {"index": index, "name": TOOL, "arguments": arguments}}


def _end(said: Said) -> dict[str, Any]:
    return {**_DONE, "prompt_eval_count": said.tokens_in, "eval_count": said.tokens_out}


def _line(model: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    line = {
        "model": model,
        "created_at": "2025-07-07T20:22:19.5Z",
        "message": {"role": "assistant", **message},
        "done": False,
        **more,
    }
    ChatResponse.model_validate(line)
    return line
