"""Anthropic's JSON: names, versions, and objects of which some members stay text."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import OpaqueState
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.runtime.errors import RequestInvalid, Violation

DIALECT: Final = "anthropic"
VERSION: Final = "2023-06-01"
MESSAGES_PATH: Final = "/v1/messages"
COUNT_TOKENS_PATH: Final = "/v1/messages/count_tokens"

SIGNATURE: Final = "signature"
REDACTED: Final = "redacted_thinking"
TOOL_REFERENCE: Final = "tool_reference"

_QUIET: Final = "="

Block = JsonObject | msgspec.Raw

_members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements_of = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")


def object_keeping(data: bytes | msgspec.Raw, *names: str) -> JsonObject:
    """Read an object, leaving the named members as msgspec.Raw; raise ValueError for anything else."""
    try:
        members: dict[str, Any] = _members_of(data)
        for name, raw in members.items():
            if name not in names:
                members[name] = decode_json(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    return members


def elements(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Read an array, leaving its elements as they are; raise ValueError for anything else."""
    try:
        return _elements_of(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def tool_reference_text(name: str) -> str:
    """What a `tool_reference` says in words."""
    return f"The tool {name} can be called now."


def caller_json(text: str, field: str) -> tuple[msgspec.Raw, Any]:
    """JSON text that a caller wrote into a field, and its value; raise RequestInvalid for anything else."""
    try:
        return msgspec.Raw(text), decode_json(text)
    except ValueError:
        fault = "must be the text of a JSON value"
        raise RequestInvalid(f"{field} {fault}", violations=(Violation(field, fault),)) from None


def raw_text(raw: msgspec.Raw) -> str:
    """The JSON text of a member, to the letter."""
    return str(raw, "utf-8")


def take_raw(members: Members, name: str) -> msgspec.Raw | None:
    """Take a member that was left as text; None if it is missing, and if it is null, which stays."""
    raw = members.rest.get(name)
    if type(raw) is not msgspec.Raw or bytes(memoryview(raw)[:5]) == b"null":
        return None
    del members.rest[name]
    return raw


def quiet(members: Members, name: str) -> None:
    """Keep a member that says nothing (an empty value, a default) as a hint, for a round trip only."""
    members.hint(_QUIET + name, members.rest.pop(name))


def take_word(members: Members, name: str) -> str:
    """Take a string for a field that has no presence: an empty one becomes a hint."""
    word = members.text(name)
    if word == "":
        members.hint(_QUIET + name, "")
    return word or ""


def type_of(value: JsonObject) -> str:
    """The `type` member; empty if it is none."""
    found = value.get("type")
    return found if type(found) is str else ""


def take_type(members: Members, expected: str) -> None:
    """Take the `type` member if it says what is expected."""
    if members.rest.get("type") == expected:
        del members.rest["type"]


def merge_deep(into: JsonObject, extra: JsonObject) -> JsonObject:
    """Add the members that `into` does not have, at every level; return `into`."""
    for name, value in extra.items():
        mine = into.get(name)
        if name not in into:
            into[name] = value
        elif type(mine) is dict and type(value) is dict:
            merge_deep(mine, value)
    return into


def merge_back(into: JsonObject, extension: Extension) -> JsonObject:
    """Add what the extension carries and `into` does not have; return `into`."""
    for key, value in extension.shape.items():
        if key.startswith(_QUIET):
            into.setdefault(key[1:], value)
    return merge_deep(into, extension.members)


def own_state(state: OpaqueState, kind: str) -> str | None:
    """The text of a state that this dialect made, or None."""
    if state.dialect != DIALECT or state.kind != kind:
        return None
    return state.data.decode("utf-8", "replace")


def tool_use_id(call_id: str) -> str:
    """An id that Anthropic accepts; the same for the call and for its result."""
    return _NOT_IN_IDS.sub("_", call_id)
