"""POST /v1/responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.matrix.cases import MESSAGE, RETRY_SECONDS, TOOL, Said, asked
from tests.matrix.upstream.words import halves, joined, of_data_url, parts_of, refused, sse
from tests.support.faults import Program

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class OpenAIResponses:
    """OpenAI's second dialect."""

    lacks = frozenset[str]()
    content_type = "text/event-stream; charset=utf-8"

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        assert bool(body.get("stream")) == stream
        items = body["input"]
        if isinstance(items, str):
            items = [{"role": "user", "content": items}]
        messages = [item for item in items if "role" in item]
        system = [item for item in messages if item["role"] in {"system", "developer"}]
        parts = parts_of(messages, "user")
        calls = [item for item in items if item.get("type") == "function_call"]
        results = [item for item in items if item.get("type") == "function_call_output"]
        shape = (body.get("text") or {}).get("format") or {}
        return asked(
            system=(body.get("instructions") or "") + "".join(joined(item["content"]) for item in system),
            texts=[part["text"] for part in parts if part["type"] in {"text", "input_text"}],
            images=[of_data_url(part["image_url"]) for part in parts if part["type"] == "input_image"],
            tools=[(t["name"], t.get("description"), t["parameters"]) for t in body.get("tools") or ()],
            choice=body.get("tool_choice"),
            calls=[(each["call_id"], each["name"], json.loads(each["arguments"])) for each in calls],
            results=[(each["call_id"], joined(each["output"])) for each in results],
            schema=shape.get("schema"),
            most_tokens=body.get("max_output_tokens"),
            temperature=body.get("temperature"),
            stop=body.get("stop") or [],
            reasoning=body.get("reasoning"),
            include=body.get("include"),
            store=body.get("store"),
            strict=shape.get("strict"),
        )

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        body = _response(said, model, _items(said), "completed")
        Response.model_validate(body)
        return body

    def pieces(self, said: Said, model: str) -> list[bytes]:
        items = _items(said)
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": _response(said, model, [], "in_progress")}
        ]
        for index, item in enumerate(items):
            opened = {**item, "status": "in_progress", **_EMPTY[item["type"]]}
            events.append({"type": "response.output_item.added", "output_index": index, "item": opened})
            place = {"item_id": item["id"], "output_index": index}
            events += [{**event, **place} for event in _inside(item)]
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        events.append({"type": "response.completed", "response": _response(said, model, items, "completed")})
        numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
        for event in numbered:
            _EVENT.validate_python(event)
        return [sse(event, event["type"]) for event in numbered]

    def refusal(self) -> Program:
        error = {"message": MESSAGE, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        return refused({"error": error}, {"retry-after": str(RETRY_SECONDS)})


_EMPTY: dict[str, dict[str, Any]] = {
    "reasoning": {"summary": []},
    "message": {"content": []},
    "function_call": {"arguments": ""},
}


def _items(said: Said) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.thought:
        items.append(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": said.thought}],
                "encrypted_content": said.state,
            }
        )
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        items.append(
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        )
    items += [
        {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": call.id,
            "name": TOOL,
            "arguments": call.arguments,
            "status": "completed",
        }
        for number, call in enumerate(said.calls)
    ]
    return items


def _inside(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if item["type"] == "function_call":
        for piece in halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": piece}
        yield {
            "type": "response.function_call_arguments.done",
            "arguments": item["arguments"],
            "name": item["name"],
        }
        return
    if item["type"] == "reasoning":
        (part,) = item["summary"]
        at = {"summary_index": 0}
        yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
        for piece in halves(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
        return
    (part,) = item["content"]
    at = {"content_index": 0}
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    for piece in halves(part["text"]):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}


def _response(said: Said, model: str, items: list[dict[str, Any]], status: str) -> dict[str, Any]:
    usage = {
        "input_tokens": said.tokens_in,
        "input_tokens_details": {"cached_tokens": said.tokens_cached, "cache_write_tokens": 0},
        "output_tokens": said.tokens_out,
        "output_tokens_details": {"reasoning_tokens": said.tokens_thought},
        "total_tokens": said.tokens_in + said.tokens_out,
    }
    return {
        "id": "resp_1",
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
        "usage": usage if status == "completed" else None,
    }
