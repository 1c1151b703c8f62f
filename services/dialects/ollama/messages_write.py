"""Writes messages, of a request or of an answer, and reports what they cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.types.v1.content_pb2 import Media, MediaKind, Message, Part, Role
from services.dialects.data_urls import encode_base64
from services.dialects.members import Extension, JsonObject
from services.dialects.ollama.parts import write_call
from services.dialects.ollama.target import Target
from services.dialects.ollama.wire import DIALECT, ROLE_WORDS

_TEXT_TYPES: Final = ("text/", "application/json", "application/xml")
_PICTURES: Final = frozenset({MediaKind.MEDIA_KIND_IMAGE, MediaKind.MEDIA_KIND_UNSPECIFIED})
_BREAK: Final = "\n\n"


def write_messages(messages: Iterable[Message], target: Target) -> list[JsonObject]:
    """Write the messages."""
    written: list[JsonObject] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        target.losses.foreign(message.extensions, DIALECT, where)
        if message.name:
            target.losses.dropped(f"{where}.name", "participants have no names here")
        results = [part for part in message.parts if part.HasField("tool_result")]
        rest = [part for part in message.parts if not part.HasField("tool_result")]
        written.extend(_write_result(part, message, where, target) for part in results)
        if rest or not results:
            turn = _write_message(message, rest, where, target)
            if turn is not None:
                written.append(turn)
    return written


def _write_result(part: Part, message: Message, where: str, target: Target) -> JsonObject:
    result = part.tool_result
    extension = Extension(message.extensions, DIALECT) if len(message.parts) == 1 else Extension({}, DIALECT)
    _report(part, where, target)
    if result.is_error:
        target.losses.dropped(f"{where}.tool_result.is_error", "a tool's failure is told by its text only")
    written: JsonObject = {"role": "tool"}
    name = result.name or target.called.get(result.call_id, "")
    if name and "unnamed" not in extension.shape:
        written["tool_name"] = name
    if result.call_id and "anonymous" not in extension.shape:
        written["tool_call_id"] = result.call_id
    written.update(write_turn(result.parts, f"{where}.tool_result", target))
    if DIALECT not in message.extensions:
        written.setdefault("content", "")
    return extension.merge(written)


def _write_message(message: Message, parts: list[Part], where: str, target: Target) -> JsonObject | None:
    """Write any message but a tool's result; None if nothing of it is left."""
    turn = write_turn(parts, where, target)
    if not turn and parts and DIALECT not in message.extensions:
        return None
    written: JsonObject = {"role": ROLE_WORDS.get(message.role, "user"), **turn}
    extension = Extension(message.extensions, DIALECT)
    if DIALECT not in message.extensions and not target.native:
        written.setdefault("content", "")
    if message.role == Role.ROLE_ASSISTANT:
        for part in parts:
            if part.HasField("tool_call"):
                target.called[part.tool_call.id] = part.tool_call.name
    return extension.merge(written)


def write_turn(parts: Iterable[Part], where: str, target: Target) -> JsonObject:
    """Thinking, content, pictures and calls of what has a form here; content is one text."""
    turn = _Turn(target)
    for number, part in enumerate(parts):
        turn.add(part, f"{where}.parts[{number}]")
    return turn.written(where)


class _Turn:
    """What a message says, sorted by the member that takes it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._losses = target.losses
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._images: list[str] = []
        self._calls: list[JsonObject] = []
        self._split = False

    def add(self, part: Part, path: str) -> None:
        """Take a part, or report that it has no form here."""
        _report(part, path, self._target)
        match part.WhichOneof("kind"):
            case "text":
                self._say(part.text)
            case "refusal":
                self._losses.altered(path, "a refusal is sent as text")
                self._say(part.refusal)
            case "reasoning":
                self._think(part, path)
            case "media":
                self._show(part.media, path)
            case "tool_call":
                self._call(part, path)
            case "opaque":
                kind = part.opaque.type
                self._losses.dropped(path, f"a {kind} block of the dialect {part.opaque.dialect}")
            case _:
                pass

    def written(self, where: str) -> JsonObject:
        """The members, each only if there is something for it."""
        texts = self._texts
        if len(texts) > 1 and self._split:
            self._losses.altered(where, "pictures stand beside the text here, not inside it")
        elif len(texts) > 1:
            self._losses.altered(where, f"{len(texts)} texts were joined into one")
        members: JsonObject = {
            "content": _BREAK.join(texts),
            "thinking": _BREAK.join(self._thoughts),
            "images": self._images,
            "tool_calls": self._calls,
        }
        return {name: value for name, value in members.items() if value}

    def _say(self, text: str) -> None:
        if text:
            self._split = self._split or bool(self._texts and self._images)
            self._texts.append(text)

    def _think(self, part: Part, path: str) -> None:
        """Thinking goes back as text; that of another provider, bound to a state, does not."""
        if part.HasField("state") and part.state.dialect != DIALECT:
            self._losses.dropped(path, "this reasoning belongs to another provider")
            return
        if part.reasoning.summaries:
            self._losses.dropped(f"{path}.reasoning.summaries", "summaries of reasoning have no form here")
        if part.reasoning.text:
            self._thoughts.append(part.reasoning.text)

    def _call(self, part: Part, path: str) -> None:
        call, wrapped = write_call(part, Extension(part.extensions, DIALECT))
        if wrapped:
            self._losses.altered(f"{path}.tool_call.arguments", "arguments must be a JSON object here")
        self._calls.append(call)

    def _show(self, media: Media, path: str) -> None:
        if media.kind == MediaKind.MEDIA_KIND_DOCUMENT:
            text = _document_text(media)
            if text is not None:
                self._losses.emulated(path, "a document was sent as text")
                title = media.title or media.file_name
                self._say(f"{title}{_BREAK}{text}" if title else text)
                return
        elif media.kind in _PICTURES and media.WhichOneof("source") == "data":
            if media.detail:
                self._losses.dropped(f"{path}.media.detail", "resolution cannot be chosen here")
            self._images.append(encode_base64(media.data))
            return
        self._losses.dropped(path, "only pictures by value and text documents are known here")


def _document_text(media: Media) -> str | None:
    source = media.WhichOneof("source")
    if source == "text":
        return media.text
    if source == "data" and media.mime_type.startswith(_TEXT_TYPES):
        return media.data.decode("utf-8", "replace")
    if source == "parts" and all(each.text for each in media.parts.parts):
        return _BREAK.join(each.text for each in media.parts.parts)
    return None


def _report(part: Part, path: str, target: Target) -> None:
    """Report what stands beside a part's content."""
    losses = target.losses
    losses.foreign(part.extensions, DIALECT, path)
    if part.HasField("cache"):
        losses.dropped(f"{path}.cache", "cache marks are not known here; caching is by prefix")
    if part.citations:
        losses.dropped(f"{path}.citations", "there are no citations here")
    if part.HasField("state") and part.state.dialect != DIALECT:
        kind = part.state.kind or "state"
        losses.dropped(f"{path}.state", f"{kind} of the dialect {part.state.dialect}")
