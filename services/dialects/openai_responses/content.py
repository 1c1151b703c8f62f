"""Elements of a message's content and of a tool's output."""

from __future__ import annotations

from typing import Any, Final

from llmhub.types.v1.content_pb2 import Media, MediaKind, Part
from services.dialects.data_urls import decode_base64, decode_data_url, encode_base64, encode_data_url
from services.dialects.members import Extension, JsonObject, Members, json_text, request_json
from services.dialects.openai_responses.annotations import read_annotation, write_annotation
from services.dialects.openai_responses.wire import DIALECT

INPUT: Final = "input_text"
OUTPUT: Final = "output_text"
_TEXTS: Final = frozenset({INPUT, OUTPUT, "text"})
_BREAKPOINT: Final = "prompt_cache_breakpoint"
_LISTS: Final = ("annotations", "logprobs")


def read_content(value: JsonObject, own: str, logprobs: list[Any] | None = None) -> tuple[Part, Members]:
    """Read one element; `own` is the type that texts have here.

    The object is emptied; the caller adds its hints to the members and saves them. Log-probabilities go to the
    list that is given.
    """
    part = Part()
    found = value.get("type")
    kind = found if isinstance(found, str) else ""
    whole = dict(value)
    members = Members(value)
    if kind in _TEXTS and (text := members.text("text")) is not None:
        part.text = text
        if kind != own:
            members.hint("type", kind)
        if own == OUTPUT:
            _read_lists(members, part, logprobs)
    elif kind == "refusal" and (refusal := members.text("refusal")) is not None:
        part.refusal = refusal
    elif not (kind in _MEDIA and _MEDIA[kind](members, part.media)):
        part.opaque.dialect = DIALECT
        part.opaque.type = kind
        part.opaque.json = json_text(whole)
        return part, Members({})
    del members.rest["type"]
    mark = members.rest.get(_BREAKPOINT)
    if isinstance(mark, dict):
        del members.rest[_BREAKPOINT]
        inner = Members(mark)
        part.cache.ttl = inner.word("ttl") or ""
        inner.hint("v")
        inner.save(part.cache.extensions, DIALECT)
    return part, members


def write_content(part: Part, own: str, extension: Extension, logprobs: list[Any] | None = None) -> Any:
    """Write one element; the caller has made sure that the part has a form here."""
    match part.WhichOneof("kind"):
        case "media":
            written = _write_media(part.media, extension)
        case "refusal":
            written = {"type": "refusal", "refusal": part.refusal}
        case "opaque":
            return request_json(part.opaque.json, "opaque.json")
        case _:
            kind = extension.shape.get("type", own)
            written = {"type": kind, "text": part.text}
            if own == OUTPUT:
                _write_lists(written, part, extension, logprobs)
    if part.HasField("cache") and DIALECT in part.cache.extensions:
        mark: JsonObject = {"ttl": part.cache.ttl} if part.cache.ttl else {}
        written[_BREAKPOINT] = Extension(part.cache.extensions, DIALECT).merge(mark)
    return extension.merge(written)


def _read_lists(members: Members, part: Part, logprobs: list[Any] | None) -> None:
    annotations = members.rest.get("annotations")
    if isinstance(annotations, list) and all(isinstance(each, dict) for each in annotations):
        del members.rest["annotations"]
        part.citations.extend(read_annotation(each) for each in annotations)
    elif "annotations" not in members.rest:
        members.hint("-annotations")
    found = members.rest.get("logprobs")
    if isinstance(found, list) and (not found or logprobs is not None):
        del members.rest["logprobs"]
        if logprobs is not None and found:
            members.hint("logprobs", len(found))
            logprobs.extend(found)
    elif "logprobs" not in members.rest:
        members.hint("-logprobs")


def _write_lists(written: JsonObject, part: Part, extension: Extension, logprobs: list[Any] | None) -> None:
    shape, members = extension.shape, extension.members
    if part.citations or not ("-annotations" in shape or "annotations" in members):
        found = [write_annotation(each, len(part.text)) for each in part.citations]
        written["annotations"] = [each for each in found if each is not None]
    if logprobs or not ("-logprobs" in shape or "logprobs" in members):
        written["logprobs"] = logprobs or []


def _read_image(members: Members, media: Media) -> bool:
    url = members.word("image_url")
    if url is not None:
        _read_url(url, media)
    elif (file_id := members.word("file_id")) is not None:
        media.file_id = file_id
    else:
        return False
    media.kind = MediaKind.MEDIA_KIND_IMAGE
    media.detail = members.word("detail") or ""
    return True


def _read_file(members: Members, media: Media) -> bool:
    data = members.word("file_data")
    if data is not None:
        _read_url(data, media)
        if media.WhichOneof("source") == "url":
            bare = decode_base64(data)
            members.hint("file_data", "url" if bare is None else "bare")
            if bare is not None:
                media.data = bare
    elif (url := members.word("file_url")) is not None:
        media.url = url
    elif (file_id := members.word("file_id")) is not None:
        media.file_id = file_id
    else:
        return False
    media.kind = MediaKind.MEDIA_KIND_DOCUMENT
    media.file_name = members.word("filename") or ""
    media.detail = members.word("detail") or ""
    return True


def _read_url(url: str, media: Media) -> None:
    found = decode_data_url(url)
    if found is None:
        media.url = url
    else:
        media.mime_type, media.data = found


def _write_media(media: Media, extension: Extension) -> JsonObject:
    source = media.WhichOneof("source")
    document = media.kind == MediaKind.MEDIA_KIND_DOCUMENT
    written: JsonObject = {"type": "input_file" if document else "input_image"}
    if source == "file_id":
        written["file_id"] = media.file_id
    elif not document:
        written["image_url"] = media.url if source == "url" else encode_data_url(media.mime_type, media.data)
    elif source == "url":
        written["file_data" if extension.shape.get("file_data") == "url" else "file_url"] = media.url
    elif extension.shape.get("file_data") == "bare":
        written["file_data"] = encode_base64(media.data)
    else:
        written["file_data"] = encode_data_url(media.mime_type, media.data)
    if media.file_name:
        written["filename"] = media.file_name
    if media.detail:
        written["detail"] = media.detail
    return written


_MEDIA: Final = {"input_image": _read_image, "input_file": _read_file}
