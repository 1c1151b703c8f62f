"""Reads messages, of a request or of an answer."""

from __future__ import annotations

from typing import Final

from llmhub.types.v1.content_pb2 import Message, Role
from services.dialects.cohere.citations import attach
from services.dialects.cohere.parts import Parts, read_call, read_elements
from services.dialects.cohere.wire import DIALECT, PLAN, ROLES
from services.dialects.members import JsonObject, Members
from services.runtime.errors import Violation

LISTED: Final = "list"
TEXT: Final = "string"


def read_message(value: JsonObject, number: int, message: Message, faults: list[Violation]) -> None:
    """Read one message of a request."""
    where = f"messages[{number}]"
    role = value.pop("role", None)
    known = ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        faults.append(Violation(f"{where}.role", "must be one of " + ", ".join(ROLES)))
        return
    message.role = known
    content = value.get("content")
    if content is not None and not isinstance(content, str | list):
        faults.append(Violation(f"{where}.content", "must be a string or an array"))
    calls = value.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(each, dict) for each in calls)):
        faults.append(Violation(f"{where}.tool_calls", "must be an array of objects"))
        return
    members = Members(value, where, faults)
    if known == Role.ROLE_TOOL:
        result = message.parts.add().tool_result
        result.call_id = members.word("tool_call_id") or ""
        _read_content(members, result.parts, usual=str)
    else:
        read_turn(members, message.parts, f"call_{number}_", usual=str)
    members.save(message.extensions, DIALECT)


def read_turn(members: Members, parts: Parts, call_prefix: str, *, usual: type) -> None:
    """Take plan, content, calls and citations; `usual` is the form of content that needs no hint."""
    plan = members.word("tool_plan")
    if plan is not None:
        part = parts.add()
        part.reasoning.text = plan
        hints = Members({})
        hints.hint(PLAN)
        hints.save(part.extensions, DIALECT)
    length = _read_content(members, parts, usual=usual)
    calls = members.rest.get("tool_calls")
    if isinstance(calls, list) and calls and all(isinstance(each, dict) for each in calls):
        del members.rest["tool_calls"]
        for number, call in enumerate(calls):
            read_call(call, parts.add(), f"{call_prefix}{number}")
    if attach(members.rest.get("citations"), parts, 0 if plan is None else 1, length):  # type: ignore[arg-type]
        del members.rest["citations"]


def _read_content(members: Members, parts: Parts, *, usual: type) -> int:
    """Take the content; return how many parts it had. Empty content stays, since it says how it is empty."""
    content = members.rest.get("content")
    if not content or not isinstance(content, str | list):
        return 0
    del members.rest["content"]
    if isinstance(content, str):
        parts.add().text = content
        if usual is not str:
            members.hint("content", TEXT)
        return 1
    if usual is not list:
        members.hint("content", LISTED)
    read_elements(content, parts)
    return len(content)
