"""Writes a chat request."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ToolChoiceMode
from services.dialects.codec import WireRequest
from services.dialects.cohere.messages_write import write_messages
from services.dialects.cohere.options import write_options
from services.dialects.cohere.target import Target
from services.dialects.cohere.wire import CHAT_PATH, DIALECT
from services.dialects.function_tools import chosen_names, write_tools
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.raw_json import caller_json

_CHOICES: Final = {
    ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED: "REQUIRED",
    ToolChoiceMode.TOOL_CHOICE_MODE_NAMED: "REQUIRED",
    ToolChoiceMode.TOOL_CHOICE_MODE_NONE: "NONE",
}


def encode_request(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    """Write a request; raise ParameterUnsupported when policy says refuse."""
    losses = Losses(request.unsupported)
    losses.foreign(request.extensions, DIALECT)
    extension = Extension(request.extensions, DIALECT)
    target = Target(model, extension, losses, native="v" in extension.shape)
    body: JsonObject = {"model": model, "messages": write_messages(request.messages, target)}
    if target.documents:
        own = extension.members.get("documents")
        body["documents"] = target.documents + (own if isinstance(own, list) else [])
    _write_tools(request, body, target)
    if request.HasField("response_format"):
        _write_format(request, body, target)
    write_options(request, body, target)
    if stream:
        body["stream"] = True
    elif extension.shape.get("stream") is False:
        body["stream"] = False
    return WireRequest(CHAT_PATH, encode_json(extension.merge(body)), warnings=losses.warnings)


def _write_tools(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    losses, choice = target.losses, request.tool_choice
    tools = write_tools(request.tools, DIALECT, losses, chosen_names(request, losses))
    if tools:
        body["tools"] = tools
        _write_strict(request, body, target)
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    word = _CHOICES.get(choice.mode)
    if word is not None and (tools or target.native):
        body["tool_choice"] = word
    if choice.HasField("parallel") and not choice.parallel:
        losses.dropped("tool_choice.parallel", "several calls an answer cannot be forbidden here")


def _write_strict(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    """Strictness is one switch for all tools here."""
    strict = [tool.function.strict for tool in request.tools if tool.HasField("function")]
    told = [tool for tool in request.tools if tool.function.HasField("strict")]
    if target.native:
        if "strict" in target.extension.shape and told:
            body["strict_tools"] = all(strict)
    elif strict and all(strict):
        body["strict_tools"] = True
    elif any(strict):
        target.losses.dropped("tools", "only all tools together can be strict here")


def _write_format(request: GenerateRequest, body: JsonObject, target: Target) -> None:
    form = request.response_format
    target.losses.foreign(form.extensions, DIALECT, "response_format")
    written: JsonObject
    match form.WhichOneof("kind"):
        case "text":
            written = {"type": "text"}
        case "json":
            written = {"type": "json_object"}
        case "json_schema":
            schema = form.json_schema
            written = {"type": "json_object"}
            if schema.schema_json:
                written["json_schema"] = caller_json(schema.schema_json, "response_format.schema_json")
            if schema.description:
                target.losses.dropped("response_format.description", "a schema has no description here")
        case _:
            return
    body["response_format"] = Extension(form.extensions, DIALECT).merge(written)
