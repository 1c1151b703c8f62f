"""Google's SDK."""

from __future__ import annotations

from typing import Any

import httpx
from google import genai
from google.genai import errors, types

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
from tests.matrix.watching import client


class Gemini:
    """POST /v1beta/models/{model}:generateContent."""

    name = "gemini"
    lacks = frozenset[str]()
    id_for_none = "none"
    cannot_ask = frozenset[str]()

    def __init__(self, base_url: str, key: str) -> None:
        self._http, self._base_url, self._key = client(SECONDS), base_url, key
        self._client = self._made(self._http)

    def _made(self, http: httpx.AsyncClient) -> genai.Client:
        options = types.HttpOptions(base_url=self._base_url, httpx_async_client=http)
        return genai.Client(api_key=self._key, http_options=options)

    async def ask(self, case: Case, model: str, *, stream: bool) -> dict[str, Any]:
        models, asked = self._client.aio.models, _question(case)
        if not stream:
            return _facts([await models.generate_content(model=model, **asked)])
        return _facts([chunk async for chunk in await models.generate_content_stream(model=model, **asked)])

    async def begin(self, case: Case, model: str) -> None:
        # The SDK leaves a stream open that nobody reads on; only its connections can be closed.
        async with client(SECONDS) as http:
            models = self._made(http).aio.models
            async for chunk in await models.generate_content_stream(model=model, **_question(case)):
                if chunk.text:
                    break

    def failure(self, error: Exception) -> dict[str, Any]:
        if not isinstance(error, errors.APIError):
            return told(error, text=str(error))
        body: Any = error.details
        details = body.get("error", {}).get("details", [])
        delays = [each["retryDelay"] for each in details if "retryDelay" in each]
        return told(
            error,
            status=error.code,
            type=error.status,
            text=error.message,
            retry_after=delays[0].removesuffix("s") if delays else None,
        )

    async def close(self) -> None:
        await self._http.aclose()


def _question(case: Case) -> dict[str, Any]:
    parts = [types.Part(text=TEXT)]
    if case.image:
        parts.append(types.Part.from_bytes(data=case.image, mime_type="image/png"))
    contents = [types.Content(role="user", parts=parts)]
    if case.history:
        calls = [types.FunctionCall(id=call.id, name=TOOL, args=dict(call.value)) for call in HISTORY]
        results = [
            types.FunctionResponse(id=call.id, name=TOOL, response={"output": result})
            for call, result in zip(HISTORY, RESULTS, strict=True)
        ]
        contents += [
            types.Content(role="model", parts=[types.Part(function_call=call) for call in calls]),
            types.Content(role="user", parts=[types.Part(function_response=each) for each in results]),
        ]
    config = types.GenerateContentConfig(
        system_instruction=SYSTEM, max_output_tokens=MOST_TOKENS, stop_sequences=[STOP]
    )
    if case.reasoning:
        config.thinking_config = types.ThinkingConfig(thinking_budget=BUDGET, include_thoughts=True)
    else:
        config.temperature = TEMPERATURE
    if case.tools:
        declared = types.FunctionDeclaration(
            name=TOOL, description=DESCRIPTION, parameters_json_schema=SCHEMA
        )
        config.tools = [types.Tool(function_declarations=[declared])]
        config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
    if case.must_call:
        mode = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
        config.tool_config = types.ToolConfig(function_calling_config=mode)
    if case.schema:
        config.response_mime_type = "application/json"
        config.response_json_schema = SCHEMA
    return {"contents": contents, "config": config}


def _facts(chunks: list[types.GenerateContentResponse]) -> dict[str, Any]:
    candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
    parts = [part for each in candidates if each.content for part in each.content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call is not None]
    usage = next((c.usage_metadata for c in reversed(chunks) if c.usage_metadata), None)
    ends = [each.finish_reason.value for each in candidates if each.finish_reason is not None]
    finish = ",".join(ends)
    if finish == "STOP":
        finish = "calls" if calls else "end"
    tokens: tuple[int | None, int | None, int | None, int | None] = (None,) * 4
    if usage is not None:
        thought = usage.thoughts_token_count or 0
        out = (usage.candidates_token_count or 0) + thought
        tokens = (usage.prompt_token_count, usage.cached_content_token_count, out, thought)
    return seen(
        text="".join(part.text for part in parts if part.text and not part.thought),
        calls=[(whose(call.id), call.args) for call in calls],
        finish=finish,
        thought="".join(part.text for part in parts if part.text and part.thought),
        state=any(part.thought_signature for part in parts),
        tokens=tokens,
    )
