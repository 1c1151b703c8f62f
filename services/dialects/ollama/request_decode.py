"""Reads a caller's chat request."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Message, Role
from services.dialects.codec import DecodedRequest
from services.dialects.function_tools import read_tools
from services.dialects.members import Members, decode_json, request_object
from services.dialects.ollama.options import read_options
from services.dialects.ollama.parts import message_members, take_images, take_turn
from services.dialects.ollama.wire import DIALECT, ROLES
from services.dialects.raw_json import elements, is_array, is_object, object_keeping, raw_text
from services.runtime.errors import RequestInvalid, Violation

_MOST_FAULTS: Final = 32
_RAW: Final = ("messages", "tools", "format")


def decode_request(body: bytes) -> DecodedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault. A stream is what Ollama gives unasked."""
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
    if stream is None:
        members.hint("stream", value=False)
    _read_messages(raws.get("messages"), members, request, faults)
    _read_raws(raws, members, request, faults)
    read_options(members, request, faults)
    if faults:
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        raise RequestInvalid(f"{where}{first.message}", violations=tuple(faults[:_MOST_FAULTS]))
    members.save(request.extensions, DIALECT)
    return DecodedRequest(request, stream=stream is not False, include_usage=True)


def _read_messages(
    raw: msgspec.Raw | None, members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    """Read the messages; there may be none: such a request loads or unloads the model."""
    if raw is None:
        return
    if not is_array(raw) or not elements(raw):
        members.rest["messages"] = decode_json(raw)
        if members.rest["messages"]:
            members.fault("messages", "must be an array")
        return
    pending: deque[tuple[str, str]] = deque()
    for number, each in enumerate(elements(raw)):
        where = f"messages[{number}]"
        if not is_object(each):
            faults.append(Violation(where, "must be an object"))
            continue
        inner = Members(message_members(each), where, faults)
        role = inner.rest.pop("role", None)
        known = ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            faults.append(Violation(f"{where}.role", "must be one of " + ", ".join(ROLES)))
            continue
        message = request.messages.add(role=known)
        if known == Role.ROLE_TOOL:
            _read_result(inner, message, pending)
        else:
            take_turn(inner, message.parts, f"call_{number}_")
            calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]
            if calls:
                pending = deque((call.id, call.name) for call in calls)
        _unraw(inner)
        inner.save(message.extensions, DIALECT)


def _unraw(members: Members) -> None:
    for name, value in members.rest.items():
        if type(value) is msgspec.Raw:
            members.rest[name] = decode_json(value)


def _read_result(members: Members, message: Message, pending: deque[tuple[str, str]]) -> None:
    """Read a tool's result: it answers the call it names, or the next one of its name, or the next one."""
    result = message.parts.add().tool_result
    name, call_id = members.word("tool_name"), members.word("tool_call_id")
    found = next(
        (each for each in pending if each[0] == call_id or (call_id is None and name in {None, each[1]})),
        None,
    )
    if found is not None:
        pending.remove(found)
    result.call_id = call_id or (found[0] if found is not None else "")
    result.name = name or (found[1] if found is not None else "")
    if name is None:
        members.hint("unnamed")
    if call_id is None:
        members.hint("anonymous")
    content = members.word("content")
    if content is not None:
        result.parts.add().text = content
    take_images(members, result.parts)


def _read_raws(
    raws: dict[str, msgspec.Raw], members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    tools = raws.get("tools")
    if tools is not None:
        if is_array(tools) and elements(tools):
            read_tools(tools, request, DIALECT, faults)
        else:
            members.rest["tools"] = decode_json(tools)
            if members.rest["tools"]:
                members.fault("tools", "must be an array")
    form = raws.get("format")
    if form is None:
        return
    if is_object(form):
        request.response_format.json_schema.schema_json = raw_text(form)
        return
    word = decode_json(form)
    if word == "json":
        request.response_format.json = True
    else:
        members.rest["format"] = word
        if word:
            members.fault("format", "must be json or a schema")
