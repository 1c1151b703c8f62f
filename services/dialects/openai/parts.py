"""Content parts, tool calls and annotations, in requests and answers alike."""

from __future__ import annotations

from typing import Any

from llmhub.types.v1.content_pb2 import CacheMark, Citation, Part, ToolCall, ToolKind
from services.dialects.members import Extension, JsonObject, Members, decode_json, json_text, request_json
from services.dialects.openai.media import MEDIA_TYPES, decode_media, encode_media
from services.dialects.openai.wire import (
    DIALECT,
    HOLE,
    MEDIA_HOLE,
    OPAQUE_HOLE,
    REASONING_HOLE,
    REFUSAL_HOLE,
    TEXT_HOLE,
)

_CACHE_MEMBERS = ("cache_control", "prompt_cache_breakpoint")


def decode_content_part(value: JsonObject, part: Part) -> str:
    """Read one element of a content list; return the hole that stands for it."""
    members = Members(value)
    kind = members.rest.get("type")
    if not isinstance(kind, str | None):
        kind = ""
    if kind in {"text", "input_text", "output_text"} or (kind is None and "text" in members.rest):
        text = members.text("text")
        if text is not None:
            if kind != "text":
                members.hint("type", kind)
            members.rest.pop("type", None)
            part.text = text
            return _save(members, part, TEXT_HOLE)
    elif kind in MEDIA_TYPES:
        if decode_media(members, kind, part.media):
            del members.rest["type"]
            return _save(members, part, MEDIA_HOLE)
        part.ClearField("media")
    elif kind == "refusal" and (refusal := members.word("refusal")):
        del members.rest["type"]
        members.hint("listed")
        part.refusal = refusal
        return _save(members, part, REFUSAL_HOLE)
    elif kind == "thinking" and (text := thinking_text(value)):
        part.reasoning.text = text
        value["thinking"][0]["text"] = HOLE
        return _save(members, part, REASONING_HOLE)
    part.opaque.dialect = DIALECT
    part.opaque.type = kind or ""
    part.opaque.json = json_text(value)
    return OPAQUE_HOLE


def thinking_text(value: JsonObject) -> str:
    """The text of a thinking chunk (Mistral) that has just one; empty for any other shape."""
    chunks = value.get("thinking")
    if isinstance(chunks, list) and len(chunks) == 1 and isinstance(chunks[0], dict):
        text = chunks[0].get("text")
        if isinstance(text, str):
            return text
    return ""


def encode_content_part(part: Part) -> Any:
    """Write one element of a content list."""
    extension = Extension(part.extensions, DIALECT)
    match part.WhichOneof("kind"):
        case "text":
            written: JsonObject = {"type": "text", "text": part.text}
            if "type" in extension.shape:
                kind = extension.shape["type"]
                written = {"text": part.text} if kind is None else {"type": kind, "text": part.text}
        case "media":
            written = encode_media(part.media, extension)
        case "refusal":
            written = {"type": "refusal", "refusal": part.refusal}
        case "reasoning":
            written = _encode_thinking(part.reasoning.text, extension)
        case "opaque":
            return request_json(part.opaque.json, "opaque.json")
        case _:
            written = {"type": "text", "text": ""}
    if part.HasField("cache"):
        encode_cache(part.cache, written)
    return extension.merge(written)


def decode_tool_call(value: JsonObject, part: Part, fallback_id: str) -> None:
    """Read one call; `fallback_id` is its id if the provider gave none."""
    members = Members(value)
    call = part.tool_call
    call_id = members.word("id")
    call.id = call_id or fallback_id
    if call_id is None:
        call.id_generated = True
        members.hint("anonymous")
    index = members.rest.get("index")
    if type(index) is int:
        # Says in a stream which call a piece belongs to; some write it in whole messages too.
        members.hint("index", index)
        del members.rest["index"]
    kind = members.rest.get("type")
    inner = "custom" if kind == "custom" else "function"
    call.kind = ToolKind.TOOL_KIND_CUSTOM if inner == "custom" else ToolKind.TOOL_KIND_FUNCTION
    if kind == inner:
        del members.rest["type"]
    else:
        members.hint("untyped")
    function = members.rest.get(inner)
    if isinstance(function, dict):
        _decode_function(function, call, members, "input" if inner == "custom" else "arguments")
        if not function:
            del members.rest[inner]
    else:
        members.hint("bare")
    members.save(part.extensions, DIALECT)


def decode_function_call(value: JsonObject, part: Part, fallback_id: str) -> None:
    """Read the call of the older function interface, which has no ids."""
    members = Members(value)
    members.hint("legacy")
    part.tool_call.id = fallback_id
    part.tool_call.id_generated = True
    part.tool_call.kind = ToolKind.TOOL_KIND_FUNCTION
    _decode_function(members.rest, part.tool_call, members, "arguments")
    members.save(part.extensions, DIALECT)


def encode_tool_call(part: Part, extension: Extension | None = None) -> JsonObject:
    """Write one call."""
    call = part.tool_call
    extension = extension or Extension(part.extensions, DIALECT)
    function = _encode_function(call, extension)
    if "legacy" in extension.shape:
        return extension.merge(function)
    kind = "custom" if call.kind == ToolKind.TOOL_KIND_CUSTOM else "function"
    written: JsonObject = {}
    if type(extension.shape.get("index")) is int:
        written["index"] = extension.shape["index"]
    if not (call.id_generated and "anonymous" in extension.shape):
        written["id"] = call.id
    if "untyped" not in extension.shape:
        written["type"] = kind
    if "bare" not in extension.shape:
        rest = extension.members.pop(kind, None)
        written[kind] = {**rest, **function} if isinstance(rest, dict) else function
    return extension.merge(written)


def decode_annotation(value: JsonObject, citation: Citation) -> None:
    """Read one annotation; kinds other than url_citation keep their members in the extension."""
    members = Members(value)
    citation.kind = members.word("type") or ""
    inner = members.rest.get(citation.kind)
    if citation.kind == "url_citation" and isinstance(inner, dict):
        source = Members(inner)
        citation.url = source.word("url") or ""
        citation.title = source.word("title") or ""
        citation.cited_text = source.word("content") or ""
        for name in ("start", "end"):
            offset = source.integer(f"{name}_index")
            if offset is not None:
                setattr(citation, name, offset)
        if not inner:
            del members.rest[citation.kind]
    members.save(citation.extensions, DIALECT)


def encode_annotation(citation: Citation) -> JsonObject | None:
    """Write one annotation; None for a citation that has no form here."""
    extension = Extension(citation.extensions, DIALECT)
    native = DIALECT in citation.extensions or citation.kind == "url_citation"
    if not native and not citation.url:
        return None
    if native and citation.kind != "url_citation":
        return extension.merge({"type": citation.kind} if citation.kind else {})
    inner: JsonObject = {}
    if native:
        for name, value in (("start_index", citation.start), ("end_index", citation.end)):
            if citation.HasField(name.removesuffix("_index")):  # type: ignore[arg-type]
                inner[name] = value
    for name, text in (("url", citation.url), ("title", citation.title), ("content", citation.cited_text)):
        if text and (native or name != "content"):
            inner[name] = text
    rest = extension.members.pop("url_citation", None)
    if isinstance(rest, dict):
        inner = {**rest, **inner}
    return extension.merge({"type": "url_citation", "url_citation": inner})


def _decode_function(function: JsonObject, call: ToolCall, outer: Members, argument: str) -> None:
    members = Members(function)
    call.name = members.word("name") or ""
    value = function.get(argument)
    if isinstance(value, str):
        call.arguments = value
        del function[argument]
    elif isinstance(value, dict):
        outer.hint("object")
        call.arguments = json_text(value)
        del function[argument]
    elif argument not in function:
        outer.hint("silent")


def _encode_function(call: ToolCall, extension: Extension) -> JsonObject:
    argument = "input" if call.kind == ToolKind.TOOL_KIND_CUSTOM else "arguments"
    written: JsonObject = {}
    if call.name:
        written["name"] = call.name
    if "object" in extension.shape:
        try:
            written[argument] = decode_json(call.arguments)
        except ValueError:
            written[argument] = call.arguments
    elif call.arguments or "silent" not in extension.shape:
        written[argument] = call.arguments
    return written


def _encode_thinking(text: str, extension: Extension) -> JsonObject:
    chunks = extension.members.get("thinking")
    if isinstance(chunks, list) and len(chunks) == 1 and isinstance(chunks[0], dict):
        chunks[0]["text"] = text
        return extension.members
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _save(members: Members, part: Part, hole: str) -> str:
    decode_cache(members, part.cache)
    if not part.cache.extensions:
        part.ClearField("cache")
    members.save(part.extensions, DIALECT)
    return hole


def decode_cache(members: Members, mark: CacheMark) -> bool:
    """Take a cache mark, as OpenRouter or as OpenAI writes it; the extension says which."""
    for name in _CACHE_MEMBERS:
        value = members.rest.get(name)
        if isinstance(value, dict):
            del members.rest[name]
            inner = Members(value)
            inner.hint("as", name)
            mark.ttl = inner.word("ttl") or ""
            inner.save(mark.extensions, DIALECT)
            return True
    return False


def encode_cache(mark: CacheMark, into: JsonObject) -> None:
    """Write a cache mark the way it was read; as cache_control if it comes from elsewhere."""
    extension = Extension(mark.extensions, DIALECT)
    name = extension.shape.get("as")
    written: JsonObject = {} if name else {"type": "ephemeral"}
    if mark.ttl:
        written["ttl"] = mark.ttl
    into[name if name in _CACHE_MEMBERS else "cache_control"] = extension.merge(written)
