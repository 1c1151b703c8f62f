"""Starts and deltas of streamed blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from llmhub.types.v1.content_pb2 import MEDIA_KIND_IMAGE, TOOL_KIND_CUSTOM, Part
from llmhub.types.v1.stream_pb2 import BlockDelta
from services.dialects.bedrock.citations import read_citation
from services.dialects.bedrock.formats import type_of_format
from services.dialects.bedrock.read_blocks import is_format, read_opaque, server_type
from services.dialects.bedrock.wire import DIALECT, REDACTED, SIGNATURE, made_state
from services.dialects.data_urls import decode_base64
from services.dialects.members import JsonObject, Members, decode_json, json_text
from services.dialects.quiet import quiet, take_word
from services.dialects.raw_json import object_keeping, raw_members, raw_text
from services.dialects.text_tools import name_call


@dataclass(slots=True)
class Block:
    """An open block: what it is, and what its deltas have brought as far as that matters."""

    kind: str
    """text, reasoning, tool_call, media or opaque."""
    custom: bool = False
    formatted: bool = False
    """A call that stands for a structured answer: its arguments are the text."""
    arguments: list[str] = field(default_factory=list)


def read_start(raw: msgspec.Raw) -> tuple[Part, Block]:
    """Read the `start` of a block that announces itself."""
    held = raw_members(raw)
    name = next(iter(held), "")
    part = Part()
    if len(held) == 1 and name == "toolUse":
        block = _tool_start(held[name], part)
        if block is not None:
            return part, block
    elif len(held) == 1 and name == "image":
        members = Members(object_keeping(held[name]))
        part.media.kind = MEDIA_KIND_IMAGE
        word = members.rest.get("format")
        if type(word) is str and (mime_type := type_of_format(MEDIA_KIND_IMAGE, word)):
            part.media.mime_type = mime_type
            del members.rest["format"]
        members.save(part.extensions, DIALECT)
        return part, Block("media")
    return read_opaque(raw_text(raw), name), Block("opaque")


def begins_with(name: str, value: msgspec.Raw | None = None) -> Part:
    """The part that a block is which began with a delta of this kind."""
    part = Part()
    match name:
        case "text" | "citation":
            part.text = ""
        case "reasoningContent" | "reasoning":
            part.reasoning.SetInParent()
            part.reasoning.redacted = value is not None and REDACTED in raw_members(value)
        case _:
            return read_opaque("{}", name)
    return part


def read_delta(name: str, raw: msgspec.Raw, kind: str) -> BlockDelta | None:
    """Read a delta for a block of this kind; None if it cannot take it."""
    delta = BlockDelta()
    value = decode_json(raw)
    match (name, kind):
        case ("text", "text") if type(value) is str:
            delta.text = value
        case ("citation", "text") if type(value) is dict:
            delta.citation.CopyFrom(read_citation(value))
        case ("reasoningContent", "reasoning") if type(value) is dict and len(value) == 1:
            return _reasoning(value)
        case ("image", "media") if type(value) is dict:
            return _image(value, raw)
        case _ if name not in {"text", "citation", "reasoningContent", "image", "toolUse", "toolResult"}:
            delta.opaque_json = json_text({name: raw})
        case _:
            return None
    return delta


def whole_block(start: str, deltas: Iterable[str]) -> str:
    """An opaque block as a whole answer has it, from its start and its deltas; raise ValueError for junk."""
    held = decode_json(start)
    if type(held) is not dict:
        raise ValueError("not a block")
    name = next(iter(held), "")
    arguments: list[str] = []
    content: list[object] = []
    for text in deltas:
        delta = decode_json(text).get(name)
        if type(delta) is dict:
            arguments.append(str(delta.get("input", "")))
        elif type(delta) is list:
            content.extend(delta)
    block: JsonObject = held.get(name, {})
    if name == "toolUse":
        joined = "".join(arguments) or "{}"
        decode_json(joined)
        block["input"] = msgspec.Raw(joined)
    elif name == "toolResult":
        block["content"] = content
    return json_text(held)


def _tool_start(raw: msgspec.Raw, part: Part) -> Block | None:
    members = Members(object_keeping(raw))
    if server_type(members.rest):
        return None
    if "type" in members.rest:
        quiet(members, "type")
    name = take_word(members, "name")
    if is_format(name):
        part.text = ""
        return Block("text", formatted=True)
    call = part.tool_call
    call.id = take_word(members, "toolUseId")
    name_call(call, name)
    members.save(part.extensions, DIALECT)
    return Block("tool_call", custom=call.kind == TOOL_KIND_CUSTOM)


def _reasoning(value: JsonObject) -> BlockDelta | None:
    ((name, held),) = value.items()
    if type(held) is not str:
        return None
    delta = BlockDelta()
    match name:
        case "text":
            delta.text = held
        case "signature":
            delta.state.CopyFrom(made_state(held.encode(), SIGNATURE))
        case "redactedContent" if (data := decode_base64(held)) is not None:
            delta.state.CopyFrom(made_state(data, REDACTED))
        case _:
            return None
    return delta


def _image(value: JsonObject, raw: msgspec.Raw) -> BlockDelta:
    """Bytes of an image; a place or an error instead of them stays as it is."""
    source = value.get("source")
    data = decode_base64(source.get("bytes")) if type(source) is dict and len(source) == 1 else None
    if data is None or len(value) != 1:
        return BlockDelta(opaque_json=json_text({"image": raw}))
    return BlockDelta(data=data)
