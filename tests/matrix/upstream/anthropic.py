"""POST /v1/messages."""

from __future__ import annotations

import base64
import json
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.matrix.cases import MESSAGE, RETRY_SECONDS, TOOL, Said, asked
from tests.matrix.upstream.words import halves, joined, parts_of, refused, sse
from tests.support.faults import Program

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_CHOICES = {"any": "required", "auto": "auto", None: "auto"}


class Anthropic:
    """Anthropic's dialect."""

    lacks = frozenset[str]()
    content_type = "text/event-stream; charset=utf-8"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        assert bool(body.get("stream")) == stream
        parts, own = parts_of(body["messages"], "user"), parts_of(body["messages"], "assistant")
        images = [part["source"] for part in parts if part["type"] == "image"]
        calls = [part for part in own if part["type"] == "tool_use"]
        results = [part for part in parts if part["type"] == "tool_result"]
        shape = (body.get("output_config") or {}).get("format") or {}
        return asked(
            system=joined(body.get("system")),
            texts=[part["text"] for part in parts if part["type"] == "text"],
            images=[base64.b64decode(image["data"]) for image in images],
            tools=[(t["name"], t.get("description"), t["input_schema"]) for t in body.get("tools") or ()],
            choice=_CHOICES[(body.get("tool_choice") or {}).get("type")],
            calls=[(part["id"], part["name"], part["input"]) for part in calls],
            results=[(part["tool_use_id"], joined(part["content"])) for part in results],
            schema=shape.get("schema"),
            most_tokens=body["max_tokens"],
            temperature=body.get("temperature"),
            stop=body.get("stop_sequences") or [],
            thinking=body.get("thinking"),
            effort=(body.get("output_config") or {}).get("effort"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        body = {
            **_message(model),
            "content": _blocks(said),
            "stop_reason": _finish(said),
            "usage": {**_usage_in(said), **_usage_out(said)},
        }
        Message.model_validate(body)
        return body

    def pieces(self, said: Said, model: str) -> list[bytes]:
        start = {**_message(model), "content": [], "stop_reason": None}
        start["usage"] = {**_usage_in(said), "output_tokens": 1}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
        for index, block in enumerate(_blocks(said)):
            opened, deltas = _opened(block)
            events.append({"type": "content_block_start", "index": index, "content_block": opened})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        end = {"stop_reason": _finish(said), "stop_sequence": None}
        events.append({"type": "message_delta", "delta": end, "usage": _usage_out(said)})
        events.append({"type": "message_stop"})
        for event in events:
            _EVENT.validate_python(event)
        return [sse(event, event["type"]) for event in events]

    def refusal(self) -> Program:
        error = {"type": "rate_limit_error", "message": MESSAGE}
        body = {"type": "error", "error": error, "request_id": "req_1"}
        return refused(body, {"retry-after": str(RETRY_SECONDS)})


def _message(model: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_sequence": None,
    }


def _finish(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _usage_in(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.tokens_in - said.tokens_cached,
        "cache_read_input_tokens": said.tokens_cached,
        "cache_creation_input_tokens": 0,
    }


def _usage_out(said: Said) -> dict[str, Any]:
    details = {"thinking_tokens": said.tokens_thought}
    return {"output_tokens": said.tokens_out, "output_tokens_details": details}


def _blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.thought:
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": said.state})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    return blocks + [
        {"type": "tool_use", "id": call.id, "name": TOOL, "input": call.value} for call in said.calls
    ]


def _opened(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block starts, and its deltas."""
    match block["type"]:
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": each} for each in halves(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": each} for each in halves(block["text"])
            ]
        case _:
            text = json.dumps(block["input"])
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": each} for each in ("", *halves(text))
            ]
