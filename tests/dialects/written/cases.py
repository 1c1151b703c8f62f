"""Failures that no recording has, as their vendors' specifications write them: ours, not the vendors'."""

from __future__ import annotations

import json
from typing import Any, Final

from services.dialects.eventstream import encode_frame

SAID: Final = "Once upon"

_CHAT: Final = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_MESSAGE: Final[dict[str, Any]] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
_RESPONSE: Final[dict[str, Any]] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "output": [],
}
_ITEM: Final = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
_LINE: Final = {"model": "m", "created_at": "2025-07-07T20:22:19.1Z", "done": False}


def _sse(*values: dict[str, Any], named: bool = False, done: bool = False) -> bytes:
    events = [
        (f"event: {value['type']}\n" if named else "") + f"data: {json.dumps(value)}\n\n" for value in values
    ]
    return ("".join(events) + ("data: [DONE]\n\n" if done else "")).encode()


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {**_CHAT, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _frames(*events: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(
        encode_frame(name, json.dumps(value).encode(), "exception" if name.endswith("Exception") else "event")
        for name, value in events
    )


_OPENAI: Final = _choice({"role": "assistant", "content": SAID})
_ANTHROPIC: Final[tuple[dict[str, Any], ...]] = (
    {"type": "message_start", "message": _MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SAID}},
)
_ANTHROPIC_STOP: Final = {"type": "content_block_stop", "index": 0}
_RESPONSES: Final[tuple[dict[str, Any], ...]] = (
    {"type": "response.created", "sequence_number": 0, "response": {**_RESPONSE, "status": "in_progress"}},
    {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": _ITEM},
    {
        "type": "response.content_part.added",
        "sequence_number": 2,
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "part": {"type": "output_text", "text": "", "annotations": []},
    },
    {
        "type": "response.output_text.delta",
        "sequence_number": 3,
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": SAID,
    },
)
_GEMINI: Final = {"candidates": [{"content": {"parts": [{"text": SAID}], "role": "model"}, "index": 0}]}
_BEDROCK: Final = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": SAID}}),
)
_COHERE: Final[tuple[dict[str, Any], ...]] = (
    {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": SAID}}}},
)


def _ended(status: str, **more: Any) -> dict[str, Any]:
    response = {**_RESPONSE, "status": status, **more}
    return {"type": f"response.{status}", "sequence_number": 4, "response": response}


def _anthropic_error(kind: str) -> bytes:
    return _sse(*_ANTHROPIC, {"type": "error", "error": {"type": kind, "message": "no"}}, named=True)


def _lines(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


BROKEN: Final[dict[str, tuple[str, bytes, str]]] = {
    # A stream that fails after its first words: dialect, bytes, and the reason of the error.
    "openai error": (
        "openai",
        _sse(_OPENAI, {"error": {"message": "no", "type": "server_error", "code": None, "param": None}}),
        "UPSTREAM_FAILED",
    ),
    "anthropic overloaded": ("anthropic", _anthropic_error("overloaded_error"), "UPSTREAM_OVERLOADED"),
    "anthropic rate": ("anthropic", _anthropic_error("rate_limit_error"), "UPSTREAM_RATE_LIMITED"),
    "anthropic api": ("anthropic", _anthropic_error("api_error"), "UPSTREAM_FAILED"),
    "responses failed": (
        "openai-responses",
        _sse(*_RESPONSES, _ended("failed", error={"code": "server_error", "message": "no"}), named=True),
        "UPSTREAM_FAILED",
    ),
    "responses rate": (
        "openai-responses",
        _sse(
            *_RESPONSES, _ended("failed", error={"code": "rate_limit_exceeded", "message": "no"}), named=True
        ),
        "UPSTREAM_RATE_LIMITED",
    ),
    "gemini error": (
        "gemini",
        _sse(_GEMINI, {"error": {"code": 500, "message": "no", "status": "INTERNAL"}}),
        "UPSTREAM_FAILED",
    ),
    "bedrock throttling": (
        "bedrock",
        _frames(*_BEDROCK, ("throttlingException", {"message": "no"})),
        "UPSTREAM_RATE_LIMITED",
    ),
    "bedrock unavailable": (
        "bedrock",
        _frames(*_BEDROCK, ("serviceUnavailableException", {"message": "no"})),
        "UPSTREAM_OVERLOADED",
    ),
    "bedrock internal": (
        "bedrock",
        _frames(*_BEDROCK, ("internalServerException", {"message": "no"})),
        "UPSTREAM_FAILED",
    ),
    "cohere error": (
        "cohere",
        _sse(
            *_COHERE, {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "no"}}, named=True
        ),
        "UPSTREAM_FAILED",
    ),
    "ollama error": (
        "ollama",
        _lines({**_LINE, "message": {"role": "assistant", "content": SAID}}, {"error": "no"}),
        "UPSTREAM_FAILED",
    ),
}

FILTERED: Final[dict[str, tuple[str, bytes, str]]] = {
    # A stream that ends properly, but not with what was asked for: dialect, bytes, and the finish.
    "openai filter": ("openai", _sse(_OPENAI, _choice({}, "content_filter"), done=True), "CONTENT_FILTER"),
    "anthropic refusal": (
        "anthropic",
        _sse(
            *_ANTHROPIC,
            _ANTHROPIC_STOP,
            {
                "type": "message_delta",
                "delta": {"stop_reason": "refusal", "stop_sequence": None},
                "usage": {"output_tokens": 2},
            },
            {"type": "message_stop"},
            named=True,
        ),
        "REFUSAL",
    ),
    "responses filter": (
        "openai-responses",
        _sse(*_RESPONSES, _ended("incomplete", incomplete_details={"reason": "content_filter"}), named=True),
        "CONTENT_FILTER",
    ),
    "responses length": (
        "openai-responses",
        _sse(
            *_RESPONSES, _ended("incomplete", incomplete_details={"reason": "max_output_tokens"}), named=True
        ),
        "MAX_TOKENS",
    ),
    "gemini safety": (
        "gemini",
        _sse(_GEMINI, {"candidates": [{"finishReason": "SAFETY", "index": 0}]}),
        "CONTENT_FILTER",
    ),
    "gemini prohibited": (
        "gemini",
        _sse(_GEMINI, {"candidates": [{"finishReason": "PROHIBITED_CONTENT", "index": 0}]}),
        "CONTENT_FILTER",
    ),
    "bedrock guardrail": (
        "bedrock",
        _frames(
            *_BEDROCK,
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": "guardrail_intervened"}),
            ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
        ),
        "CONTENT_FILTER",
    ),
}
