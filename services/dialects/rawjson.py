"""JSON objects of which some members stay text, to the letter: arguments, schemas, results."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.runtime.errors import RequestInvalid, Violation

_QUIET: Final = "="

_members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements_of = msgspec.json.Decoder(list[msgspec.Raw]).decode


def raw_members(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Read an object, leaving all its members as they are; raise ValueError for anything else."""
    try:
        return _members_of(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def object_keeping(data: bytes | msgspec.Raw, *names: str) -> JsonObject:
    """Read an object, leaving the named members as msgspec.Raw; raise ValueError for anything else."""
    members: dict[str, Any] = raw_members(data)
    for name, raw in members.items():
        if name not in names:
            members[name] = decode_json(raw)
    return members


def elements(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Read an array, leaving its elements as they are; raise ValueError for anything else."""
    try:
        return _elements_of(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


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
    """Add what the extension carries and `into` does not have, hinted members included; return `into`."""
    for key, value in extension.shape.items():
        if key.startswith(_QUIET):
            into.setdefault(key[1:], value)
    return merge_deep(into, extension.members)
