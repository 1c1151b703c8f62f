"""Images, sound, film and documents: inlineData and fileData, both ways."""

from __future__ import annotations

import re
from typing import Final

from llmhub.types.v1.content_pb2 import (
    MEDIA_KIND_AUDIO,
    MEDIA_KIND_DOCUMENT,
    MEDIA_KIND_IMAGE,
    MEDIA_KIND_VIDEO,
    Media,
    MediaKind,
)
from services.dialects.data_urls import decode_base64, encode_base64, read_data_url, sniff_type
from services.dialects.gemini.family import Family
from services.dialects.gemini.wire import canonical, put_back
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members

_URLSAFE: Final = "urlsafe"
"""Hint: the data were spelled in base64's second alphabet, as Google's own SDK does."""
_UNTYPED: Final = "untyped"
_STORED_HERE: Final = "stored"
_RESOLUTION: Final = "resolution"
_STORED: Final = re.compile(r"(https://generativelanguage\.googleapis\.com/|gs://|files/)")
_TO_STANDARD: Final = str.maketrans("-_", "+/")
_TO_URLSAFE: Final = str.maketrans("+/", "-_")
_KINDS: Final = {"image": MEDIA_KIND_IMAGE, "audio": MEDIA_KIND_AUDIO, "video": MEDIA_KIND_VIDEO}
_BY_ENDING: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}
_DETAILS: Final = {
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_MEDIUM": "medium",
    "MEDIA_RESOLUTION_HIGH": "high",
    "MEDIA_RESOLUTION_ULTRA_HIGH": "original",
}
_LEVELS: Final = {detail: level for level, detail in _DETAILS.items()}


def read_inline(members: Members, media: Media, spelled: list[str]) -> bool:
    """Take `inlineData`; false if it is not what it should be, so that the part must stay whole."""
    inner = _inner(members, "inlineData", spelled)
    if inner is None:
        return False
    text = inner.rest.get("data")
    data = decode_base64(text)
    if data is None and type(text) is str:
        data = decode_base64(text.translate(_TO_STANDARD))
        if data is not None and encode_base64(data).translate(_TO_URLSAFE) != text:
            data = None
        members.hint(_URLSAFE)
    if data is None:
        return False
    del inner.rest["data"]
    media.data = data
    _read_type(members, inner, media)
    put_back(members, "inlineData", inner.rest)
    _read_detail(members, media)
    return True


def read_file(members: Members, media: Media, spelled: list[str]) -> bool:
    """Take `fileData`."""
    inner = _inner(members, "fileData", spelled)
    uri = inner.word("fileUri") if inner is not None else None
    if inner is None or uri is None:
        return False
    if _STORED.match(uri) or not uri.startswith("http"):
        media.file_id = uri
        if not _STORED.match(uri):
            members.hint(_STORED_HERE)
    else:
        media.url = uri
    _read_type(members, inner, media)
    put_back(members, "fileData", inner.rest)
    _read_detail(members, media)
    return True


def write_media(
    media: Media, extension: Extension, losses: Losses, path: str, family: Family
) -> JsonObject | None:
    """Write a medium; None if Gemini cannot take it, which is noted as a loss."""
    where = f"{path}.media"
    part = _source(media, extension)
    if part is None:
        losses.dropped(where, "Gemini takes bytes, URLs and its own files only")
        return None
    if media.file_name:
        next(iter(part.values()))["displayName"] = media.file_name
    for name in ("title", "context"):
        if getattr(media, name):
            losses.dropped(f"{where}.{name}", f"Gemini has no {name} of a document")
    if media.HasField("citations") and media.citations:
        losses.dropped(f"{where}.citations", "Gemini cannot be asked for citations into a document")
    can_detail = _RESOLUTION in extension.shape or family.takes_levels
    _write_detail(part, media, losses, where, can=can_detail)
    return part


def inline(data: bytes, mime_type: str) -> JsonObject:
    """An inlineData part."""
    return {"inlineData": {"mimeType": mime_type, "data": encode_base64(data)}}


def _inner(members: Members, name: str, spelled: list[str]) -> Members | None:
    value = members.mapping(name)
    if value is None:
        return None
    return Members(canonical(value, spelled, f"{name}."))


def _read_type(members: Members, inner: Members, media: Media) -> None:
    media.mime_type = inner.word("mimeType") or ""
    if not media.mime_type:
        members.hint(_UNTYPED)
    media.file_name = inner.word("displayName") or ""
    media.kind = _kind(media.mime_type)


def _kind(mime_type: str) -> MediaKind.ValueType:
    return _KINDS.get(mime_type.partition("/")[0], MEDIA_KIND_DOCUMENT)


def _read_detail(members: Members, media: Media) -> None:
    resolution = members.rest.get("mediaResolution")
    if isinstance(resolution, dict) and len(resolution) == 1 and resolution.get("level") in _DETAILS:
        media.detail = _DETAILS[members.rest.pop("mediaResolution")["level"]]
        members.hint(_RESOLUTION)


def _write_detail(part: JsonObject, media: Media, losses: Losses, where: str, *, can: bool) -> None:
    if not media.detail or media.detail == "auto":
        return
    level = _LEVELS.get(media.detail)
    if level is None or not can:
        losses.dropped(f"{where}.detail", "this model has no such choice of detail for one medium")
        return
    part["mediaResolution"] = {"level": level}


def _source(media: Media, extension: Extension) -> JsonObject | None:
    match media.WhichOneof("source"):
        case "data":
            untyped = _UNTYPED in extension.shape
            part = inline(media.data, media.mime_type or ("" if untyped else sniff_type(media.data)))
            if untyped:
                del part["inlineData"]["mimeType"]
            if _URLSAFE in extension.shape:
                part["inlineData"]["data"] = part["inlineData"]["data"].translate(_TO_URLSAFE)
            return part
        case "url":
            if media.url.startswith("data:"):
                found = read_data_url(media.url)
                return None if found is None else inline(found[1], found[0] or sniff_type(found[1]))
            return _file(media.url, media.mime_type, extension)
        case "file_id":
            own = _STORED_HERE in extension.shape or _STORED.match(media.file_id)
            return _file(media.file_id, media.mime_type, extension) if own else None
        case "text":
            return inline(media.text.encode(), media.mime_type or "text/plain")
        case _:
            return None


def _file(uri: str, mime_type: str, extension: Extension) -> JsonObject:
    file: JsonObject = {"fileUri": uri}
    if not mime_type and _UNTYPED not in extension.shape:
        # Vertex demands a type; the name mostly tells it.
        ending = uri.partition("?")[0].rpartition(".")[2].lower()
        mime_type = _BY_ENDING.get(ending, "")
    if mime_type:
        file["mimeType"] = mime_type
    return {"fileData": file}
