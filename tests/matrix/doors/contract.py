"""The contract, by its generated stub on a native channel."""

from __future__ import annotations

import json
from typing import Any

import grpc

from llmhub.completion.v1.completion_service_pb2 import (
    GenerateRequest,
    GenerateResponse,
    GenerateStreamRequest,
)
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from llmhub.types.v1.content_pb2 import Message, Part, Role, ToolCall, ToolKind, ToolResult
from llmhub.types.v1.generation_pb2 import (
    FinishReason,
    FunctionTool,
    GenerationOptions,
    JsonSchemaFormat,
    ReasoningMode,
    ReasoningOptions,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolChoiceMode,
    WarningKind,
)
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.fold import fold
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
from tests.matrix.doors.door import SECONDS, told
from tests.matrix.watching import LOSSES, worded
from tests.support.contract import picture, user
from tests.support.doors import grpc_error
from tests.support.outcome import Outcome

_FINISHES = {FinishReason.FINISH_REASON_END: "end", FinishReason.FINISH_REASON_TOOL_CALL: "calls"}


class Contract:
    """CompletionService."""

    name = "grpc"
    lacks = frozenset[str]()
    id_for_none = "made"
    cannot_ask = frozenset[str]()

    def __init__(self, base_url: str, key: str) -> None:
        self._channel = grpc.aio.insecure_channel(base_url.removeprefix("http://"))
        self._stub: Any = CompletionServiceStub(self._channel)
        self._more: Any = {"metadata": (("authorization", f"Bearer {key}"),), "timeout": SECONDS}

    async def ask(self, case: Case, model: str, *, stream: bool) -> dict[str, Any]:
        asked = _question(case, model)
        if not stream:
            return _facts(await self._stub.Generate(asked, **self._more))
        call = self._stub.GenerateStream(GenerateStreamRequest(request=asked), **self._more)
        events: list[StreamEvent] = [event async for message in call for event in message.events]
        assert events[-1].finished.complete
        return _facts(fold(events))

    async def begin(self, case: Case, model: str) -> None:
        asked = GenerateStreamRequest(request=_question(case, model))
        call = self._stub.GenerateStream(asked, **self._more)
        async for message in call:
            if any(event.block_delta.text for event in message.events):
                break
        call.cancel()

    def failure(self, error: Exception) -> dict[str, Any]:
        if not isinstance(error, grpc.RpcError):
            return told(error, text=str(error))
        out = Outcome()
        grpc_error(error, out)
        after = None if out.retry_after is None else f"{out.retry_after:g}"
        return {
            **told(error, status=out.status, type=out.reason, text=out.message, retry_after=after),
            "code": out.error,
        }

    async def close(self) -> None:
        await self._channel.close()


def _question(case: Case, model: str) -> GenerateRequest:
    parts = [Part(text=TEXT), *([picture()] if case.image else [])]
    messages = [Message(role=Role.ROLE_SYSTEM, parts=[Part(text=SYSTEM)]), user(*parts)]
    if case.history:
        calls = [
            ToolCall(id=call.id, name=TOOL, arguments=call.arguments, kind=ToolKind.TOOL_KIND_FUNCTION)
            for call in HISTORY
        ]
        messages.append(Message(role=Role.ROLE_ASSISTANT, parts=[Part(tool_call=call) for call in calls]))
        results = [
            ToolResult(call_id=call.id, name=TOOL, parts=[Part(text=result)])
            for call, result in zip(HISTORY, RESULTS, strict=True)
        ]
        messages += [Message(role=Role.ROLE_TOOL, parts=[Part(tool_result=each)]) for each in results]
    asked = GenerateRequest(
        model=model,
        messages=messages,
        options=GenerationOptions(max_output_tokens=MOST_TOKENS, stop_sequences=[STOP]),
    )
    if case.reasoning:
        enabled = ReasoningOptions(mode=ReasoningMode.REASONING_MODE_ENABLED, effort="medium")
        asked.reasoning.CopyFrom(enabled)
    else:
        asked.options.temperature = TEMPERATURE
    if case.tools:
        function = FunctionTool(name=TOOL, description=DESCRIPTION, parameters_json=json.dumps(SCHEMA))
        asked.tools.append(Tool(function=function))
    if case.must_call:
        asked.tool_choice.CopyFrom(ToolChoice(mode=ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED))
    if case.schema:
        shape = JsonSchemaFormat(name="place", schema_json=json.dumps(SCHEMA), strict=True)
        asked.response_format.CopyFrom(ResponseFormat(json_schema=shape))
    return asked


def _facts(answer: GenerateResponse) -> dict[str, Any]:
    for warning in answer.warnings:
        kind = WarningKind.Name(warning.kind).removeprefix("WARNING_KIND_").lower()
        LOSSES.get().append(worded(kind, warning.field, warning.message))
    parts, usage = answer.candidates[0].parts, answer.usage
    calls = [part.tool_call for part in parts if part.HasField("tool_call")]
    thoughts = [part.reasoning for part in parts if part.HasField("reasoning")]
    finish = answer.candidates[0].finish.reason
    written = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return seen(
        text="".join(part.text for part in parts),
        calls=[
            ("made" if call.id_generated else whose(call.id), json.loads(call.arguments)) for call in calls
        ],
        finish=_FINISHES.get(finish, FinishReason.Name(finish)),
        thought="".join(each.text or "".join(each.summaries) for each in thoughts),
        state=any(part.HasField("state") for part in parts),
        tokens=(
            usage.input_tokens + usage.cache_read_tokens + written,
            usage.cache_read_tokens,
            usage.output_tokens + usage.reasoning_tokens,
            usage.reasoning_tokens,
        ),
    )
