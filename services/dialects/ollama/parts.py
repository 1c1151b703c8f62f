"""Pictures and tool calls, in requests and answers alike."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from llmhub.types.v1.content_pb2 import MediaKind, Part
from services.dialects.data_urls import decode_base64
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.dialects.ollama.wire import DIALECT
from services.dialects.raw_json import (
    elements,
    is_array,
    is_object,
    merge_deep,
    object_keeping,
    object_text,
    raw_text,
)
from services.dialects.text_tools import TEXT_INPUT, function_of, name_call, text_input

_RAW: Final = "tool_calls"


class Parts(Protocol):
    """protobuf's container of parts."""

    def add(self) -> Part: ...


def message_members(raw: msgspec.Raw) -> JsonObject:
    """Read a message, leaving its calls as text; raise ValueError for what is no object."""
    return object_keeping(raw, _RAW)


def take_turn(members: Members, parts: Parts, call_prefix: str, called: int = 0) -> None:
    """Take thinking, content, pictures and calls out of a message, in this order.

    A call without an id gets the prefix and its number, counted from `called`.
    """
    thinking = members.word("thinking")
    if thinking is not None:
        part = parts.add()
        part.reasoning.text = thinking
        part.extensions[DIALECT] = "{}"
    content = members.word("content")
    if content is not None:
        parts.add().text = content
    take_images(members, parts)
    take_calls(members, parts, call_prefix, called)


def take_images(members: Members, parts: Parts) -> None:
    """Take the pictures, if all of them are what they must be."""
    images = members.rest.get("images")
    if not isinstance(images, list) or not images:
        return
    found = [decode_base64(each) if isinstance(each, str) and each else None for each in images]
    if None in found:
        return
    del members.rest["images"]
    for data in found:
        media = parts.add().media
        media.kind = MediaKind.MEDIA_KIND_IMAGE
        media.data = data or b""


def take_calls(members: Members, parts: Parts, call_prefix: str, called: int) -> None:
    """Take the calls; the text of their arguments is kept to the letter."""
    raw = members.rest.get(_RAW)
    if type(raw) is not msgspec.Raw:
        return
    calls = elements(raw) if is_array(raw) else []
    if not calls or not all(is_object(each) for each in calls):
        members.rest[_RAW] = decode_json(raw)
        return
    del members.rest[_RAW]
    for number, call in enumerate(calls, called):
        _read_call(call, parts.add(), f"{call_prefix}{number}")


def _read_call(raw: msgspec.Raw, part: Part, fallback_id: str) -> None:
    members = Members(object_keeping(raw, "function"))
    call = part.tool_call
    call_id = members.word("id")
    call.id = call_id or fallback_id
    call.id_generated = call_id is None
    function = members.rest.pop("function", None)
    name = ""
    if is_object(function):
        inner = Members(object_keeping(function, "arguments"))
        name = inner.word("name") or ""
        if not name:
            members.hint("nameless")
        arguments = inner.rest.pop("arguments", None)
        if is_object(arguments):
            call.arguments = raw_text(arguments)
        elif arguments is not None:
            # Not what Ollama says; kept, so that nothing is lost.
            inner.rest["arguments"] = decode_json(arguments)
        else:
            inner.hint("silent")
            members.hint("silent")
        if inner.rest:
            members.rest["function"] = inner.rest
    else:
        members.hint("bare")
        if function is not None:
            members.rest["function"] = decode_json(function)
    name_call(call, name)
    if call.name != name:
        call.arguments = text_input(call.arguments)
    members.save(part.extensions, DIALECT)


def write_call(part: Part, extension: Extension) -> tuple[JsonObject, bool]:
    """Write one call; also whether its arguments had to be wrapped because they are no JSON object."""
    call = part.tool_call
    name, arguments = function_of(call)
    written: JsonObject = {}
    if call.id and not call.id_generated:
        written["id"] = call.id
    wrapped = False
    if "bare" not in extension.shape:
        function: JsonObject = {} if "nameless" in extension.shape else {"name": name}
        rest = extension.members.get("function")
        kept = isinstance(rest, dict) and "arguments" in rest
        if arguments or not (kept or "silent" in extension.shape):
            value: Any = object_text(arguments or "{}")
            wrapped = value is None
            function["arguments"] = {TEXT_INPUT: arguments} if value is None else value
        written["function"] = function
    return merge_deep(written, extension.members), wrapped
