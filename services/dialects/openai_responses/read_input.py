"""The input of a request: a text, or items, as messages.

What the model said in one go stands in one message, whatever items it is made of: other dialects want a turn's calls
together.
"""

from __future__ import annotations

from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Role
from services.dialects.members import SHAPE, JsonObject, Members
from services.dialects.openai_responses.read_items import Reading, is_output
from services.dialects.openai_responses.wire import DIALECT, OUTPUTS, ROLES
from services.runtime.errors import Violation

INSTRUCTIONS: Final = "instructions"
"""Hint on the message that stood in the member of this name."""
STRING: Final = "input"
"""Hint on a request whose input was one text."""
_SERVER_STATE: Final = ("previous_response_id", "conversation", "prompt")


def read_input(members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    """Take `instructions` and `input`."""
    instructions = members.rest.get("instructions")
    if isinstance(instructions, str) and instructions:
        del members.rest["instructions"]
        message = request.messages.add(role=Role.ROLE_SYSTEM)
        message.parts.add().text = instructions
        hints = Members({})
        hints.hint(INSTRUCTIONS)
        hints.save(message.extensions, DIALECT)
    elif instructions is not None and instructions != "":
        members.fault("instructions", "must be a string")
    value = members.rest.get("input")
    if isinstance(value, str):
        del members.rest["input"]
        members.hint(STRING, "string")
        request.messages.add(role=Role.ROLE_USER).parts.add().text = value
    elif isinstance(value, list):
        del members.rest["input"]
        members.hint(STRING, "items")
        read_items(value, request, faults)
    elif value is not None:
        members.fault("input", "must be a string or an array of items")
    elif not any(members.rest.get(name) for name in _SERVER_STATE):
        members.fault("input", "is required")


def read_items(items: list[Any], request: GenerateRequest, faults: list[Violation]) -> None:
    """Add items to the messages."""
    reading = Reading()
    messages = request.messages
    for number, item in enumerate(items):
        where = f"input[{number}]"
        if not isinstance(item, dict):
            faults.append(Violation(where, "must be an object"))
            continue
        item.pop(SHAPE, None)
        found = _check(item, where)
        if found is not None:
            faults.append(found)
            continue
        role = _role(item)
        parts = reading.parts_of(item)
        if not parts:
            continue
        if role == Role.ROLE_ASSISTANT and messages and messages[-1].role == role:
            messages[-1].parts.extend(parts)
            reading.last = messages[-1].parts[-1]
        else:
            message = messages.add(role=role, parts=parts)
            reading.last = message.parts[-1]


def _role(item: JsonObject) -> Role.ValueType:
    kind = item.get("type")
    if kind in {None, "message"}:
        return ROLES.get(item.get("role", ""), Role.ROLE_ASSISTANT)
    if kind in OUTPUTS:
        return Role.ROLE_TOOL
    return Role.ROLE_USER if is_output(item) else Role.ROLE_ASSISTANT


def _check(item: JsonObject, where: str) -> Violation | None:
    kind: Any = item.get("type")
    if kind is not None and not isinstance(kind, str):
        return Violation(f"{where}.type", "must be a string")
    if kind == "message" or (kind is None and "role" in item):
        return _check_message(item, where)
    if kind is None and not isinstance(item.get("id"), str):
        return Violation(where, "must have a type or a role")
    if kind in OUTPUTS:
        output: Any = item.get("output")
        if not isinstance(item.get("call_id"), str):
            return Violation(f"{where}.call_id", "must be a string")
        if not isinstance(output, str | list):
            return Violation(f"{where}.output", "must be a string or an array of parts")
        return _check_elements(output, f"{where}.output")
    return None


def _check_message(item: JsonObject, where: str) -> Violation | None:
    role, content = item.get("role"), item.get("content")
    if not isinstance(role, str) or role not in ROLES:
        return Violation(f"{where}.role", "must be one of " + ", ".join(ROLES))
    if not isinstance(content, str | list):
        return Violation(f"{where}.content", "must be a string or an array of parts")
    return _check_elements(content, f"{where}.content")


def _check_elements(content: str | list[Any], where: str) -> Violation | None:
    for number, element in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(element, dict):
            return Violation(f"{where}[{number}]", "must be an object")
    return None
