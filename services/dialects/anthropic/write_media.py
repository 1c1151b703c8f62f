"""Images and documents to content blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llmhub.types.v1.content_pb2 import MEDIA_KIND_DOCUMENT, MEDIA_KIND_IMAGE, Media, Part
from services.dialects.anthropic.wire import Block
from services.dialects.data_urls import encode_base64, read_data_url, sniff_type
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject

WriteAll = Callable[[Iterable[Part], str], list[Block]]


def write_media(
    media: Media, extension: Extension, losses: Losses, path: str, write_all: WriteAll
) -> JsonObject | None:
    """Write an image or document; None if Anthropic cannot take it, which is noted as a loss."""
    where = f"{path}.media"
    if media.kind == MEDIA_KIND_IMAGE:
        source = _image_source(media)
    elif media.kind == MEDIA_KIND_DOCUMENT:
        source = _document_source(media, extension, where, write_all)
    else:
        losses.dropped(where, "Anthropic takes images and documents only")
        return None
    if source is None:
        losses.dropped(where, f"Anthropic cannot take {media.mime_type or 'this medium'} in this way")
        return None
    if media.detail and media.detail != "auto":
        losses.dropped(f"{where}.detail", "Anthropic has no choice of detail")
    if media.kind == MEDIA_KIND_IMAGE:
        return {"type": "image", "source": source}
    return _document(media, source)


def _document(media: Media, source: JsonObject) -> JsonObject:
    block: JsonObject = {"type": "document", "source": source}
    if title := media.title or media.file_name:
        block["title"] = title
    if media.context:
        block["context"] = media.context
    if media.HasField("citations"):
        block["citations"] = {"enabled": media.citations}
    return block


def _image_source(media: Media) -> JsonObject | None:
    match media.WhichOneof("source"):
        case "data":
            return _base64(media.mime_type, media.data)
        case "url":
            if (inline := read_data_url(media.url)) is not None:
                return _base64(*inline)
            return {"type": "url", "url": media.url}
        case "file_id":
            return {"type": "file", "file_id": media.file_id}
        case _:
            return None


def _document_source(
    media: Media, extension: Extension, where: str, write_all: WriteAll
) -> JsonObject | None:
    match media.WhichOneof("source"):
        case "text":
            return {"type": "text", "data": media.text, "media_type": media.mime_type or "text/plain"}
        case "parts":
            parts = media.parts.parts
            if extension.shape.get("source") == "string" and len(parts) == 1:
                return {"type": "content", "content": parts[0].text}
            return {"type": "content", "content": write_all(parts, where)}
        case "data":
            return _document_data(media.mime_type, media.data)
        case "url":
            if (inline := read_data_url(media.url)) is not None:
                return _document_data(*inline)
            return {"type": "url", "url": media.url}
        case "file_id":
            return {"type": "file", "file_id": media.file_id}
        case _:
            return None


def _document_data(mime_type: str, data: bytes) -> JsonObject | None:
    """A PDF goes as bytes, any text as text; other formats have no place."""
    mime_type = mime_type or sniff_type(data)
    if mime_type == "application/pdf":
        return _base64(mime_type, data)
    if mime_type.startswith("text/") or mime_type in {"application/json", "application/xml"}:
        try:
            return {"type": "text", "data": data.decode(), "media_type": "text/plain"}
        except UnicodeDecodeError:
            return None
    return None


def _base64(mime_type: str, data: bytes) -> JsonObject:
    return {"type": "base64", "media_type": mime_type or sniff_type(data), "data": encode_base64(data)}
