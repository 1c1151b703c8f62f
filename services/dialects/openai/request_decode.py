"""Reads a caller's chat completion request."""

from __future__ import annotations

from typing import Any

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Message, Role
from services.dialects.bounds import MOST_MESSAGES, MOST_PARTS, MOST_TOOLS, require_bounded, too_many
from services.dialects.codec import DecodedRequest
from services.dialects.members import JSON_FAULTS, JsonObject, Members, decode_json, json_text, request_object
from services.dialects.openai.messages import take_parts
from services.dialects.openai.options import decode_options
from services.dialects.openai.reasoning import decode_reasoning
from services.dialects.openai.tools import decode_choice, decode_format, decode_tools
from services.dialects.openai.wire import DIALECT, HOLE, ROLES
from services.runtime.errors import RequestInvalid, Violation

_RAW = ("tools", "functions", "response_format")
_PLAIN = {"content": HOLE}
_MOST_FAULTS = 32


def decode_request(body: bytes) -> DecodedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault."""
    require_bounded(body)
    try:
        top = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        value = {name: decode_json(raw) for name, raw in top.items()}
        raws = {name: (top[name], value.pop(name)) for name in _RAW if name in top}
    except (*JSON_FAULTS, ValueError):
        value, raws = request_object(body), {}
    faults: list[Violation] = []
    members = Members(value, "", faults)
    members.hint("v")
    request = GenerateRequest()
    model = members.word("model")
    if model is None:
        members.fault("model", "must be a string that is not empty")
    else:
        request.model = model
    stream, include_usage = _decode_stream(members)
    _decode_messages(members, request, faults)
    _decode_raws(raws, members, request, faults)
    decode_choice(members, request)
    decode_options(members, request)
    decode_reasoning(members, request)
    if faults:
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        raise RequestInvalid(f"{where}{first.message}", violations=tuple(faults[:_MOST_FAULTS]))
    members.save(request.extensions, DIALECT)
    return DecodedRequest(request, stream=stream, include_usage=include_usage)


def _decode_stream(members: Members) -> tuple[bool, bool]:
    stream = members.flag("stream")
    if stream is False:
        members.hint("stream", value=False)
    include_usage = False
    options = members.rest.get("stream_options")
    if isinstance(options, dict):
        include_usage = options.get("include_usage") is True
        if type(options.get("include_usage")) is bool:
            del options["include_usage"]
        if not options:
            del members.rest["stream_options"]
    return bool(stream), include_usage


def _decode_raws(
    raws: dict[str, tuple[msgspec.Raw, Any]],
    members: Members,
    request: GenerateRequest,
    faults: list[Violation],
) -> None:
    for name, (raw, value) in raws.items():
        if value is None:
            members.rest[name] = None
        elif name == "response_format":
            if not decode_format(raw, request):
                members.rest[name] = value
        elif not isinstance(value, list):
            faults.append(Violation(name, "must be an array"))
        elif not value:
            members.rest[name] = value
        elif (fault := too_many(name, len(value), MOST_TOOLS)) is not None:
            faults.append(fault)
        else:
            decode_tools(msgspec.json.decode(raw, type=list[msgspec.Raw]), name, request, faults)
            if name == "functions":
                members.hint("functions")


def _decode_messages(members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    messages = members.array("messages")
    if not messages:
        if not any(fault.field == "messages" for fault in faults):
            members.fault("messages", "must be an array that is not empty")
        return
    fault = too_many("messages", len(messages), MOST_MESSAGES) or too_many(
        "messages", _parts(messages), MOST_PARTS
    )
    if fault is not None:
        faults.append(fault)
        return
    called = ""
    for number, value in enumerate(messages):
        where = f"messages[{number}]"
        message = request.messages.add()
        if not isinstance(value, dict):
            faults.append(Violation(where, "must be an object"))
            continue
        role = value.pop("role", None)
        known = ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            faults.append(Violation(f"{where}.role", "must be one of " + ", ".join(ROLES)))
            continue
        _check(value, where, faults)
        if known != Role.ROLE_ASSISTANT and value.get("content") is None:
            faults.append(Violation(f"{where}.content", "is required"))
        message.role = known
        if known == Role.ROLE_TOOL:
            _decode_result(value, message, called, legacy=role == "function")
        else:
            called = _decode_turn(value, message, f"call_{number}_") or called
        if value != _PLAIN or (known == Role.ROLE_TOOL and not message.parts[0].tool_result.call_id):
            message.extensions[DIALECT] = json_text(value)


def _parts(messages: list[Any]) -> int:
    contents = (value.get("content") for value in messages if isinstance(value, dict))
    return sum(len(content) for content in contents if isinstance(content, list))


def _decode_turn(value: JsonObject, message: Message, call_prefix: str) -> str:
    """Read any message but a tool's result; return the id made for a call of the older interface."""
    name = value.get("name")
    if isinstance(name, str) and name:
        message.name = value.pop("name")
    take_parts(value, message.parts, call_prefix)
    made = [part.tool_call.id for part in message.parts if part.tool_call.id_generated]
    return made[-1] if made else ""


def _decode_result(value: JsonObject, message: Message, called: str, *, legacy: bool) -> None:
    """Read a tool's result; one of the older interface answers the call before it."""
    result = message.parts.add().tool_result
    call_id = value.get("tool_call_id")
    if isinstance(call_id, str) and call_id:
        result.call_id = call_id
        value["tool_call_id"] = HOLE
    elif legacy:
        result.call_id = called
    name = value.get("name")
    if isinstance(name, str) and name:
        result.name = name
        value["name"] = HOLE
    inner = {"content": value.pop("content")} if "content" in value else {}
    take_parts(inner, result.parts, "")
    if inner.get("content") == HOLE and value == {"tool_call_id": HOLE} and not legacy:
        value.clear()
        value["content"] = HOLE
    else:
        value.update(inner)
        if legacy:
            value["role"] = "function"


def _check(value: JsonObject, where: str, faults: list[Violation]) -> None:
    content: Any = value.get("content")
    if content is not None and not isinstance(content, str | list):
        faults.append(Violation(f"{where}.content", "must be a string or an array of parts"))
    if isinstance(content, list):
        faults.extend(
            Violation(f"{where}.content[{number}]", "must be an object")
            for number, element in enumerate(content)
            if not isinstance(element, dict | str)
        )
    calls: Any = value.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(each, dict) for each in calls)):
        faults.append(Violation(f"{where}.tool_calls", "must be an array of objects"))
