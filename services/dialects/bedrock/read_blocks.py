"""Content blocks to parts. A block is an object of one member, which says what it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM, CacheMark, Part
from services.dialects.bedrock.citations import read_citation, take_texts
from services.dialects.bedrock.media import read_media
from services.dialects.bedrock.wire import DIALECT, FORMAT_TOOL_SUFFIX, REDACTED, SIGNATURE, made_state
from services.dialects.data_urls import decode_base64
from services.dialects.members import SHAPE, Extension, JsonObject, Members, decode_json, json_text
from services.dialects.quiet import quiet, take_word
from services.dialects.raw_json import elements, object_keeping, raw_members, raw_text, take_raw
from services.dialects.text_tools import name_call, text_input
from services.runtime.errors import Violation

Faults = list[Violation] | None

GUARD: Final = "guardContent"
"""Member of an extension: the part stood in a guardContent block, as its text or image."""
CITED: Final = "cited"
"""Hint: lengths of the texts of a citationsContent block."""
JSON_RESULT: Final = "json"
"""Hint: the text is that of a JSON value."""


def read_blocks(raw: msgspec.Raw, path: str, faults: Faults) -> list[Part]:
    """Read the blocks of a message; raise ValueError unless it is an array of objects.

    A cachePoint marks the part before it.
    """
    parts: list[Part] = []
    for index, element in enumerate(elements(raw)):
        block = raw_members(element)
        if faults is not None and len(block) != 1:
            faults.append(Violation(f"{path}[{index}]", "must have exactly one member"))
        if list(block) == ["cachePoint"] and parts and not parts[-1].HasField("cache"):
            read_cache(block["cachePoint"], parts[-1].cache)
        else:
            parts.append(_read(element, block, _READERS))
    return parts


def read_cache(raw: msgspec.Raw, mark: CacheMark) -> None:
    """Read a cachePoint."""
    members = Members(object_keeping(raw))
    mark.SetInParent()
    if members.rest.get("type") == "default":
        del members.rest["type"]
    else:
        members.hint("untyped")
    mark.ttl = take_word(members, "ttl")
    members.save(mark.extensions, DIALECT)


def read_opaque(text: str, block_type: str) -> Part:
    """Carry a block as it is."""
    part = Part()
    part.opaque.dialect = DIALECT
    part.opaque.type = block_type
    part.opaque.json = text
    return part


def is_format(name: str) -> bool:
    """Tell whether a tool's name is that of a function standing for a structured answer."""
    return name.endswith(FORMAT_TOOL_SUFFIX)


def is_call(part: Part) -> bool:
    """Tell whether a part of an answer is a tool's call, one of the provider's own tools included."""
    return part.HasField("tool_call") or part.HasField("opaque")


def server_type(value: JsonObject) -> str:
    """What a toolUse or toolResult of the provider's own tools calls itself; empty for a caller's tool."""
    kind = value.get("type")
    return kind if type(kind) is str and kind != "tool_use" else ""


def _read(element: msgspec.Raw, block: dict[str, msgspec.Raw], readers: dict[str, _Reader]) -> Part:
    name = next(iter(block), "")
    reader = readers.get(name) if len(block) == 1 else None
    if reader is None:
        return read_opaque(raw_text(element), name)
    part = Part()
    opaque_type = reader(block[name], part)
    return part if opaque_type is None else read_opaque(raw_text(element), opaque_type or name)


def _text(raw: msgspec.Raw, part: Part) -> str | None:
    text = decode_json(raw)
    if type(text) is not str:
        return ""
    part.text = text
    return None


def _medium(name: str, raw: msgspec.Raw, part: Part) -> str | None:
    return None if read_media(name, object_keeping(raw), part) else ""


def _tool_use(raw: msgspec.Raw, part: Part) -> str | None:
    members = Members(object_keeping(raw, "input"))
    if kind := server_type(members.rest):
        return kind
    if "type" in members.rest:
        quiet(members, "type")
    called = take_word(members, "name")
    arguments = take_raw(members, "input")
    text = raw_text(arguments) if arguments is not None else ""
    if is_format(called):
        part.text = text
        return None
    call = part.tool_call
    call.id = take_word(members, "toolUseId")
    name_call(call, called)
    call.arguments = text_input(text) if call.kind == TOOL_KIND_CUSTOM else text
    members.save(part.extensions, DIALECT)
    return None


def _tool_result(raw: msgspec.Raw, part: Part) -> str | None:
    members = Members(object_keeping(raw, "content"))
    if kind := server_type(members.rest):
        return kind
    content = members.rest.get("content")
    if type(content) is not msgspec.Raw or bytes(memoryview(content)[:1]) != b"[":
        return ""
    del members.rest["content"]
    result = part.tool_result
    result.SetInParent()
    result.call_id = take_word(members, "toolUseId")
    status = members.rest.get("status")
    if type(status) is str and status in {"success", "error"}:
        del members.rest["status"]
        result.is_error = status == "error"
    result.parts.extend(_read(each, raw_members(each), _NESTED) for each in elements(content))
    members.save(part.extensions, DIALECT)
    return None


def _json_result(raw: msgspec.Raw, part: Part) -> str | None:
    part.text = raw_text(raw)
    members = Members({})
    members.hint(JSON_RESULT)
    members.save(part.extensions, DIALECT)
    return None


def _reasoning(raw: msgspec.Raw, part: Part) -> str | None:
    content = object_keeping(raw)
    if len(content) != 1:
        return ""
    if REDACTED in content:
        data = decode_base64(content[REDACTED])
        if data is None:
            return ""
        part.reasoning.redacted = True
        part.state.CopyFrom(made_state(data, REDACTED))
        return None
    inner = content.get("reasoningText")
    if type(inner) is not dict or type(inner.get("text")) is not str:
        return ""
    members = Members(inner)
    part.reasoning.text = members.text("text") or ""
    signature = members.text("signature")
    if signature:
        part.state.CopyFrom(made_state(signature.encode(), SIGNATURE))
    elif signature == "":
        members.hint("=signature", "")
    members.save(part.extensions, DIALECT)
    return None


def _citations(raw: msgspec.Raw, part: Part) -> str | None:
    members = Members(object_keeping(raw))
    part.text, lengths = take_texts(members, "content")
    members.hint(CITED, lengths)
    cited = members.rest.get("citations")
    if type(cited) is list and cited and all(type(each) is dict for each in cited):
        del members.rest["citations"]
        part.citations.extend(read_citation(each) for each in cited)
    members.save(part.extensions, DIALECT)
    return None


def _guarded(raw: msgspec.Raw, part: Part) -> str | None:
    content = object_keeping(raw)
    kind = next(iter(content), "")
    inner = content.get(kind)
    if len(content) != 1 or type(inner) is not dict:
        return ""
    guard: JsonObject = {"as": kind}
    if kind == "text" and type(inner.get("text")) is str:
        part.text = inner.pop("text")
        guard |= inner
    elif kind != "image" or not read_media(kind, inner, part):
        return ""
    # A member, not a hint: that the text was marked is lost elsewhere, and that is reported.
    extension = Extension(part.extensions, DIALECT)
    kept = {**extension.members, GUARD: guard}
    part.extensions[DIALECT] = json_text({**kept, SHAPE: extension.shape} if extension.shape else kept)
    return None


_Reader = Callable[[msgspec.Raw, Part], str | None]
"""Reads a block's member into a part; for a block that the contract cannot hold, its opaque type, or nothing."""
_NESTED: Final[dict[str, _Reader]] = {
    "text": _text,
    "json": _json_result,
    "image": partial(_medium, "image"),
    "document": partial(_medium, "document"),
    "video": partial(_medium, "video"),
}
_READERS: Final[dict[str, _Reader]] = {
    "text": _text,
    "image": partial(_medium, "image"),
    "document": partial(_medium, "document"),
    "video": partial(_medium, "video"),
    "audio": partial(_medium, "audio"),
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "citationsContent": _citations,
    "guardContent": _guarded,
}
