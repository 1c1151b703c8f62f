"""What the simulator answers: deterministic, from the request alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Part, Reasoning, Role, ToolCall, ToolKind
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.runtime.errors import (
    ContextLengthExceeded,
    LlmhubError,
    UpstreamAuthFailed,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

FAILURES: dict[str, type[LlmhubError]] = {
    "rejected": UpstreamRejected,
    "auth": UpstreamAuthFailed,
    "context": ContextLengthExceeded,
    "rate_limit": UpstreamRateLimited,
    "quota": UpstreamQuotaExhausted,
    "server": UpstreamFailed,
    "timeout": UpstreamTimeout,
    "overloaded": UpstreamOverloaded,
}
"""Failures that the simulator can be told to have."""

_SLOW_SECONDS = 0.05
_BROKEN_WORDS = 2
_MAX_WORDS = 100_000
_VECTOR = 8
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the simulator was told, by the model's name or in the request's metadata.

    `sim_delay_ms`: wait before each word. `sim_words`: answer so many words. `sim_fail`: a key of FAILURES.
    `sim_fail_after`: fail after so many words of a stream, or at its end, instead of at once. The models `slow`, `fail`
    and `broken` have their orders in their names, for callers whose dialect carries no metadata.
    """

    delay: float = 0.0
    words: int | None = None
    fail: str = ""
    fail_after: int = 0

    def failure(self) -> LlmhubError:
        """Return the failure that was ordered."""
        kind = FAILURES.get(self.fail, UpstreamFailed)
        retry = _RETRY_SECONDS if self.fail in {"rate_limit", "overloaded"} else None
        return kind(f"the simulator was told to fail: {self.fail}", retry_after=retry, provider="sim")


@dataclass(frozen=True, slots=True)
class Script:
    """The whole answer of the simulator."""

    parts: tuple[Part, ...]
    finish: FinishReason.ValueType
    usage: Usage
    orders: Orders


def orders(model: str, metadata: dict[str, str]) -> Orders:
    """Read the orders. Numbers that are none count as absent."""
    fail = metadata.get("sim_fail", "")
    if model in {"fail", "broken"}:
        fail = fail or "server"
    return Orders(
        delay=_number(metadata.get("sim_delay_ms"), int(_SLOW_SECONDS * 1000) if model == "slow" else 0)
        / 1000,
        words=_number(metadata["sim_words"], 0) if "sim_words" in metadata else None,
        fail=fail,
        fail_after=_number(metadata.get("sim_fail_after"), _BROKEN_WORDS if model == "broken" else 0),
    )


def script(request: GenerateRequest, model: str) -> Script:
    """Decide the answer: a tool call when the model is `tools` and no result is there yet, else an echo."""
    told = orders(model, dict(request.metadata))
    prompt = _last_user_text(request)
    parts: list[Part] = []
    if request.reasoning.mode or request.reasoning.effort:
        parts.append(Part(reasoning=Reasoning(text=f"The user says: {prompt}")))
    finish = FinishReason.FINISH_REASON_END
    if model == "tools" and request.tools and not _has_result(request):
        calls = [tool.function for tool in request.tools if tool.WhichOneof("kind") == "function"]
        for number, function in enumerate(calls):
            arguments = json.dumps(_example(json.loads(function.parameters_json or "{}")))
            call = ToolCall(
                id=f"call_sim_{number}",
                name=function.name,
                arguments=arguments,
                kind=ToolKind.TOOL_KIND_FUNCTION,
            )
            parts.append(Part(tool_call=call))
        finish = FinishReason.FINISH_REASON_TOOL_CALL
    else:
        words = _answer(request, prompt, told)
        limit = request.options.max_output_tokens if request.options.HasField("max_output_tokens") else None
        if limit is not None and limit < len(words):
            words, finish = words[:limit], FinishReason.FINISH_REASON_MAX_TOKENS
        parts.append(Part(text="".join(words)))
    return Script(tuple(parts), finish, _usage(request, parts), told)


def pieces(text: str) -> Iterator[str]:
    """Cut text into words with the blanks that follow them; joined they are the text."""
    start = 0
    for index, letter in enumerate(text):
        if letter == " " and index + 1 < len(text) and text[index + 1] != " ":
            yield text[start : index + 1]
            start = index + 1
    if start < len(text):
        yield text[start:]


def count(texts: Iterable[str]) -> int:
    """Count the simulator's tokens: one per word."""
    return sum(1 for text in texts for _ in pieces(text))


def input_tokens(request: GenerateRequest) -> int:
    """Count a request's tokens."""
    return count(part.text for message in request.messages for part in message.parts if part.text)


def vector(text: str, dimensions: int | None) -> list[float]:
    """Return a vector that depends on the text alone, each number between -1 and 1."""
    size = dimensions or _VECTOR
    numbers: list[float] = []
    block = 0
    while len(numbers) < size:
        digest = hashlib.sha256(f"{block}:{text}".encode()).digest()
        numbers.extend((byte - 128) / 128 for byte in digest)
        block += 1
    return numbers[:size]


def _answer(request: GenerateRequest, prompt: str, told: Orders) -> list[str]:
    if told.words is not None:
        return [f"word{number} " for number in range(min(told.words, _MAX_WORDS))]
    schema = request.response_format.json_schema.schema_json
    if schema:
        return [json.dumps(_example(json.loads(schema)))]
    if request.response_format.WhichOneof("kind") == "json":
        return [json.dumps({"echo": prompt})]
    return list(pieces(prompt or "(nothing to echo)"))


def _last_user_text(request: GenerateRequest) -> str:
    for message in reversed(request.messages):
        if message.role == Role.ROLE_USER:
            text = " ".join(part.text for part in message.parts if part.text)
            if text:
                return text
    return ""


def _has_result(request: GenerateRequest) -> bool:
    last = request.messages[-1] if request.messages else None
    return last is not None and any(part.WhichOneof("kind") == "tool_result" for part in last.parts)


def _usage(request: GenerateRequest, parts: Iterable[Part]) -> Usage:
    parts = list(parts)
    return Usage(
        input_tokens=input_tokens(request),
        output_tokens=count(part.text or part.tool_call.arguments for part in parts),
        reasoning_tokens=count(part.reasoning.text for part in parts),
        measure=Measure.MEASURE_VENDOR,
    )


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default


def _example(schema: Any) -> Any:
    """Return the simplest value that fits a JSON Schema's type, enum and required members."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    match kind:
        case "object":
            return {name: _example(member) for name, member in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema["items"])] if schema.get("minItems") else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "text"
