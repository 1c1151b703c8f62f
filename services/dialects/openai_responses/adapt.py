"""Makes content of any origin into content that this dialect can write, and reports what that costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.types.v1.content_pb2 import Media, MediaKind, Part
from services.dialects.losses import Losses
from services.dialects.openai_responses.wire import DIALECT

_TEXT_TYPES: Final = ("text/", "application/json", "application/xml")


def adapt(parts: Iterable[Part], where: str, losses: Losses) -> list[Part]:
    """Return the parts that are content here: text, refusals and media."""
    adapted: list[Part] = []
    for number, part in enumerate(parts):
        adapted.extend(_adapt(part, f"{where}.parts[{number}]", losses))
    return adapted


def report(part: Part, path: str, losses: Losses) -> None:
    """Report what stands on a part and has no form here."""
    losses.foreign(part.extensions, DIALECT, path)
    if part.HasField("state") and part.WhichOneof("kind") != "reasoning":
        losses.dropped(f"{path}.state", f"{part.state.kind or 'state'} of the dialect {part.state.dialect}")
    if part.HasField("cache") and DIALECT not in part.cache.extensions:
        losses.dropped(f"{path}.cache", "cache marks are not known here; caching is by prefix")


def _adapt(part: Part, path: str, losses: Losses) -> list[Part]:
    report(part, path, losses)
    match part.WhichOneof("kind"):
        case "text":
            # An empty text says nothing, and is refused.
            return [part] if part.text or DIALECT in part.extensions else []
        case "refusal":
            return [part]
        case "media":
            return [part] if DIALECT in part.extensions else _adapt_media(part, path, losses)
        case "opaque" if part.opaque.dialect == DIALECT:
            return [part]
        case "opaque":
            losses.dropped(path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}")
        case "reasoning" | "tool_call" | "tool_result" as kind:
            losses.dropped(path, f"a {kind} has no place in this message")
        case _:
            pass
    return []


def _adapt_media(part: Part, path: str, losses: Losses) -> list[Part]:
    media = part.media
    source = media.WhichOneof("source")
    match media.kind:
        case MediaKind.MEDIA_KIND_DOCUMENT:
            return _adapt_document(part, path, losses)
        case MediaKind.MEDIA_KIND_AUDIO:
            if media.transcript:
                losses.emulated(path, "sound was sent as its words")
                return [Part(text=media.transcript)]
            losses.dropped(path, "sound is not known here")
        case MediaKind.MEDIA_KIND_VIDEO:
            losses.dropped(path, "film is not known here")
        case _:
            if source in {"data", "url", "file_id"}:
                return [_detailed(part)]
            losses.dropped(path, "an image must be given by value, URL or file id here")
    return []


def _adapt_document(part: Part, path: str, losses: Losses) -> list[Part]:
    media = part.media
    if media.context:
        losses.dropped(f"{path}.media.context", "a document has no context here")
    if media.citations:
        losses.dropped(f"{path}.media.citations", "citations cannot be asked for here")
    match media.WhichOneof("source"):
        case "text":
            losses.emulated(path, "a text document was sent as text")
            return [Part(text=_titled(media, media.text))]
        case "parts":
            losses.emulated(path, "a document made of parts was sent as its parts")
            inner = adapt(media.parts.parts, f"{path}.media.parts", losses)
            return [Part(text=media.title), *inner] if media.title else inner
        case "data" if media.mime_type.startswith(_TEXT_TYPES):
            losses.emulated(path, "a text document was sent as text")
            return [Part(text=_titled(media, media.data.decode("utf-8", "replace")))]
        case None:
            losses.dropped(path, "a document without a source")
            return []
        case "data" if not media.file_name:
            # A file by value must have a name.
            copy = Part()
            copy.CopyFrom(part)
            copy.media.file_name = media.title or "document.pdf"
            return [copy]
        case _:
            return [part]


def _detailed(part: Part) -> Part:
    """An image must say which detail it is wanted in."""
    if part.media.detail:
        return part
    copy = Part()
    copy.CopyFrom(part)
    copy.media.detail = "auto"
    return copy


def _titled(media: Media, text: str) -> str:
    title = media.title or media.file_name
    return f"{title}\n\n{text}" if title else text
