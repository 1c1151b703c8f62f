"""POST /v1/chat/completions."""

from __future__ import annotations

import json
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.matrix.cases import MESSAGE, RETRY_SECONDS, TOOL, Said, asked
from tests.matrix.upstream.words import halves, joined, of_data_url, parts_of, refused, sse
from tests.support.faults import Program

_CHOICES = {"any": "required", "required": "required", "auto": "auto", None: "auto"}


class OpenAIChat:
    """OpenAI's first dialect; thoughts as the servers that copy it tell them."""

    lacks = frozenset({"state"})
    content_type = "text/event-stream; charset=utf-8"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        assert bool(body.get("stream")) == stream
        messages = body["messages"]
        system = [message for message in messages if message["role"] in {"system", "developer"}]
        parts = parts_of(messages, "user")
        calls = [call for message in messages for call in message.get("tool_calls") or ()]
        functions = [tool["function"] for tool in body.get("tools") or ()]
        shape = (body.get("response_format") or {}).get("json_schema") or {}
        return asked(
            system="".join(joined(message["content"]) for message in system),
            texts=[part["text"] for part in parts if part["type"] == "text"],
            images=[of_data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"],
            tools=[(each["name"], each.get("description"), each["parameters"]) for each in functions],
            choice=_CHOICES[body.get("tool_choice")],
            calls=[
                (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in calls
            ],
            results=[(m["tool_call_id"], joined(m["content"])) for m in messages if m["role"] == "tool"],
            schema=shape.get("schema"),
            most_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            temperature=body.get("temperature"),
            stop=[body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or [],
            reasoning_effort=body.get("reasoning_effort"),
            strict=shape.get("strict"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": None}
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.calls:
            message["tool_calls"] = [_call(call.id, call.arguments) for call in said.calls]
        choice = {"index": 0, "message": message, "finish_reason": _finish(said), "logprobs": None}
        body = {**_head(model, "chat.completion"), "choices": [choice], "usage": _usage(said)}
        ChatCompletion.model_validate(body)
        return body

    def pieces(self, said: Said, model: str) -> list[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": piece} for piece in halves(said.thought)]
        deltas += [{"content": piece} for piece in halves(said.text)]
        for index, call in enumerate(said.calls):
            deltas.append({"tool_calls": [{"index": index, **_call(call.id, "")}]})
            deltas += [
                {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
                for piece in halves(call.arguments)
            ]
        head = _head(model, "chat.completion.chunk")
        frames = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        frames.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish(said)}]})
        frames.append({**head, "choices": [], "usage": _usage(said)})
        for frame in frames:
            ChatCompletionChunk.model_validate(frame)
        return [*map(sse, frames), b"data: [DONE]\n\n"]

    def refusal(self) -> Program:
        error = {"message": MESSAGE, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        return refused({"error": error}, {"retry-after": str(RETRY_SECONDS)})


def _call(given: str, arguments: str) -> dict[str, Any]:
    return {"id": given, "type": "function", "function": {"name": TOOL, "arguments": arguments}}


def _finish(said: Said) -> str:
    return "tool_calls" if said.calls else "stop"


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": model}


def _usage(said: Said) -> dict[str, Any]:
    return {
        "prompt_tokens": said.tokens_in,
        "completion_tokens": said.tokens_out,
        "total_tokens": said.tokens_in + said.tokens_out,
        "prompt_tokens_details": {"cached_tokens": said.tokens_cached},
        "completion_tokens_details": {"reasoning_tokens": said.tokens_thought},
    }
