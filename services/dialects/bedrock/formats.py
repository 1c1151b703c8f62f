"""Names of formats and the media types they stand for."""

from __future__ import annotations

from typing import Final

from llmhub.types.v1.content_pb2 import (
    MEDIA_KIND_AUDIO,
    MEDIA_KIND_DOCUMENT,
    MEDIA_KIND_IMAGE,
    MEDIA_KIND_VIDEO,
    Media,
    MediaKind,
)

MEMBERS: Final = {
    "image": MEDIA_KIND_IMAGE,
    "document": MEDIA_KIND_DOCUMENT,
    "video": MEDIA_KIND_VIDEO,
    "audio": MEDIA_KIND_AUDIO,
}
"""Members of a content block that hold a medium."""
MEMBER_OF: Final = {kind: member for member, kind in MEMBERS.items()}

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_TYPES: Final[dict[MediaKind.ValueType, dict[str, str]]] = {
    MEDIA_KIND_IMAGE: {
        "png": "image/png",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
    },
    MEDIA_KIND_DOCUMENT: {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    MEDIA_KIND_VIDEO: {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
        "mpg": "video/mpeg",
    },
    MEDIA_KIND_AUDIO: {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mkv": "audio/x-matroska",
        "mka": "audio/x-matroska",
        "x-aac": "audio/aac",
        "m4a": "audio/m4a",
        "mpeg": "audio/mpeg",
        "mpga": "audio/mpeg",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
_FORMATS: Final = {
    kind: {name: word for word, name in reversed(types.items())} for kind, types in _TYPES.items()
}
"""Where several formats are one media type, the first."""
_ALIASES: Final = {
    "image/jpg": "jpeg",
    "video/3gp": "three_gp",
    "audio/mp3": "mp3",
    "audio/x-aac": "aac",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/x-m4a": "m4a",
    "audio/x-flac": "flac",
    "audio/l16": "pcm",
    "application/json": "txt",
    "application/xml": "txt",
    "application/xhtml+xml": "html",
    "text/x-markdown": "md",
}
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"%PDF-", "pdf"),
)


def type_of_format(kind: MediaKind.ValueType, word: str) -> str:
    """The media type a format's name stands for; empty if it is not known."""
    return _TYPES[kind].get(word, "")


def format_of(media: Media) -> str | None:
    """The name of the medium's format, from its type, its name or its first bytes; None if Bedrock has none."""
    known = _FORMATS.get(media.kind, {})
    mime_type = media.mime_type.partition(";")[0].strip().lower()
    word = known.get(mime_type) or _ALIASES.get(mime_type)
    if word is None and mime_type.startswith("text/"):
        word = "txt"
    if word is None and not mime_type:
        word = _suffix(media) or _sniffed(media.data)
    if word is None and media.WhichOneof("source") in {"text", "parts"}:
        word = "txt"
    return word if word in _TYPES.get(media.kind, {}) else None


def _suffix(media: Media) -> str | None:
    name = media.file_name or media.url
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    return {"jpg": "jpeg", "3gp": "three_gp", "htm": "html"}.get(suffix, suffix) or None


def _sniffed(data: bytes) -> str | None:
    if data.startswith(b"RIFF"):
        return "wav" if data[8:12] == b"WAVE" else "webp"
    return next((word for magic, word in _MAGIC if data.startswith(magic)), None)
