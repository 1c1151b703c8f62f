"""OpenAI's SDK, chat completions."""

from __future__ import annotations

import json
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from tests.matrix.cases import (
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
from tests.matrix.doors.door import SECONDS, data_url, told
from tests.matrix.watching import client2

_FINISHES = {"stop": "end", "tool_calls": "calls"}


class Chat:
    """POST /v1/chat/completions."""

    name = "openai chat"
    lacks = frozenset({"state"})
    id_for_none = "made"
    cannot_ask = frozenset[str]()

    def __init__(self, base_url: str, key: str) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key=key, max_retries=0, http_client=client2(SECONDS)
        )

    async def ask(self, case: Case, model: str, *, stream: bool) -> dict[str, Any]:
        completions = self._client.chat.completions
        if not stream:
            return facts(await completions.create(model=model, **question(case)))
        more: dict[str, Any] = {"stream_options": {"include_usage": True}}
        async with completions.stream(model=model, **question(case), **more) as events:
            return facts(await events.get_final_completion())

    async def begin(self, case: Case, model: str) -> None:
        async with await self._client.chat.completions.create(
            model=model, **question(case), stream=True
        ) as chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    return

    def failure(self, error: Exception) -> dict[str, Any]:
        return openai_failure(error)

    async def close(self) -> None:
        await self._client.close()


def openai_failure(error: Exception) -> dict[str, Any]:
    """Return what an exception of OpenAI's SDK tells."""
    if not isinstance(error, openai.APIStatusError):
        return told(error, text=str(error))
    headers = error.response.headers
    body: Any = error.body if isinstance(error.body, dict) else {}
    return told(
        error,
        status=error.status_code,
        type=error.type,
        code=error.code,
        text=body.get("message"),
        retry_after=headers.get("retry-after"),
    )


def question(case: Case) -> dict[str, Any]:
    content: Any = TEXT
    if case.image:
        content = [
            {"type": "text", "text": TEXT},
            {"type": "image_url", "image_url": {"url": data_url(case.image)}},
        ]
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]
    if case.history:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": TOOL, "arguments": call.arguments}}
            for call in HISTORY
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(HISTORY, RESULTS, strict=True)
        ]
    asked: dict[str, Any] = {"messages": messages, "max_completion_tokens": MOST_TOKENS, "stop": [STOP]}
    if case.reasoning:
        asked["reasoning_effort"] = "medium"
    else:
        asked["temperature"] = TEMPERATURE
    if case.tools:
        function = {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
        asked["tools"] = [{"type": "function", "function": function}]
    if case.must_call:
        asked["tool_choice"] = "required"
    if case.schema:
        shape = {"name": "place", "schema": SCHEMA, "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": shape}
    return asked


def facts(completion: ChatCompletion) -> dict[str, Any]:
    choice, usage = completion.choices[0], completion.usage
    calls = [call for call in choice.message.tool_calls or () if call.type == "function"]
    read, thought = (None, None)
    if usage is not None:
        read = usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens
        thought = usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens
    extra = choice.message.model_extra or {}
    return seen(
        text=choice.message.content or "",
        calls=[(whose(call.id), json.loads(call.function.arguments)) for call in calls],
        finish=_FINISHES.get(choice.finish_reason, choice.finish_reason),
        thought=extra.get("reasoning_content") or extra.get("reasoning") or "",
        state=False,
        tokens=(usage and usage.prompt_tokens, read, usage and usage.completion_tokens, thought),
    )
