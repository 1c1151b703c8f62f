"""Anthropic's JSON: names, versions, and objects of which some members stay text."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import OpaqueState
from services.dialects.members import JsonObject, Members, decode_json
from services.dialects.raw_json import raw_members

DIALECT: Final = "anthropic"
VERSION: Final = "2023-06-01"
MESSAGES_PATH: Final = "/v1/messages"
COUNT_TOKENS_PATH: Final = "/v1/messages/count_tokens"

SIGNATURE: Final = "signature"
REDACTED: Final = "redacted_thinking"
TOOL_REFERENCE: Final = "tool_reference"


Block = JsonObject | msgspec.Raw

_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")


def object_keeping(data: bytes | msgspec.Raw, *names: str) -> JsonObject:
    """Read an object, leaving the named members as msgspec.Raw, unread; raise ValueError for anything else."""
    members: dict[str, Any] = raw_members(data)
    for name, raw in members.items():
        if name not in names:
            members[name] = decode_json(raw)
    return members


def tool_reference_text(name: str) -> str:
    """What a `tool_reference` says in words."""
    return f"The tool {name} can be called now."


def type_of(value: JsonObject) -> str:
    """The `type` member; empty if it is none."""
    found = value.get("type")
    return found if type(found) is str else ""


def take_type(members: Members, expected: str) -> None:
    """Take the `type` member if it says what is expected."""
    if members.rest.get("type") == expected:
        del members.rest["type"]


def own_state(state: OpaqueState, kind: str) -> str | None:
    """The text of a state that this dialect made, or None."""
    if state.dialect != DIALECT or state.kind != kind:
        return None
    return state.data.decode("utf-8", "replace")


def tool_use_id(call_id: str) -> str:
    """An id that Anthropic accepts; the same for the call and for its result."""
    return _NOT_IN_IDS.sub("_", call_id)
