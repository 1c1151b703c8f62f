"""Bodies that no recording has, written from the types of Ollama's SDK and its documentation: ours, not Ollama's."""

from __future__ import annotations

import json
from typing import Any, Final

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_ASK: Final[dict[str, Any]] = {"model": "qwen3:8b", "messages": [{"role": "user", "content": "Hi"}]}
_TOOL: Final = {
    "type": "function",
    "function": {"name": "add", "description": "Adds", "parameters": {"type": "object", "properties": {}}},
}
_CALL: Final = {"function": {"name": "add", "arguments": {"a": 1.0, "b": [10000000000000000000001]}}}

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "plain": _ASK,
    "not streamed": {**_ASK, "stream": False},
    "streamed": {**_ASK, "stream": True},
    "options": {
        **_ASK,
        "stream": False,
        "keep_alive": "5m",
        "options": {
            "temperature": 0,
            "top_p": 0.9,
            "top_k": 40,
            "seed": 42,
            "num_predict": 100,
            "stop": ["\n"],
            "presence_penalty": 1.5,
            "frequency_penalty": 1,
            "num_ctx": 32768,
            "mirostat": 0,
            "repeat_penalty": 1.1,
        },
    },
    "without end": {**_ASK, "options": {"num_predict": -1, "stop": None, "seed": None}},
    "stop that is a string": {**_ASK, "options": {"stop": "x"}},
    "nulls": {**_ASK, "options": None, "tools": None, "format": None, "think": None, "keep_alive": None},
    "emptiness": {**_ASK, "options": {}, "tools": [], "format": "", "think": ""},
    "think": {**_ASK, "think": True},
    "do not think": {**_ASK, "think": False, "keep_alive": 0},
    "think hard": {**_ASK, "think": "high"},
    "json": {**_ASK, "format": "json"},
    "schema": {**_ASK, "format": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    "log probabilities": {**_ASK, "logprobs": True, "top_logprobs": 3, "new": [1]},
    "load": {"model": "llama3", "messages": [], "keep_alive": -1},
    "load without messages": {"model": "llama3"},
    "odd tools": {
        **_ASK,
        "tools": [
            _TOOL,
            {"function": {"name": "f", "strict": True}},
            {"type": "browser", "n": 1},
            {**_TOOL, "x": 1},
        ],
    },
    "conversation": {
        **_ASK,
        "tools": [_TOOL],
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "What is this?", "images": [PNG, "AAAA"], "new": 1},
            {
                "role": "assistant",
                "content": "",
                "thinking": "I will add",
                "tool_calls": [
                    _CALL,
                    {"id": "call_x", "function": {"index": 1, "name": "add", "arguments": {}}},
                ],
            },
            {"role": "tool", "content": "2", "tool_name": "add"},
            {"role": "tool", "content": "3", "tool_call_id": "call_x"},
            {"role": "assistant", "content": "2 and 3"},
            {"role": "user", "content": "And the cat?", "images": None},
        ],
    },
    "odd messages": {
        **_ASK,
        "messages": [
            {"role": "user", "images": ["no base64!"]},
            {"role": "user", "content": None, "images": []},
            {"role": "assistant", "tool_calls": []},
            {"role": "assistant", "content": "x", "tool_calls": [{"function": {"name": "f"}}, {}]},
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "f", "arguments": "{}", "x": 1}, "type": "y"}],
            },
            {"role": "assistant", "thinking": "", "tool_calls": None},
            {"role": "tool", "content": "", "images": [PNG]},
            {"role": "tool"},
        ],
    },
}

_COUNTS: Final = {
    "total_duration": 100,
    "load_duration": 10,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 5,
    "eval_count": 298,
    "eval_duration": 7,
}
_CREATED: Final = "2025-07-07T20:22:19.184789Z"


def _answer(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {
        "model": "qwen3:8b",
        "created_at": _CREATED,
        "message": {"role": "assistant", "content": "", **message},
        "done": True,
        "done_reason": "stop",
        **_COUNTS,
    }
    return {name: value for name, value in {**body, **more}.items() if value != "absent"}


_LOGPROBS: Final = [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.5}]}]

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "text": _answer({"content": "Hällo"}),
    "cut": _answer({"content": "H"}, done_reason="length"),
    "thinking": _answer({"content": "Hi", "thinking": "hm"}),
    "calls": _answer(
        {"tool_calls": [_CALL, {"id": "x", "function": {"index": 1, "name": "f", "arguments": {}}}]}
    ),
    "picture": _answer({"content": "see", "images": [PNG]}),
    "log probabilities": _answer({"content": "a"}, logprobs=_LOGPROBS, new={"x": None}),
    "loaded": _answer({}, done_reason="load", **dict.fromkeys(_COUNTS, "absent")),
    "cached prompt": _answer({"content": "x"}, prompt_eval_count="absent"),
    "older": _answer({"content": "x"}, done_reason="absent"),
    "other time": _answer({"content": "x"}, created_at="2025-07-07T13:22:19.184789123-07:00"),
    "no time": _answer({"content": "x"}, created_at="absent", model="absent"),
    "unknown reason": _answer({"content": "x"}, done_reason="tired"),
    "remote": _answer({"content": "x"}, remote_model="gpt-oss:120b", remote_host="https://ollama.com:443"),
    "not done": _answer({"content": "x"}, done=False, done_reason=""),
}


def stream(lines: list[Any]) -> bytes:
    """Lines as Ollama sends them."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines).encode()


def _line(number: int, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    created = f"2025-07-07T20:22:19.{number + 1}Z"
    said = {"role": "assistant", "content": "", **message}
    return {"model": "qwen3:8b", "created_at": created, "message": said, "done": False, **more}


def _last(number: int, message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {**_line(number, message or {}), "done": True, "done_reason": "stop", **_COUNTS, **more}


STREAMS: Final[dict[str, list[Any]]] = {
    "text": [_line(0, {"content": "Hä"}), _line(1, {"content": "llo 👋"}), _last(2)],
    "thinking and text": [
        _line(0, {"thinking": "h"}),
        _line(1, {"thinking": "m"}),
        _line(2, {"content": "Hi"}),
        _line(3, {}),
        _last(4, {"content": "!"}, done_reason="length"),
    ],
    "both in a line": [_line(0, {"thinking": "hm", "content": "Hi"}), _line(1, {"content": "!"}), _last(2)],
    "calls": [
        _line(0, {"thinking": "I will"}),
        _line(
            1, {"tool_calls": [_CALL, {"id": "x", "function": {"index": 1, "name": "f", "arguments": {}}}]}
        ),
        _line(2, {"tool_calls": [_CALL]}),
        _last(3),
    ],
    "log probabilities": [
        _line(0, {"content": "a"}, logprobs=_LOGPROBS),
        _line(1, {"content": "b"}, logprobs=_LOGPROBS),
        _line(2, {}, logprobs=_LOGPROBS),
        _last(3),
    ],
    "odd lines": [
        {"model": "a", "created_at": "yesterday", "message": {"role": "model", "new": 1}, "done": False},
        _line(1, {"content": None, "thinking": ""}, new=1),
        _line(2, {"content": "x", "images": [PNG]}),
        {"message": {"role": "assistant"}, "done": False},
        _last(3, None, prompt_eval_count=None, remote_model="b"),
    ],
    "another model": [_line(0, {"content": "a"}), _line(1, {"content": "b"}) | {"model": "other"}, _last(2)],
    "only a call": [_last(0, {"tool_calls": [_CALL]})],
}
