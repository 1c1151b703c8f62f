"""What a response repeats of its request."""

from __future__ import annotations

from typing import Any, Final, Literal

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.members import JsonObject, decode_json
from services.dialects.openai_responses.request_encode import encode_request
from services.dialects.openai_responses.wire import DIALECT

_MESSAGES: Final[tuple[Literal["tool_choice", "response_format", "reasoning", "options"], ...]] = (
    "tool_choice",
    "response_format",
    "reasoning",
    "options",
)
_REPEATED: Final = frozenset(
    {
        "background",
        "conversation",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)


def echoed(request: GenerateRequest) -> JsonObject:
    """The members of a caller's request that its response repeats; none of a request in another dialect."""
    if DIALECT not in request.extensions:
        return {}
    shorter = GenerateRequest(
        model=request.model,
        # Instructions are the first message; the conversation is not repeated.
        messages=request.messages[:1],
        tools=request.tools,
        metadata=request.metadata,
        extensions=request.extensions,
    )
    for name in _MESSAGES:
        if request.HasField(name):
            getattr(shorter, name).CopyFrom(getattr(request, name))
    return echo_of(decode_json(encode_request(shorter, request.model, stream=False).body))


def echo_of(body: JsonObject) -> JsonObject:
    """As echoed, of a request's body."""
    found: dict[str, Any] = {name: body[name] for name in _REPEATED if body.get(name) is not None}
    text = found.get("text")
    if isinstance(text, dict):
        found["text"] = {"format": {"type": "text"}, **text}
    return found
