"""Images, sound, files and film as content parts."""

from __future__ import annotations

from typing import Any

from llmhub.types.v1.content_pb2 import Media, MediaKind
from services.dialects.data_urls import decode_base64, decode_data_url, encode_base64, encode_data_url
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.openai.wire import (
    AUDIO_FORMATS,
    AUDIO_TYPES,
    DIALECT,
)

MEDIA_TYPES = frozenset({"image_url", "input_audio", "file", "video_url"})


def decode_media(members: Members, kind: str, media: Media) -> bool:
    """Read the inner object of a media part; false if it has no source that the contract knows.

    What is left of the inner object stays in the members, under its own name.
    """
    inner = members.rest.get(kind)
    if isinstance(inner, str) and inner:
        members.hint("flat")
        del members.rest[kind]
        _decode_url(media, inner)
        media.kind = _kind_of(kind)
        return True
    if not isinstance(inner, dict):
        return False
    parts = Members(inner, members.at(kind))
    media.kind = _kind_of(kind)
    if kind == "input_audio":
        found = _decode_audio(parts, media)
    elif kind == "file":
        found = _decode_file(parts, members, media)
    else:
        url = parts.word("url")
        found = url is not None
        if url is not None:
            _decode_url(media, url)
            media.detail = parts.word("detail") or ""
    if found and not inner:
        del members.rest[kind]
    return found


def encode_media(media: Media, extension: Extension) -> JsonObject:
    """Write a media part; the caller has made sure that the kind and source have a form here."""
    match media.kind:
        case MediaKind.MEDIA_KIND_AUDIO:
            kind, inner = "input_audio", _encode_audio(media)
        case MediaKind.MEDIA_KIND_DOCUMENT:
            kind, inner = "file", _encode_file(media, extension)
        case MediaKind.MEDIA_KIND_VIDEO:
            kind, inner = "video_url", {"url": _url(media)}
        case _:
            kind, inner = "image_url", {"url": _url(media)}
            if media.detail:
                inner["detail"] = media.detail
    if "flat" in extension.shape:
        return {"type": kind, kind: next(iter(inner.values()), "")}
    rest = extension.members.pop(kind, None)
    if isinstance(rest, dict):
        inner = {**rest, **inner}
    return {"type": kind, kind: inner}


def decode_answer_audio(value: JsonObject, media: Media, extensions: Any) -> bool:
    """Read the audio object of an answer, or the reference to an earlier one in a request."""
    members = Members(value)
    text = members.rest.get("data")
    data = decode_base64(text) if isinstance(text, str) and text else None
    if data is not None:
        del members.rest["data"]
        media.data = data
        media.transcript = members.word("transcript") or ""
    elif "data" not in members.rest and (file_id := members.word("id")):
        media.file_id = file_id
    else:
        return False
    media.kind = MediaKind.MEDIA_KIND_AUDIO
    members.save(extensions, DIALECT)
    return True


def encode_answer_audio(media: Media, extension: Extension) -> JsonObject:
    """Write the audio object of an answer, or the reference to an earlier one."""
    if media.WhichOneof("source") == "file_id":
        return extension.merge({"id": media.file_id})
    written: JsonObject = {"data": encode_base64(media.data)}
    if media.transcript or "transcript" not in extension.members:
        written["transcript"] = media.transcript
    return extension.merge(written)


def _kind_of(kind: str) -> MediaKind.ValueType:
    match kind:
        case "input_audio":
            return MediaKind.MEDIA_KIND_AUDIO
        case "file":
            return MediaKind.MEDIA_KIND_DOCUMENT
        case "video_url":
            return MediaKind.MEDIA_KIND_VIDEO
        case _:
            return MediaKind.MEDIA_KIND_IMAGE


def _decode_url(media: Media, url: str) -> None:
    found = decode_data_url(url)
    if found is None:
        media.url = url
    else:
        media.mime_type, media.data = found


def _decode_audio(members: Members, media: Media) -> bool:
    text = members.rest.get("data")
    data = decode_base64(text) if isinstance(text, str) else None
    if data is None:
        return False
    del members.rest["data"]
    media.data = data
    form = members.word("format")
    if form:
        media.mime_type = AUDIO_TYPES.get(form, f"audio/{form}")
    return True


def _encode_audio(media: Media) -> JsonObject:
    form = audio_format(media)
    inner: JsonObject = {"data": encode_base64(media.data)}
    if form:
        inner["format"] = form
    return inner


def audio_format(media: Media) -> str:
    """The short word for the sound's type; empty if the type is not known."""
    mime_type = media.mime_type
    return AUDIO_FORMATS.get(mime_type, mime_type.removeprefix("audio/"))


def _decode_file(members: Members, part: Members, media: Media) -> bool:
    text = members.rest.get("file_data")
    if isinstance(text, str) and text:
        found = decode_data_url(text)
        if found is not None:
            media.mime_type, media.data = found
        elif (data := decode_base64(text)) is not None:
            part.hint("bare")
            media.data = data
        else:
            media.url = text
        del members.rest["file_data"]
    elif file_id := members.word("file_id"):
        media.file_id = file_id
    else:
        return False
    media.file_name = members.word("filename") or ""
    return True


def _encode_file(media: Media, extension: Extension) -> JsonObject:
    inner: JsonObject = {}
    match media.WhichOneof("source"):
        case "file_id":
            inner["file_id"] = media.file_id
        case "url":
            inner["file_data"] = media.url
        case _:
            if "bare" in extension.shape:
                inner["file_data"] = encode_base64(media.data)
            else:
                inner["file_data"] = encode_data_url(media.mime_type, media.data)
    if media.file_name:
        inner["filename"] = media.file_name
    return inner


def _url(media: Media) -> str:
    if media.WhichOneof("source") == "url":
        return media.url
    return encode_data_url(media.mime_type, media.data)


def takes_sound(media: Media) -> bool:
    """Whether a medium is the sound of an answer."""
    return media.kind == MediaKind.MEDIA_KIND_AUDIO and media.WhichOneof("source") in {None, "data"}


def takes_image(media: Media) -> bool:
    """Whether a medium is an image that an answer can hold."""
    return media.kind in {
        MediaKind.MEDIA_KIND_IMAGE,
        MediaKind.MEDIA_KIND_UNSPECIFIED,
    } and media.WhichOneof("source") in {"data", "url"}
