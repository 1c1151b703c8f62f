"""Images, documents, films and sounds, both ways."""

from __future__ import annotations

import re
from typing import Final

from llmhub.types.v1.content_pb2 import MEDIA_KIND_DOCUMENT, Media, Part
from services.dialects.bedrock.formats import MEMBER_OF, MEMBERS, format_of, type_of_format
from services.dialects.data_urls import decode_base64, encode_base64, read_data_url
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back, take_word

_FORMAT: Final = "format"
"""Hint: the format's name, where its media type has another one too."""
_OWN: Final = "own"
"""Hint: the name is one that was sent to Bedrock before."""
_S3: Final = "s3://"
_LONGEST_NAME: Final = 200
_NOT_IN_NAMES: Final = re.compile(r"[^\w \-()\[\]]|_", re.ASCII)
_BLANKS: Final = re.compile(r"\s+")


def read_media(name: str, value: JsonObject, part: Part) -> bool:
    """Read the block's member into the part; False if it is of a shape that the contract cannot hold."""
    media = part.media
    media.kind = MEMBERS[name]
    members = Members(value)
    if not _read_source(members, media):
        return False
    if word := members.word("format"):
        media.mime_type = type_of_format(media.kind, word)
        if format_of(Media(kind=media.kind, mime_type=media.mime_type)) != word or not media.mime_type:
            members.hint(_FORMAT, word)
    else:
        members.hint(_FORMAT, "")
    if media.kind == MEDIA_KIND_DOCUMENT:
        members.hint(_OWN)
        media.title = take_word(members, "name")
        media.context = take_word(members, "context")
        _read_citations(members, media)
    members.save(part.extensions, "bedrock")
    return True


class DocumentNames:
    """The documents' names in one request: Bedrock takes few characters, and each name once."""

    __slots__ = ("_next", "_used")

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._next: dict[str, int] = {}

    def keep(self, name: str) -> None:
        """Note a name that is sent as it is."""
        self._used.add(name)

    def fit(self, media: Media) -> str:
        """A name that Bedrock accepts and that no other document of the request has."""
        wanted = media.title or media.file_name.rpartition(".")[0] or media.file_name
        clean = _BLANKS.sub(" ", _NOT_IN_NAMES.sub(" ", wanted)).strip()[: _LONGEST_NAME - 8].strip()
        name = clean = clean or "Document"
        number = self._next.get(clean, 2)
        while name in self._used:
            name = f"{clean} {number}"
            number += 1
        self._next[clean] = number
        self._used.add(name)
        return name


def write_media(
    part: Part, extension: Extension, losses: Losses, path: str, names: DocumentNames
) -> JsonObject | None:
    """Write an image, document, film or sound; None if Bedrock cannot take it, which is noted as a loss."""
    media = _resolved(part.media)
    where = f"{path}.media"
    member = MEMBER_OF.get(media.kind)
    source = None if member is None else _source(media, where, losses)
    if member is None or source is None:
        losses.dropped(where, f"Bedrock cannot take {media.mime_type or 'this medium'} in this way")
        return None
    block: JsonObject = {}
    word = extension.shape.get(_FORMAT)
    if type(word) is not str or type_of_format(media.kind, word) != media.mime_type:
        word = format_of(media)
        if word is None:
            losses.dropped(where, f"Bedrock has no format for {media.mime_type or 'this medium'}")
            return None
    if word:
        block["format"] = word
    block["source"] = source
    if media.kind == MEDIA_KIND_DOCUMENT:
        own = _OWN in extension.shape
        _write_document(media, block, names, losses, where, own=own)
    if media.detail and media.detail != "auto":
        losses.dropped(f"{where}.detail", "Bedrock has no choice of detail")
    if media.transcript:
        losses.dropped(f"{where}.transcript", "Bedrock has no place for a transcript")
    return {member: merge_back(block, extension)}


def _read_source(members: Members, media: Media) -> bool:
    value = members.mapping("source")
    if value is None or len(value) != 1:
        return False
    ((kind, held),) = value.items()
    match kind:
        case "bytes" if (data := decode_base64(held)) is not None:
            media.data = data
        case "text" if type(held) is str:
            media.text = held
        case "s3Location" if type(held) is dict and type(held.get("uri")) is str:
            media.url = held.pop("uri")
            if held:
                members.rest["source"] = {"s3Location": held}
        case "content" if type(held) is list:
            media.parts.SetInParent()
            for each in held:
                if type(each) is not dict or list(each) != ["text"] or type(each["text"]) is not str:
                    return False
                media.parts.parts.add().text = each["text"]
        case _:
            return False
    return True


def _read_citations(members: Members, media: Media) -> None:
    asked = members.mapping("citations")
    if asked is None:
        return
    inner = Members(asked)
    if (enabled := inner.flag("enabled")) is not None:
        media.citations = enabled
    if asked or enabled is None:
        members.rest["citations"] = asked


def _source(media: Media, where: str, losses: Losses) -> JsonObject | None:
    match media.WhichOneof("source"):
        case "data":
            return {"bytes": encode_base64(media.data)} if media.data else None
        case "url" if media.url.startswith(_S3):
            return {"s3Location": {"uri": media.url}}
        case "text" if media.kind == MEDIA_KIND_DOCUMENT:
            return {"text": media.text}
        case "parts" if media.kind == MEDIA_KIND_DOCUMENT:
            texts = [part for part in media.parts.parts if part.HasField("text")]
            if len(texts) < len(media.parts.parts):
                losses.dropped(f"{where}.parts", "a document at Bedrock is made of texts only")
            return {"content": [{"text": part.text} for part in texts]}
        case _:
            return None


def _resolved(media: Media) -> Media:
    """The medium itself, where a data URL holds it; a broken one stays a URL, which Bedrock cannot take."""
    found = read_data_url(media.url)
    if found is None:
        return media
    resolved = Media()
    resolved.CopyFrom(media)
    resolved.mime_type, resolved.data = media.mime_type or found[0], found[1]
    return resolved


def _write_document(
    media: Media, block: JsonObject, names: DocumentNames, losses: Losses, where: str, *, own: bool
) -> None:
    if own:
        names.keep(media.title)
    name = media.title if own else names.fit(media)
    if not own and media.title and name != media.title:
        losses.altered(f"{where}.title", f"sent as {name}: Bedrock takes few characters, and each name once")
    if name:
        block["name"] = name
    if media.context:
        block["context"] = media.context
    if media.HasField("citations"):
        block["citations"] = {"enabled": media.citations}
