"""Anthropic's SDK."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
from anthropic.types import Message

from tests.matrix.cases import (
    BUDGET,
    DESCRIPTION,
    HISTORY,
    MOST_TOKENS,
    RESULTS,
    SCHEMA,
    STOP,
    SYSTEM,
    TEMPERATURE,
    TEXT,
    TOOL,
    Case,
    seen,
    whose,
)
from tests.matrix.doors.door import SECONDS, told
from tests.matrix.watching import client2

_FINISHES = {"end_turn": "end", "tool_use": "calls"}


class Messages:
    """POST /v1/messages."""

    name = "anthropic"
    lacks = frozenset[str]()
    id_for_none = "made"
    cannot_ask = frozenset[str]()

    def __init__(self, base_url: str, key: str) -> None:
        self._client = anthropic.AsyncAnthropic(
            base_url=base_url, api_key=key, max_retries=0, http_client=client2(SECONDS)
        )

    async def ask(self, case: Case, model: str, *, stream: bool) -> dict[str, Any]:
        if not stream:
            return facts(await self._client.messages.create(model=model, **question(case)))
        async with self._client.messages.stream(model=model, **question(case)) as events:
            return facts(await events.get_final_message())

    async def begin(self, case: Case, model: str) -> None:
        async with await self._client.messages.create(model=model, **question(case), stream=True) as events:
            async for event in events:
                if event.type == "content_block_delta":
                    return

    def failure(self, error: Exception) -> dict[str, Any]:
        if not isinstance(error, anthropic.APIStatusError):
            return told(error, text=str(error))
        body: Any = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error", {})
        return told(
            error,
            status=error.status_code,
            type=inner.get("type"),
            text=inner.get("message"),
            retry_after=error.response.headers.get("retry-after"),
        )

    async def close(self) -> None:
        await self._client.close()


def question(case: Case) -> dict[str, Any]:
    content: list[Any] = [{"type": "text", "text": TEXT}]
    if case.image:
        data = base64.b64encode(case.image).decode()
        source = {"type": "base64", "media_type": "image/png", "data": data}
        content.append({"type": "image", "source": source})
    messages: list[Any] = [{"role": "user", "content": content}]
    if case.history:
        calls = [{"type": "tool_use", "id": call.id, "name": TOOL, "input": call.value} for call in HISTORY]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in zip(HISTORY, RESULTS, strict=True)
        ]
        messages += [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    asked: dict[str, Any] = {
        "messages": messages,
        "system": SYSTEM,
        "max_tokens": MOST_TOKENS,
        "stop_sequences": [STOP],
    }
    if case.reasoning:
        asked["thinking"] = {"type": "enabled", "budget_tokens": BUDGET}
    else:
        # The SDK has given the argument up, the API takes it.
        asked["extra_body"] = {"temperature": TEMPERATURE}
    if case.tools:
        asked["tools"] = [{"name": TOOL, "description": DESCRIPTION, "input_schema": SCHEMA}]
    if case.must_call:
        asked["tool_choice"] = {"type": "any"}
    if case.schema:
        asked["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    return asked


def facts(message: Message) -> dict[str, Any]:
    usage = message.usage
    read = usage.cache_read_input_tokens or 0
    thoughts = [block for block in message.content if block.type == "thinking"]
    details = usage.output_tokens_details
    finish = message.stop_reason or ""
    return seen(
        text="".join(block.text for block in message.content if block.type == "text"),
        calls=[(whose(block.id), block.input) for block in message.content if block.type == "tool_use"],
        finish=_FINISHES.get(finish, finish),
        thought="".join(block.thinking for block in thoughts),
        state=any(block.signature for block in thoughts),
        tokens=(
            usage.input_tokens + read + (usage.cache_creation_input_tokens or 0),
            read,
            usage.output_tokens,
            details and details.thinking_tokens,
        ),
    )
