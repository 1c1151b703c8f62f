"""Recorded requests put into the official SDKs' own calls."""

from __future__ import annotations

from typing import Any

import anthropic
import openai

from tests.support.exchanges import Exchange
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay, upstream_key

SECONDS = 20.0


def openai_through(mesh: Mesh, **more: Any) -> openai.OpenAI:
    """Return a client of the mesh. It does not retry."""
    settings: dict[str, Any] = {"api_key": ADMIN_KEY, "max_retries": 0, "timeout": SECONDS, **more}
    return openai.OpenAI(base_url=f"{mesh.base_url}/v1", **settings)


def openai_async(mesh: Mesh) -> openai.AsyncOpenAI:
    """Return an asynchronous client of the mesh."""
    return openai.AsyncOpenAI(
        base_url=f"{mesh.base_url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=SECONDS
    )


def openai_direct(replay: Replay, provider: str = "openai") -> openai.OpenAI:
    """Return a client of the provider itself: what it parses is what must come through the mesh."""
    return openai.OpenAI(
        base_url=replay.base_url(provider), api_key=upstream_key(provider), max_retries=0, timeout=SECONDS
    )


def anthropic_through(mesh: Mesh, **more: Any) -> anthropic.Anthropic:
    """Return a client of the mesh. It does not retry."""
    settings: dict[str, Any] = {"api_key": ADMIN_KEY, "max_retries": 0, "timeout": SECONDS, **more}
    return anthropic.Anthropic(base_url=mesh.base_url, **settings)


def anthropic_async(mesh: Mesh) -> anthropic.AsyncAnthropic:
    """Return an asynchronous client of the mesh."""
    return anthropic.AsyncAnthropic(base_url=mesh.base_url, api_key=ADMIN_KEY, max_retries=0, timeout=SECONDS)


def anthropic_direct(replay: Replay) -> anthropic.Anthropic:
    """Return a client of the provider itself, which is shown its key the way the mesh shows it."""
    key = upstream_key("anthropic")
    return anthropic.Anthropic(
        base_url=replay.base_url("anthropic", "anthropic"),
        api_key=key,
        default_headers={"x-api-key": key, "authorization": anthropic.Omit()},  # type: ignore[dict-item]
        max_retries=0,
        timeout=SECONDS,
    )


def arguments(exchange: Exchange, model: str) -> dict[str, Any]:
    """Return the recorded request as keyword arguments; members the SDK may not know go in as they are."""
    question = dict(exchange.question)
    question.pop("model")
    out: dict[str, Any] = {"model": model}
    for name in (
        ("messages", "max_tokens", "stream", "input")
        if exchange.dialect == "anthropic"
        else ("messages", "stream", "input")
    ):
        if name in question:
            out[name] = question.pop(name)
    out["extra_body"] = question
    return out


def dumped(answer: Any) -> Any:
    """Return an SDK's answer, whole or streamed, as plain data."""
    if hasattr(answer, "model_dump"):
        return answer.model_dump(warnings=False)
    return [part.model_dump(warnings=False) for part in answer]
