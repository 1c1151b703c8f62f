"""Writes a chat request."""

from __future__ import annotations

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ToolChoiceMode
from services.dialects.codec import WireRequest
from services.dialects.function_tools import chosen_names, write_tools
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.ollama.messages_write import write_messages
from services.dialects.ollama.options import write_options
from services.dialects.ollama.target import Target
from services.dialects.ollama.wire import CHAT_PATH, DIALECT
from services.dialects.raw_json import caller_json

_FORCED = frozenset({ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED, ToolChoiceMode.TOOL_CHOICE_MODE_NAMED})


def encode_request(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    """Write a request; raise ParameterUnsupported when policy says refuse."""
    losses = Losses(request.unsupported)
    losses.foreign(request.extensions, DIALECT)
    extension = Extension(request.extensions, DIALECT)
    target = Target(model, extension, losses, native="v" in extension.shape)
    body: JsonObject = {"model": model}
    if request.messages:
        body["messages"] = write_messages(request.messages, target)
    _write_tools(request, body, losses)
    if request.HasField("response_format"):
        _write_format(request, body, losses)
    write_options(request, body, target)
    if not (stream and extension.shape.get("stream") is False):
        # Said in either case: a stream is what Ollama gives unasked.
        body["stream"] = stream
    return WireRequest(CHAT_PATH, encode_json(extension.merge(body)), warnings=losses.warnings)


def _write_tools(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    choice = request.tool_choice
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    if choice.HasField("parallel") and not choice.parallel:
        losses.dropped("tool_choice.parallel", "several calls an answer cannot be forbidden here")
    if choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_NONE and request.tools:
        losses.emulated("tool_choice", "the tools are left out of the request")
        return
    if choice.mode in _FORCED:
        losses.dropped("tool_choice.mode", "a call cannot be forced here")
    tools = write_tools(request.tools, DIALECT, losses, chosen_names(request, losses))
    if any(tool.function.strict for tool in request.tools):
        losses.dropped("tools", "calls cannot be held to their schema here")
    if tools:
        body["tools"] = tools


def _write_format(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    form = request.response_format
    losses.foreign(form.extensions, DIALECT, "response_format")
    match form.WhichOneof("kind"):
        case "json":
            body["format"] = "json"
        case "json_schema":
            schema = form.json_schema
            if schema.description:
                losses.dropped("response_format.description", "a schema has no description here")
            if schema.schema_json:
                body["format"] = caller_json(schema.schema_json, "response_format.schema_json")
            else:
                body["format"] = "json"
        case _:
            pass
