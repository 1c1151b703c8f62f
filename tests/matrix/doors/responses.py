"""OpenAI's SDK, responses."""

from __future__ import annotations

import json
from typing import Any

import openai
from openai.types.responses import Response

from tests.matrix.cases import (
    DESCRIPTION,
    HISTORY,
    MOST_TOKENS,
    RESULTS,
    SCHEMA,
    SYSTEM,
    TEMPERATURE,
    TEXT,
    TOOL,
    Case,
    seen,
    whose,
)
from tests.matrix.doors.chat import openai_failure
from tests.matrix.doors.door import SECONDS, data_url
from tests.matrix.watching import client2


class Responses:
    """POST /v1/responses."""

    name = "openai responses"
    lacks = frozenset[str]()
    id_for_none = "made"
    cannot_ask = frozenset({"stop"})

    def __init__(self, base_url: str, key: str) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key=key, max_retries=0, http_client=client2(SECONDS)
        )

    async def ask(self, case: Case, model: str, *, stream: bool) -> dict[str, Any]:
        if not stream:
            return _facts(await self._client.responses.create(model=model, **_question(case)))
        async with self._client.responses.stream(model=model, **_question(case)) as events:
            return _facts(await events.get_final_response())

    async def begin(self, case: Case, model: str) -> None:
        async with await self._client.responses.create(model=model, **_question(case), stream=True) as events:
            async for event in events:
                if event.type == "response.output_text.delta":
                    return

    def failure(self, error: Exception) -> dict[str, Any]:
        return openai_failure(error)

    async def close(self) -> None:
        await self._client.close()


def _question(case: Case) -> dict[str, Any]:
    content: list[Any] = [{"type": "input_text", "text": TEXT}]
    if case.image:
        content.append({"type": "input_image", "image_url": data_url(case.image), "detail": "auto"})
    items: list[Any] = [{"role": "user", "content": content}]
    if case.history:
        items += [
            {"type": "function_call", "call_id": call.id, "name": TOOL, "arguments": call.arguments}
            for call in HISTORY
        ]
        items += [
            {"type": "function_call_output", "call_id": call.id, "output": result}
            for call, result in zip(HISTORY, RESULTS, strict=True)
        ]
    asked: dict[str, Any] = {
        "input": items,
        "instructions": SYSTEM,
        "max_output_tokens": MOST_TOKENS,
        "store": False,
    }
    if case.reasoning:
        asked |= {"reasoning": {"effort": "medium", "summary": "auto"}}
        asked |= {"include": ["reasoning.encrypted_content"]}
    else:
        asked["temperature"] = TEMPERATURE
    if case.tools:
        tool = {"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
        asked["tools"] = [{**tool, "strict": True}]
    if case.must_call:
        asked["tool_choice"] = "required"
    if case.schema:
        shape = {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}
        asked["text"] = {"format": shape}
    return asked


def _facts(response: Response) -> dict[str, Any]:
    output: list[Any] = list(response.output)
    calls = [item for item in output if item.type == "function_call"]
    thoughts = [item for item in output if item.type == "reasoning"]
    told = [part.text for item in thoughts for part in (*item.summary, *(item.content or ()))]
    usage, finish = response.usage, str(response.status)
    if finish == "completed":
        finish = "calls" if calls else "end"
    return seen(
        text=response.output_text,
        calls=[(whose(call.call_id), json.loads(call.arguments)) for call in calls],
        finish=finish,
        thought="".join(told),
        state=any(item.encrypted_content for item in thoughts),
        tokens=(
            usage and usage.input_tokens,
            usage and usage.input_tokens_details.cached_tokens,
            usage and usage.output_tokens,
            usage and usage.output_tokens_details.reasoning_tokens,
        ),
    )
