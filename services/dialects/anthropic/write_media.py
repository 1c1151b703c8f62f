"""Images and documents to content blocks."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from llmhub.types.v1.content_pb2 import MEDIA_KIND_DOCUMENT, MEDIA_KIND_IMAGE, Media, Part
from services.dialects.anthropic.wire import Block
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"%PDF-", "application/pdf"),
)

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
            return _base64(media.data, media.mime_type)
        case "url":
            if (inline := _data_url(media.url)) is not None:
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
            return _document_data(media.data, media.mime_type)
        case "url":
            if (inline := _data_url(media.url)) is not None:
                return _document_data(*inline)
            return {"type": "url", "url": media.url}
        case "file_id":
            return {"type": "file", "file_id": media.file_id}
        case _:
            return None


def _document_data(data: bytes, mime_type: str) -> JsonObject | None:
    """A PDF goes as bytes, any text as text; other formats have no place."""
    mime_type = mime_type or _sniffed(data)
    if mime_type == "application/pdf":
        return _base64(data, mime_type)
    if mime_type.startswith("text/") or mime_type in {"application/json", "application/xml"}:
        try:
            return {"type": "text", "data": data.decode(), "media_type": "text/plain"}
        except UnicodeDecodeError:
            return None
    return None


def _base64(data: bytes, mime_type: str) -> JsonObject:
    text = binascii.b2a_base64(data, newline=False).decode()
    return {"type": "base64", "media_type": mime_type or _sniffed(data), "data": text}


def _sniffed(data: bytes) -> str:
    return next((name for magic, name in _MAGIC if data.startswith(magic)), "application/octet-stream")


def _data_url(url: str) -> tuple[bytes, str] | None:
    """The bytes and media type inside a data URL; None for any other URL, and for a broken one."""
    if not url.startswith("data:"):
        return None
    head, comma, body = url[5:].partition(",")
    if not comma:
        return None
    mime_type, *parameters = head.split(";")
    data = unquote_to_bytes(body)
    if "base64" in parameters:
        try:
            # Lenient decoding would skip what it does not know and send another image, or none.
            data = binascii.a2b_base64(b"".join(data.split()), strict_mode=True)
        except binascii.Error:
            return None
    return data, mime_type
