"""What the provider answers in the kill tests: small, of known text and usage, paced so that a kill lands in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.support.faults import End, Head, Pause, Program, Send, answer
from tests.support.replay import Replay, upstream_key

TEXT: Final = "a short and whole answer"
PIECE: Final = "0123456789abcdef" * 20
"""Text of one event of a stream: four of them make a progress mark due."""
PACED, LONG = 12, 300
"""Events of a stream that ends within a round, and of one that does not."""
GAP: Final = 0.025
"""Seconds between two events."""
TOKENS_IN, TOKENS_OUT = 11, 2300

ALIASES: Final = {
    "refused-first": ("closed/whole", "openai/whole"),
    "shed-first": ("openai/sheds", "openai/whole"),
}
TEXT_OF: Final = {
    "paced": PIECE * PACED,
    "long": PIECE * LONG,
}

_USAGE: Final = {
    "prompt_tokens": TOKENS_IN,
    "completion_tokens": TOKENS_OUT,
    "total_tokens": TOKENS_IN + TOKENS_OUT,
}


def play(replay: Replay) -> None:
    """Have every model answered."""
    whole = answer(200, _completion())
    replay.answer("openai", "whole", whole)
    replay.answer("openai", "slow", (Pause(0.15), *whole))
    replay.answer("openai", "paced", tuple(_stream(PACED)))
    replay.answer("openai", "long", tuple(_stream(LONG)))
    replay.answer("openai", "sheds", answer(503, {"error": {"message": "busy", "type": "server_error"}}))


def configuration(replay: Replay, closed_port: int) -> dict[str, Any]:
    """Return a configuration whose short grace and lasting faith in targets keep the rounds short and alike."""
    return {
        "edge": {"host": "127.0.0.1"},
        "providers": {
            "openai": {
                "dialect": "openai",
                "base_url": replay.base_url("openai"),
                "api_key": upstream_key("openai"),
            },
            "closed": {
                "dialect": "openai",
                "base_url": f"http://127.0.0.1:{closed_port}/v1",
                "api_key": "never-seen",
            },
        },
        "models": {name: {"targets": list(targets)} for name, targets in ALIASES.items()},
        "router": {"failures_to_cool_down": 1_000_000},
        "log": {"format": "json"},
        "grace_seconds": 2,
    }


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": TEXT}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "whole-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _USAGE,
    }


def _stream(pieces: int) -> Program:
    def events() -> Iterator[dict[str, Any]]:
        yield _chunk({"role": "assistant", "content": ""})
        for _ in range(pieces):
            yield _chunk({"content": PIECE})
        yield _chunk({}, "stop")
        yield {**_chunk({}), "choices": [], "usage": _USAGE}

    steps: list[Any] = [Head(200, (("content-type", "text/event-stream"),))]
    for event in events():
        steps += [Send(b"data: %b\n\n" % json.dumps(event).encode()), Pause(GAP)]
    return (*steps, Send(b"data: [DONE]\n\n"), End())


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "paced-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
