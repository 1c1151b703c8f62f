"""Bodies that no recording has, written from the types of Cohere's SDK and its documentation: ours, not Cohere's."""

from __future__ import annotations

import json
from typing import Any, Final

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_ASK: Final[dict[str, Any]] = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Hi"}]}
_TOOL: Final = {
    "type": "function",
    "function": {"name": "add", "description": "Adds", "parameters": {"type": "object", "properties": {}}},
}
_CALL: Final = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1.0}'}}

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "plain": {**_ASK, "stream": False},
    "knobs": {
        **_ASK,
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.3,
        "p": 0.75,
        "k": 12,
        "seed": 7,
        "frequency_penalty": 0.5,
        "presence_penalty": 1.5,
        "stop_sequences": ["a", "b", "c", "d", "e", "f"],
        "logprobs": True,
        "safety_mode": "STRICT",
        "priority": 3,
        "something_new": {"deep": [1, None]},
    },
    "nulls": {
        **_ASK,
        "tools": None,
        "response_format": None,
        "thinking": None,
        "documents": None,
        "stop_sequences": None,
        "temperature": None,
        "tool_choice": None,
    },
    "empty lists": {**_ASK, "tools": [], "documents": [], "stop_sequences": []},
    "thinking": {**_ASK, "thinking": {"type": "enabled", "token_budget": 512, "new": 1}},
    "no thinking": {**_ASK, "thinking": {"type": "disabled"}},
    "unknown thinking": {**_ASK, "thinking": {"type": "adaptive"}},
    "schema": {
        **_ASK,
        "response_format": {"type": "json_object", "json_schema": {"type": "object", "required": ["a"]}},
    },
    "json": {**_ASK, "response_format": {"type": "json_object"}},
    "text": {**_ASK, "response_format": {"type": "text"}},
    "older schema": {**_ASK, "response_format": {"type": "json_object", "schema": {"type": "object"}}},
    "documents": {
        **_ASK,
        "documents": ["a text", {"data": {"text": "t", "n": 1}, "id": "x"}],
        "citation_options": {"mode": "FAST"},
    },
    "tools": {**_ASK, "tools": [_TOOL], "strict_tools": True, "tool_choice": "REQUIRED"},
    "not strict": {
        **_ASK,
        "tools": [_TOOL, {**_TOOL, "extra": 1}],
        "strict_tools": False,
        "tool_choice": "NONE",
    },
    "odd tools": {
        **_ASK,
        "tools": [
            {"function": {"name": "untyped", "parameters": {}}},
            {"type": "function", "function": {"name": "bare", "strict": True}},
            {"type": "web_search", "n": 1},
        ],
    },
    "conversation": {
        **_ASK,
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "system", "content": [{"type": "text", "text": "Really"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg", "new": True}},
                    {"type": "image_url", "image_url": {"url": "data:;base64,AAAA"}},
                    {"type": "hologram", "data": [1]},
                ],
            },
            {
                "role": "assistant",
                "tool_plan": "I will add",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Wait", "x": 1}],
                "tool_calls": [_CALL, {**_CALL, "id": "add_2", "function": {"name": "add", "arguments": ""}}],
            },
            {"role": "tool", "tool_call_id": "add_1", "content": "2"},
            {
                "role": "tool",
                "tool_call_id": "add_2",
                "content": [
                    {"type": "text", "text": "three"},
                    {
                        "type": "document",
                        "document": {"id": "1", "data": {"text": "t", "title": "T", "n": 1}},
                    },
                    {"type": "document", "document": {"data": {"sum": 3}}},
                    {"type": "document", "document": {"data": '{"sum":3}', "id": "x"}},
                    {"type": "document", "document": {"data": {"text": "t"}}},
                ],
            },
            {
                "role": "assistant",
                "content": "It is 2 and 3",
                "citations": [
                    {"start": 6, "end": 7, "text": "2", "sources": [{"type": "tool", "id": "add_1:0"}]}
                ],
            },
            {"role": "user", "content": "Thanks"},
        ],
    },
    "emptiness": {
        **_ASK,
        "messages": [
            {"role": "user", "content": ""},
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "add_1", "content": []},
            {"role": "assistant", "tool_plan": "", "tool_calls": [], "content": [], "citations": []},
            {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "", "content": None},
            {"role": "user", "content": [{"type": "text", "text": ""}]},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": ""}],
            },
        ],
    },
}

_USAGE: Final = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 6, "search_units": 1},
    "tokens": {"input_tokens": 70, "output_tokens": 8},
}


def _answer(message: dict[str, Any], finish: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    return {
        "id": "1-2",
        "message": {"role": "assistant", **message},
        "finish_reason": finish,
        "usage": _USAGE,
        **more,
    }


_SOURCE: Final = {
    "type": "document",
    "id": "doc:3",
    "document": {"title": "T", "url": "https://a.b", "text": "x"},
}

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "text": _answer({"content": [{"type": "text", "text": "Hällo"}]}),
    "cut": _answer({"content": [{"type": "text", "text": "H"}]}, "MAX_TOKENS"),
    "stopped": _answer({"content": [{"type": "text", "text": "H"}]}, "STOP_SEQUENCE"),
    "failed": _answer({"content": []}, "ERROR"),
    "timed out": _answer({}, "TIMEOUT"),
    "calls": _answer({"tool_plan": "I will", "tool_calls": [_CALL, {**_CALL, "id": "add_2"}]}, "TOOL_CALL"),
    "thinking": _answer(
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ok", "new": [1]}]},
        logprobs=[{"text": "ok", "token_ids": [1, 2], "logprobs": [-0.5, -1e-06]}],
        new={"a": 1},
    ),
    "citations out of order": _answer(
        {
            "tool_plan": "plan",
            "content": [
                {"type": "text", "text": "first"},
                {"type": "thinking", "thinking": "second"},
                {"type": "text", "text": "third"},
            ],
            "citations": [
                {"start": 0, "end": 5, "text": "third", "sources": [_SOURCE], "content_index": 2},
                {"start": 0, "end": 5, "text": "first", "type": "TEXT_CONTENT", "content_index": 0},
                {"start": 0, "end": 4, "text": "plan", "type": "PLAN", "sources": []},
                {"start": 0, "end": 6, "text": "second", "type": "THINKING_CONTENT"},
            ],
        }
    ),
    "citation of nothing": _answer(
        {"content": [], "citations": [{"start": 0, "end": 1, "text": "x", "content_index": 4}]}
    ),
    "string content": _answer({"content": "plain"}),
    "unknown reason": _answer({"content": []}, "BECAUSE", usage=None),
    "bare": {"message": {"content": [{"type": "text", "text": "x"}]}},
}


def stream(frames: list[Any], *, done: bool = True) -> bytes:
    """Frames as Cohere sends them."""
    lines = [
        (f"event: {each['type']}\n" if "type" in each else "")
        + f"data: {json.dumps(each, ensure_ascii=False)}\n\n"
        for each in frames
    ]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def _frame(
    kind: str, index: int | None, message: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": kind}
    if index is not None:
        frame["index"] = index
    if message is not None:
        frame["delta"] = {"message": message}
    return {**frame, **more}


START: Final = _frame("message-start", None, {"role": "assistant", "content": [], "tool_plan": ""}, id="1-2")
END: Final = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _USAGE}}


def _text(index: int, *said: str) -> list[Any]:
    return [
        _frame("content-start", index, {"content": {"type": "text", "text": ""}}),
        *(_frame("content-delta", index, {"content": {"text": each}}) for each in said),
        _frame("content-end", index),
    ]


CITATION: Final = {
    "start": 0,
    "end": 2,
    "text": "Hä",
    "sources": [_SOURCE],
    "type": "TEXT_CONTENT",
    "content_index": 0,
}

STREAMS: Final[dict[str, list[Any]]] = {
    "text": [START, *_text(0, "Hä", "llo ", "👋"), END],
    "citation after the text": [
        START,
        *_text(0, "Hällo"),
        _frame("citation-start", 0, {"citations": CITATION}),
        _frame("citation-end", 0),
        END,
    ],
    "citation far too late": [
        START,
        *_text(0, "Hällo"),
        *_text(1, "more"),
        _frame("citation-start", 7, {"citations": CITATION}),
        _frame("citation-end", 7),
        END,
    ],
    "log probabilities": [
        START,
        _frame("content-start", 0, {"content": {"type": "text", "text": ""}}),
        _frame("content-delta", 0, {"content": {"text": "a"}}, logprobs={"text": "a", "token_ids": [1]}),
        _frame("content-delta", 0, {"content": {"text": "b"}}, logprobs={"text": "b", "token_ids": [2]}),
        _frame("content-end", 0),
        END,
    ],
    "odd frames": [
        {"type": "message-start", "new": 1},
        {"type": "debug", "prompt": "…"},
        _frame("content-start", 3, {"content": {"type": "text", "text": "x", "new": 1}}, extra=[1]),
        _frame("content-delta", 3, {"content": {"text": "y", "new": 1}, "more": 2}),
        _frame("content-delta", 3, {"content": {}}),
        _frame("content-end", 3),
        _frame(
            "tool-call-start", 5, {"tool_calls": {"id": "c", "function": {"name": "f", "arguments": "{"}}}
        ),
        _frame("tool-call-delta", 5, {"tool_calls": {"function": {"arguments": "}"}, "new": 1}}),
        _frame("tool-call-end", 5),
        {"type": "message-end", "id": "1", "delta": {"finish_reason": "NEW", "usage": None, "x": 1}},
    ],
    "plan and calls": [
        START,
        _frame("tool-plan-delta", None, {"tool_plan": "I "}),
        _frame("tool-plan-delta", None, {"tool_plan": "will"}),
        _frame("tool-call-start", 0, {"tool_calls": {**_CALL, "function": {"name": "add", "arguments": ""}}}),
        _frame("tool-call-delta", 0, {"tool_calls": {"function": {"arguments": '{"a":1.0}'}}}),
        _frame("tool-call-end", 0),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": _USAGE}},
    ],
    "failed": [
        START,
        *_text(0, "Hä"),
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke", "usage": _USAGE}},
    ],
}
