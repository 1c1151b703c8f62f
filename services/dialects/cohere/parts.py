"""Content elements and tool calls, in requests and answers alike."""

from __future__ import annotations

from typing import Any, Protocol

from llmhub.types.v1.content_pb2 import Media, MediaKind, Part
from services.dialects.cohere.wire import DIALECT
from services.dialects.data_urls import decode_data_url, encode_data_url
from services.dialects.members import Extension, JsonObject, Members, decode_json, json_text
from services.dialects.raw_json import caller_json, merge_deep
from services.dialects.text_tools import function_of, name_call, text_input


class Parts(Protocol):
    """protobuf's container of parts."""

    def add(self) -> Part: ...


def read_elements(content: list[Any], parts: Parts) -> None:
    """Read the elements of a content list, one part each."""
    for element in content:
        part = parts.add()
        if not isinstance(element, dict) or not _read_element(Members(element), part):
            part.Clear()
            part.opaque.dialect = DIALECT
            kind = element.get("type") if isinstance(element, dict) else None
            part.opaque.type = kind if isinstance(kind, str) else ""
            part.opaque.json = json_text(element)


def _read_element(members: Members, part: Part) -> bool:
    """Take an element apart; false, with nothing taken, for one that the contract does not model."""
    match members.rest.get("type"):
        case "text" if isinstance(members.rest.get("text"), str):
            part.text = members.text("text") or ""
        case "thinking" if isinstance(members.rest.get("thinking"), str):
            part.reasoning.text = members.text("thinking") or ""
            part.reasoning.SetInParent()
            del members.rest["type"]
            part.extensions[DIALECT] = members.extension() or "{}"
            return True
        case "image_url" if _read_image(members, part.media):
            pass
        case "document" if _read_document(members, part):
            pass
        case _:
            return False
    del members.rest["type"]
    members.save(part.extensions, DIALECT)
    return True


def _read_image(members: Members, media: Media) -> bool:
    inner = members.rest.get("image_url")
    url = inner.get("url") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(url, str) or not url:
        return False
    del inner["url"]
    media.kind = MediaKind.MEDIA_KIND_IMAGE
    found = decode_data_url(url)
    if found is None:
        media.url = url
    else:
        media.mime_type, media.data = found
    media.detail = Members(inner).word("detail") or ""
    if not inner:
        del members.rest["image_url"]
    return True


def _read_document(members: Members, part: Part) -> bool:
    """Read a document: its `data` is a text, or an object whose `text` and `title` are told apart from the rest."""
    document = members.rest.get("document")
    data = document.get("data") if isinstance(document, dict) else None
    media = part.media
    if not isinstance(document, dict) or not isinstance(data, dict | str):
        return False
    del document["data"]
    media.kind = MediaKind.MEDIA_KIND_DOCUMENT
    if isinstance(data, str):
        members.hint("data", "string")
        media.text = data
    elif isinstance(data.get("text"), str):
        inner = Members(data)
        media.text = inner.text("text") or ""
        media.title = inner.word("title") or ""
        if data:
            document["data"] = data
    else:
        members.hint("data", "object")
        media.text = json_text(data)
        media.mime_type = "application/json"
    if not document:
        del members.rest["document"]
    return True


def write_element(part: Part, extension: Extension) -> Any:
    """Write a part that has a form as a content element."""
    match part.WhichOneof("kind"):
        case "text":
            written: JsonObject = {"type": "text", "text": part.text}
        case "refusal":
            written = {"type": "text", "text": part.refusal}
        case "reasoning":
            written = {"type": "thinking", "thinking": part.reasoning.text}
        case "media" if part.media.kind == MediaKind.MEDIA_KIND_DOCUMENT:
            written = {"type": "document", "document": {"data": document_data(part.media, extension)}}
        case "media":
            written = {"type": "image_url", "image_url": _image(part.media)}
        case _:
            return caller_json(part.opaque.json, "opaque.json")
    return merge_deep(written, extension.members)


def _image(media: Media) -> JsonObject:
    url = media.url or encode_data_url(media.mime_type, media.data)
    return {"url": url, "detail": media.detail} if media.detail else {"url": url}


def document_data(media: Media, extension: Extension) -> Any:
    """The `data` of a document."""
    match extension.shape.get("data"):
        case "string":
            return media.text
        case "object":
            try:
                return decode_json(media.text)
            except ValueError:
                return media.text
    data: JsonObject = {"text": media.text}
    title = media.title or media.file_name
    if title:
        data["title"] = title
    if media.context:
        data["context"] = media.context
    return data


def read_call(value: JsonObject, part: Part, fallback_id: str) -> None:
    """Read one tool call; `fallback_id` is its id if there is none."""
    members = Members(value)
    call = part.tool_call
    call_id = members.word("id")
    call.id = call_id or fallback_id
    if call_id is None:
        call.id_generated = True
    if members.rest.get("type") == "function":
        del members.rest["type"]
    else:
        members.hint("untyped")
    function = members.rest.get("function")
    name = ""
    if isinstance(function, dict):
        inner = Members(function)
        name = inner.word("name") or ""
        if not name:
            members.hint("nameless")
        arguments = inner.text("arguments")
        if arguments is None:
            members.hint("silent")
        call.arguments = arguments or ""
        if not function:
            del members.rest["function"]
    else:
        members.hint("bare")
    name_call(call, name)
    if call.name != name:
        call.arguments = text_input(call.arguments)
    members.save(part.extensions, DIALECT)


def write_call(part: Part, extension: Extension, *, native: bool) -> JsonObject:
    """Write one tool call."""
    call = part.tool_call
    name, arguments = function_of(call)
    written: JsonObject = {}
    if not (call.id_generated and native):
        written["id"] = call.id
    if "untyped" not in extension.shape:
        written["type"] = "function"
    if "bare" not in extension.shape:
        function: JsonObject = {} if "nameless" in extension.shape else {"name": name}
        if arguments or "silent" not in extension.shape:
            function["arguments"] = arguments if arguments or native else "{}"
        written["function"] = function
    return merge_deep(written, extension.members)
