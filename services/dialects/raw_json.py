"""JSON objects of which some members stay text, to the letter: schemas, arguments, usage."""

from __future__ import annotations

from typing import Any

import msgspec

from services.dialects.members import JSON_FAULTS, JsonObject, Members, decode_json, request_json

_members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements_of = msgspec.json.Decoder(list[msgspec.Raw]).decode


def object_keeping(data: bytes | msgspec.Raw, *names: str) -> JsonObject:
    """Read an object, leaving the named members as msgspec.Raw; raise ValueError for anything else.

    What is left as text is JSON too: it can be read later without a fault.
    """
    members: dict[str, Any] = raw_members(data)
    for name, raw in members.items():
        value = decode_json(raw)
        if name not in names:
            members[name] = value
    return members


def raw_members(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Read an object, leaving all members as they are; raise ValueError for anything else."""
    try:
        return _members_of(data)
    except JSON_FAULTS as error:
        raise ValueError(str(error)) from None


def elements(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Read an array, leaving its elements as they are; raise ValueError for anything else."""
    try:
        return _elements_of(data)
    except JSON_FAULTS as error:
        raise ValueError(str(error)) from None


def raw_text(raw: msgspec.Raw) -> str:
    """The JSON text of a member, to the letter."""
    return str(raw, "utf-8")


def is_object(raw: object) -> bool:
    """Whether a member that was left as text is an object."""
    return type(raw) is msgspec.Raw and bytes(memoryview(raw)[:1]) == b"{"


def is_array(raw: object) -> bool:
    """Whether a member that was left as text is an array."""
    return type(raw) is msgspec.Raw and bytes(memoryview(raw)[:1]) == b"["


def take_raw(members: Members, name: str) -> msgspec.Raw | None:
    """Take a member that was left as text; None if it is missing, and if it is null, which stays."""
    raw = members.rest.get(name)
    if type(raw) is not msgspec.Raw or bytes(memoryview(raw)[:1]) == b"n":
        return None
    del members.rest[name]
    return raw


def caller_json(text: str, field: str) -> msgspec.Raw:
    """JSON text of a caller to be written to the letter; raise RequestInvalid if it is no JSON."""
    return caller_json_read(text, field)[0]


def caller_json_read(text: str, field: str) -> tuple[msgspec.Raw, Any]:
    """The same, and its value."""
    return msgspec.Raw(text), request_json(text, field)


def object_text(text: str) -> msgspec.Raw | None:
    """The text as a member, if it is that of a JSON object."""
    try:
        value = decode_json(text)
    except ValueError:
        return None
    return msgspec.Raw(text.encode()) if isinstance(value, dict) else None


def merge_deep(into: JsonObject, extra: JsonObject) -> JsonObject:
    """Add the members that `into` does not have, at every level; return `into`."""
    for name, value in extra.items():
        mine = into.get(name)
        if name not in into:
            into[name] = value
        elif type(mine) is dict and type(value) is dict:
            merge_deep(mine, value)
    return into
