"""Writes a request for a response, or for a count of its input."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.codec import WireRequest
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.openai_responses.options import write_options
from services.dialects.openai_responses.request_decode import too_deep
from services.dialects.openai_responses.text import merge_text, write_text
from services.dialects.openai_responses.tools import write_choice, write_tools
from services.dialects.openai_responses.wire import DIALECT, INPUT_TOKENS_PATH, RESPONSES_PATH
from services.dialects.openai_responses.write_input import write_input

_COUNTED: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "conversation",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "truncation",
        "personality",
    }
)
"""What the vendor's counter takes."""


def encode_request(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    """Write a request; raise ParameterUnsupported when policy says refuse."""
    try:
        return _encode(request, model, stream=stream)
    except RecursionError:
        raise too_deep() from None


def _encode(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    losses = Losses(request.unsupported)
    body, extension = _body(request, model, losses)
    options = extension.members.pop("stream_options", None)
    if stream:
        body["stream"] = True
        if options is not None:
            body["stream_options"] = options
    elif extension.shape.get("stream") is False:
        body["stream"] = False
    merge_text(body, extension.members)
    return WireRequest(RESPONSES_PATH, encode_json(extension.merge(body)), warnings=losses.warnings)


def encode_count_request(request: GenerateRequest, model: str) -> WireRequest:
    """Write a request to count; what does not change the count is left out."""
    losses = Losses(request.unsupported)
    body, extension = _body(request, model, losses)
    merge_text(body, extension.members)
    extension.merge(body)
    if DIALECT not in request.extensions:
        body = {name: value for name, value in body.items() if name in _COUNTED}
    return WireRequest(INPUT_TOKENS_PATH, encode_json(body), warnings=losses.warnings)


def _body(request: GenerateRequest, model: str, losses: Losses) -> tuple[JsonObject, Extension]:
    losses.foreign(request.extensions, DIALECT)
    extension = Extension(request.extensions, DIALECT)
    body: JsonObject = {"model": model}
    write_input(request, body, losses)
    tools = write_tools(request, losses)
    if tools:
        body["tools"] = tools
    if request.HasField("tool_choice"):
        write_choice(request, body, losses)
    write_text(request, body, losses)
    write_options(request, model, body, extension, losses)
    return body, extension
