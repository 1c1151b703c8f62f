"""Reads a caller's chat request."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ToolChoiceMode
from services.dialects.codec import DecodedRequest
from services.dialects.cohere.messages_read import read_message
from services.dialects.cohere.options import read_options
from services.dialects.cohere.wire import DIALECT
from services.dialects.function_tools import read_tools
from services.dialects.members import JsonObject, Members, decode_json, request_object
from services.dialects.raw_json import elements, is_array, is_object, object_keeping, raw_members, raw_text
from services.runtime.errors import RequestInvalid, Violation

_MOST_FAULTS: Final = 32
_RAW: Final = ("tools", "response_format")
_CHOICES: Final = {
    "REQUIRED": ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED,
    "NONE": ToolChoiceMode.TOOL_CHOICE_MODE_NONE,
}


def decode_request(body: bytes) -> DecodedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault."""
    try:
        value = object_keeping(body, *_RAW)
    except ValueError:
        value = request_object(body)
    faults: list[Violation] = []
    raws = {name: value.pop(name) for name in _RAW if type(value.get(name)) is msgspec.Raw}
    members = Members(value, "", faults)
    members.hint("v")
    request = GenerateRequest()
    model = members.word("model")
    if model is None:
        members.fault("model", "must be a string that is not empty")
    else:
        request.model = model
    stream = members.flag("stream")
    if stream is False:
        members.hint("stream", value=False)
    _read_messages(members, request, faults)
    _read_raws(raws, members, request, faults)
    _read_choice(members, request)
    read_options(members, request)
    if faults:
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        raise RequestInvalid(f"{where}{first.message}", violations=tuple(faults[:_MOST_FAULTS]))
    members.save(request.extensions, DIALECT)
    return DecodedRequest(request, stream=bool(stream), include_usage=True)


def _read_messages(members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    messages = members.array("messages")
    if not messages:
        if not any(fault.field == "messages" for fault in faults):
            members.fault("messages", "must be an array that is not empty")
        return
    for number, value in enumerate(messages):
        if isinstance(value, dict):
            read_message(value, number, request.messages.add(), faults)
        else:
            faults.append(Violation(f"messages[{number}]", "must be an object"))


def _read_raws(
    raws: dict[str, msgspec.Raw], members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    tools = raws.get("tools")
    if tools is not None:
        if is_array(tools) and elements(tools):
            read_tools(tools, request, DIALECT, faults)
            _read_strict(members, request)
        else:
            _leave("tools", decode_json(tools), list, members)
    form = raws.get("response_format")
    if form is not None and not _read_format(form, request):
        _leave("response_format", decode_json(form), dict, members)


def _leave(name: str, value: Any, kind: type, members: Members) -> None:
    """Keep a member that says nothing, such as null."""
    members.rest[name] = value
    if value is not None and not isinstance(value, kind):
        members.fault(name, "must be an array" if kind is list else "must be an object")


def _read_strict(members: Members, request: GenerateRequest) -> None:
    """One switch for all functions; without any it stays."""
    functions = [tool.function for tool in request.tools if tool.HasField("function")]
    strict = members.flag("strict_tools") if functions else None
    if strict is not None:
        members.hint("strict")
        for function in functions:
            function.strict = strict


def _read_format(raw: msgspec.Raw, request: GenerateRequest) -> bool:
    if not is_object(raw):
        return False
    inner = raw_members(raw)
    schema = inner.pop("json_schema", None)
    rest: JsonObject = {name: decode_json(each) for name, each in inner.items()}
    kind = rest.pop("type", None)
    form = request.response_format
    if kind == "text" and schema is None:
        form.text = True
    elif kind == "json_object" and schema is not None and is_object(schema):
        form.json_schema.schema_json = raw_text(schema)
    elif kind == "json_object" and schema is None:
        form.json = True
    else:
        request.ClearField("response_format")
        return False
    Members(rest).save(form.extensions, DIALECT)
    return True


def _read_choice(members: Members, request: GenerateRequest) -> None:
    word = members.rest.get("tool_choice")
    if word is None:
        return
    mode = _CHOICES.get(word) if isinstance(word, str) else None
    if mode is None:
        members.fault("tool_choice", "must be REQUIRED or NONE")
        return
    request.tool_choice.mode = mode
    del members.rest["tool_choice"]
