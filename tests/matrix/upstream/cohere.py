"""POST /v2/chat."""

from __future__ import annotations

import json
from typing import Any

from cohere import V2ChatResponse

from tests.matrix.cases import MESSAGE, RETRY_SECONDS, TOOL, Said, asked
from tests.matrix.upstream.words import halves, joined, of_data_url, parts_of, refused, sse
from tests.support.faults import Program

_CHOICES = {"REQUIRED": "required", None: "auto"}


class Cohere:
    """Cohere's second dialect, which knows no signatures; what it bills is not told apart by caches."""

    lacks = frozenset({"state", "tokens_cached"})
    content_type = "text/event-stream"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        assert bool(body.get("stream")) == stream
        messages = body["messages"]
        parts = parts_of(messages, "user")
        calls = [call for message in messages for call in message.get("tool_calls") or ()]
        functions = [tool["function"] for tool in body.get("tools") or ()]
        shape = body.get("response_format") or {}
        return asked(
            system="".join(joined(m["content"]) for m in messages if m["role"] == "system"),
            texts=[part["text"] for part in parts if part["type"] == "text"],
            images=[of_data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"],
            tools=[(each["name"], each.get("description"), each["parameters"]) for each in functions],
            choice=_CHOICES[body.get("tool_choice")],
            calls=[
                (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in calls
            ],
            results=[(m["tool_call_id"], joined(m["content"])) for m in messages if m["role"] == "tool"],
            schema=shape.get("json_schema"),
            most_tokens=body.get("max_tokens"),
            temperature=body.get("temperature"),
            stop=body.get("stop_sequences") or [],
            thinking=body.get("thinking"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if said.thought:
            content.append({"type": "thinking", "thinking": said.thought})
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if said.calls:
            message["tool_calls"] = [_call(call.id, call.arguments) for call in said.calls]
        if said.text:
            content.append({"type": "text", "text": said.text})
        body = {"id": "c1", "message": message, "finish_reason": _finish(said), "usage": _usage(said)}
        V2ChatResponse.model_validate(body)
        return body

    def pieces(self, said: Said, model: str) -> list[bytes]:
        start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        frames: list[dict[str, Any]] = [{"type": "message-start", "id": "c1", "delta": {"message": start}}]
        number = 0
        for kind, text in (("thinking", said.thought), ("text", said.text)):
            if text:
                frames += _block(number, kind, text)
                number += 1
        for index, call in enumerate(said.calls):
            frames.append(_frame("tool-call-start", index, {"tool_calls": _call(call.id, "")}))
            frames += [
                _frame("tool-call-delta", index, {"tool_calls": {"function": {"arguments": piece}}})
                for piece in halves(call.arguments)
            ]
            frames.append(_frame("tool-call-end", index))
        end = {"finish_reason": _finish(said), "usage": _usage(said)}
        frames.append({"type": "message-end", "delta": end})
        return [*(sse(frame, frame["type"]) for frame in frames), b"data: [DONE]\n\n"]

    def refusal(self) -> Program:
        return refused({"id": "e1", "message": MESSAGE}, {"retry-after": str(RETRY_SECONDS)})


def _call(given: str, arguments: str) -> dict[str, Any]:
    return {"id": given, "type": "function", "function": {"name": TOOL, "arguments": arguments}}


def _finish(said: Said) -> str:
    return "TOOL_CALL" if said.calls else "COMPLETE"


def _usage(said: Said) -> dict[str, Any]:
    tokens = {"input_tokens": said.tokens_in, "output_tokens": said.tokens_out}
    return {
        "billed_units": tokens,
        "tokens": {**tokens, "reasoning_tokens": said.tokens_thought} if said.thought else tokens,
        "cached_tokens": said.tokens_cached,
    }


def _frame(kind: str, index: int, message: dict[str, Any] | None = None) -> dict[str, Any]:
    delta = {} if message is None else {"delta": {"message": message}}
    return {"type": kind, "index": index, **delta}


def _block(index: int, kind: str, text: str) -> list[dict[str, Any]]:
    return [
        _frame("content-start", index, {"content": {"type": kind, kind: ""}}),
        *(_frame("content-delta", index, {"content": {kind: piece}}) for piece in halves(text)),
        _frame("content-end", index),
    ]
