"""Content blocks to parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import (
    MEDIA_KIND_DOCUMENT,
    MEDIA_KIND_IMAGE,
    TOOL_KIND_CUSTOM,
    CacheMark,
    Media,
    OpaqueState,
    Part,
)
from services.dialects.anthropic.citations import read_citations
from services.dialects.anthropic.wire import (
    DIALECT,
    REDACTED,
    SIGNATURE,
    TOOL_REFERENCE,
    object_keeping,
    take_type,
    tool_reference_text,
    type_of,
)
from services.dialects.data_urls import decode_base64
from services.dialects.members import Members, decode_json
from services.dialects.quiet import quiet, take_word
from services.dialects.raw_json import elements, raw_text, take_raw
from services.dialects.text_tools import name_call, text_input
from services.runtime.errors import Violation

Faults = list[Violation] | None


def read_block(raw: msgspec.Raw, path: str = "", faults: Faults = None) -> Part:
    """Read one block of a message; raise ValueError if it is no object."""
    return _read(raw, _READERS, path, faults)


def read_blocks(raw: msgspec.Raw, path: str, faults: Faults) -> list[Part]:
    """Read the blocks of a message."""
    return [
        _read(element, _READERS, f"{path}[{index}]", faults) for index, element in enumerate(elements(raw))
    ]


def read_opaque(raw: msgspec.Raw, block_type: str) -> Part:
    """Carry a block as it is."""
    part = Part()
    part.opaque.dialect = DIALECT
    part.opaque.type = block_type
    part.opaque.json = raw_text(raw)
    return part


def signature_state(signature: str, kind: str = SIGNATURE) -> OpaqueState:
    """The state that a signature, or withheld thinking, is."""
    return OpaqueState(data=signature.encode(), dialect=DIALECT, kind=kind)


def take_cache(members: Members, mark_of: Callable[[], CacheMark]) -> None:
    """Take `cache_control` into the mark."""
    value = members.mapping("cache_control")
    if value is None:
        return
    control = Members(value)
    mark = mark_of()
    mark.SetInParent()
    if "type" not in value:
        control.hint("untyped")
    take_type(control, "ephemeral")
    mark.ttl = take_word(control, "ttl")
    control.save(mark.extensions, DIALECT)


def _read(raw: msgspec.Raw, readers: dict[str, _Reader], path: str, faults: Faults) -> Part:
    block = object_keeping(raw, "input", "content")
    block_type = block.get("type")
    if type(block_type) is not str:
        if faults is not None:
            faults.append(Violation(f"{path}.type", "must be a string"))
        block_type = ""
    reader = readers.get(block_type)
    if reader is None:
        return read_opaque(raw, block_type)
    members = Members(block, path, faults)
    del block["type"]
    part = Part()
    if not reader(members, part):
        return read_opaque(raw, block_type)
    if "cache_control" in block:
        take_cache(members, lambda: part.cache)
    members.save(part.extensions, DIALECT)
    return part


def _text(members: Members, part: Part) -> bool:
    part.text = members.text("text") or ""
    part.citations.extend(read_citations(members))
    if members.rest.get("citations") == []:
        quiet(members, "citations")
    return True


def _tool_reference(members: Members, part: Part) -> bool:
    """Names a tool that a search of the caller's own has found; to models that do not know such blocks, in words."""
    name = members.text("tool_name")
    if name is None:
        return False
    part.text = tool_reference_text(name)
    members.hint(TOOL_REFERENCE, name)
    return True


def _thinking(members: Members, part: Part) -> bool:
    part.reasoning.text = members.text("thinking") or ""
    signature = members.text("signature")
    if signature:
        part.state.CopyFrom(signature_state(signature))
    elif signature == "":
        members.hint("=signature", "")
    else:
        members.hint("unsigned")
    return True


def _redacted_thinking(members: Members, part: Part) -> bool:
    part.reasoning.redacted = True
    part.state.CopyFrom(signature_state(members.text("data") or "", REDACTED))
    return True


def _tool_use(members: Members, part: Part) -> bool:
    call = part.tool_call
    call.id = take_word(members, "id")
    name_call(call, take_word(members, "name"))
    raw = take_raw(members, "input")
    call.arguments = raw_text(raw) if raw is not None else ""
    if call.kind == TOOL_KIND_CUSTOM:
        call.arguments = text_input(call.arguments)
    return True


def _tool_result(members: Members, part: Part) -> bool:
    result = part.tool_result
    result.SetInParent()
    result.call_id = take_word(members, "tool_use_id")
    if (is_error := members.flag("is_error")) is not None:
        result.is_error = is_error
    raw = take_raw(members, "content")
    if raw is None:
        return True
    content = decode_json(raw)
    if type(content) is str and content:
        result.parts.add().text = content
        members.hint("content", "string")
    elif type(content) is list and content:
        path = members.at("content")
        result.parts.extend(
            _read(element, _NESTED, f"{path}[{index}]", None) for index, element in enumerate(elements(raw))
        )
    else:
        members.rest["content"] = raw
    return True


def _image(members: Members, part: Part) -> bool:
    part.media.kind = MEDIA_KIND_IMAGE
    return _source(members, part.media)


def _document(members: Members, part: Part) -> bool:
    media = part.media
    media.kind = MEDIA_KIND_DOCUMENT
    media.title = take_word(members, "title")
    media.context = take_word(members, "context")
    citations = members.mapping("citations")
    if citations is not None:
        asked = Members(citations)
        if (enabled := asked.flag("enabled")) is not None:
            media.citations = enabled
        if asked.rest or enabled is None:
            members.rest["citations"] = asked.rest
    return _source(members, media)


def _source(members: Members, media: Media) -> bool:
    """Take `source`; false if it is of an unknown kind, so that the block must stay whole."""
    value = members.mapping("source")
    if value is None:
        return False
    source = Members(value)
    kind = type_of(value)
    value.pop("type", None)
    if kind in {"base64", "text"}:
        media.mime_type = take_word(source, "media_type")
    if not (
        _source_parts(members, source, media) if kind == "content" else _source_value(kind, source, media)
    ):
        return False
    if source.rest:
        members.rest["source"] = source.rest
    return True


def _source_value(kind: str, source: Members, media: Media) -> bool:
    match kind:
        case "base64" if (decoded := decode_base64(source.text("data"))) is not None:
            media.data = decoded
        case "url" if (url := source.text("url")) is not None:
            media.url = url
        case "file" if (file_id := source.text("file_id")) is not None:
            media.file_id = file_id
        case "text" if (text := source.text("data")) is not None:
            media.text = text
        case _:
            return False
    return True


def _source_parts(members: Members, source: Members, media: Media) -> bool:
    content = source.rest.pop("content", None)
    if type(content) is str:
        media.parts.parts.add().text = content
        members.hint("source", "string")
        return True
    if type(content) is not list:
        return False
    media.parts.SetInParent()
    for element in content:
        if type(element) is not dict:
            return False
        raw = msgspec.Raw(msgspec.json.encode(element))
        media.parts.parts.append(_read(raw, _NESTED_SOURCE, "", None))
    return True


_Reader = Callable[[Members, Part], bool]
_NESTED_SOURCE: Final[dict[str, _Reader]] = {"text": _text, "image": _image}
_TOP: Final[dict[str, _Reader]] = {**_NESTED_SOURCE, "document": _document}
_NESTED: Final[dict[str, _Reader]] = {**_TOP, TOOL_REFERENCE: _tool_reference}
_READERS: Final[dict[str, _Reader]] = {
    **_TOP,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
