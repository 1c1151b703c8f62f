"""Makes parts of any origin into parts that this dialect can write, and reports what that costs."""

from __future__ import annotations

from collections.abc import Iterable

from llmhub.types.v1.content_pb2 import Media, MediaKind, Part
from services.dialects.openai.media import audio_format
from services.dialects.openai.target import Target
from services.dialects.openai.wire import DIALECT, REASONING_DETAILS

_TEXT_TYPES = ("text/", "application/json", "application/xml")
_AUDIO = frozenset({"wav", "mp3"})


def adapt(parts: Iterable[Part], where: str, target: Target, *, native: bool) -> list[Part]:
    """Return parts with a form here. `native`: the message came in this dialect, so reasoning stays."""
    adapted: list[Part] = []
    called = False
    for number, part in enumerate(parts):
        path = f"{where}.parts[{number}]"
        kind = part.WhichOneof("kind")
        if not native:
            _report_extras(part, path, target)
            if called and kind == "text" and part.text:
                target.losses.altered(path, "text after a tool call goes before it here")
        called = called or kind == "tool_call"
        if kind == "media" and not native:
            adapted.extend(_adapt_media(part, path, target))
        elif _keeps(part, path, target, native=native):
            adapted.append(_unmarked(part, path, target))
    return adapted


def _keeps(part: Part, path: str, target: Target, *, native: bool) -> bool:
    match part.WhichOneof("kind"):
        case "text":
            # An empty text says nothing, and many servers refuse it.
            return bool(part.text) or native
        case "reasoning":
            return _keeps_reasoning(part, path, target, native=native)
        case "opaque" if part.opaque.dialect != DIALECT:
            target.losses.dropped(path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}")
            return False
        case kind:
            return kind is not None


def _report_extras(part: Part, path: str, target: Target) -> None:
    losses = target.losses
    losses.foreign(part.extensions, DIALECT, path)
    if part.HasField("state") and part.WhichOneof("kind") != "reasoning":
        losses.dropped(f"{path}.state", f"{part.state.kind or 'state'} of the dialect {part.state.dialect}")
    if any(DIALECT not in each.extensions and not each.url for each in part.citations):
        losses.dropped(f"{path}.citations", "citations into documents have no form here")


def _unmarked(part: Part, path: str, target: Target) -> Part:
    """The part without a cache mark, unless the server knows it."""
    if not part.HasField("cache") or DIALECT in part.cache.extensions or target.profile.cache_control:
        return part
    target.losses.dropped(f"{path}.cache", "cache marks are not known here; caching is by prefix")
    copy = Part()
    copy.CopyFrom(part)
    copy.ClearField("cache")
    return copy


def _keeps_reasoning(part: Part, path: str, target: Target, *, native: bool) -> bool:
    state = part.state
    ours = state.dialect == DIALECT and state.kind == REASONING_DETAILS
    if native or ours or DIALECT in part.extensions:
        return True
    if part.HasField("state"):
        target.losses.dropped(
            f"{path}.state", f"{state.kind or 'reasoning state'} of the dialect {state.dialect}"
        )
    if target.profile.reasoning_member and part.reasoning.text:
        return True
    if part.reasoning.text or part.reasoning.summaries:
        target.losses.dropped(f"{path}.reasoning", "this server takes no reasoning back")
    return False


def _adapt_media(part: Part, path: str, target: Target) -> list[Part]:
    media = part.media
    if DIALECT in part.extensions:
        return [part]
    losses = target.losses
    part = _unmarked(part, path, target)
    source = media.WhichOneof("source")
    match media.kind:
        case MediaKind.MEDIA_KIND_DOCUMENT:
            return _adapt_document(part, path, target)
        case MediaKind.MEDIA_KIND_AUDIO:
            if source == "file_id" or (source == "data" and audio_format(media) in _AUDIO):
                return [part]
            losses.dropped(path, "sound must be wav or mp3 by value here")
            return []
        case MediaKind.MEDIA_KIND_VIDEO:
            if target.profile.video and source in {"data", "url"}:
                return [part]
            losses.dropped(path, "film is not known here")
            return []
        case _:
            if source in {"data", "url"}:
                return [part]
            losses.dropped(path, "an image must be given by value or URL here")
            return []


def _adapt_document(part: Part, path: str, target: Target) -> list[Part]:
    media = part.media
    losses = target.losses
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
            inner = adapt(media.parts.parts, f"{path}.media.parts", target, native=False)
            return [Part(text=media.title), *inner] if media.title else inner
        case "data" if media.mime_type.startswith(_TEXT_TYPES):
            losses.emulated(path, "a text document was sent as text")
            return [Part(text=_titled(media, media.data.decode("utf-8", "replace")))]
        case "url" if not target.profile.document_url:
            losses.dropped(path, "a document must be given by value here")
            return []
        case None:
            losses.dropped(path, "a document without a source")
            return []
        case _:
            return [_named(part)]


def _named(part: Part) -> Part:
    """A file by value must have a name."""
    media = part.media
    if media.file_name or media.WhichOneof("source") == "file_id":
        return part
    copy = Part()
    copy.CopyFrom(part)
    copy.media.file_name = media.title or "document.pdf"
    return copy


def _titled(media: Media, text: str) -> str:
    title = media.title or media.file_name
    return f"{title}\n\n{text}" if title else text
