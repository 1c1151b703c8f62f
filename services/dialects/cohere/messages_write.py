"""Writes messages, of a request or of an answer, and reports what they cannot hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from llmhub.types.v1.content_pb2 import MediaKind, Message, Part, Role
from services.dialects.cohere.citations import is_plan, written_citations
from services.dialects.cohere.messages_read import LISTED, TEXT
from services.dialects.cohere.parts import document_data, write_call, write_element
from services.dialects.cohere.target import Target
from services.dialects.cohere.wire import DIALECT, ROLE_WORDS, may_think
from services.dialects.members import Extension, JsonObject

_TEXT_TYPES: Final = ("text/", "application/json", "application/xml")
_NOTHING: Final = Extension({}, DIALECT)


def write_messages(messages: Iterable[Message], target: Target) -> list[JsonObject]:
    """Write the messages; documents of users go to `target.documents`."""
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
            turn = _write_turn(message, rest, where, target)
            if turn is not None:
                written.append(turn)
    return written


def _write_result(part: Part, message: Message, where: str, target: Target) -> JsonObject:
    result = part.tool_result
    native = DIALECT in message.extensions or target.native
    extension = Extension(message.extensions, DIALECT) if len(message.parts) == 1 else Extension({}, DIALECT)
    _report(part, where, target, native=native)
    if result.is_error:
        target.losses.dropped(f"{where}.tool_result.is_error", "a tool's failure is told by its text only")
    written: JsonObject = {"role": "tool"}
    if result.call_id or not native:
        written["tool_call_id"] = result.call_id
    parts = adapt(result.parts, f"{where}.tool_result", target, native=native, inline=True)
    content = write_content(parts, extension, usual=str)
    if content is not None or not native:
        written["content"] = "" if content is None else content
    return extension.merge(written)


def _write_turn(message: Message, parts: list[Part], where: str, target: Target) -> JsonObject | None:
    """Write any message but a tool's result; None if nothing of it is left."""
    native = DIALECT in message.extensions or target.native
    extension = Extension(message.extensions, DIALECT)
    inline = not any(part.text for part in parts)
    kept = adapt(parts, where, target, native=native, inline=inline)
    if not kept and parts and not native:
        return None
    written: JsonObject = {"role": ROLE_WORDS.get(message.role, "user")}
    written.update(write_turn(kept, extension, native=native, usual=str))
    if not native and "content" not in written and message.role != Role.ROLE_ASSISTANT:
        written["content"] = ""
    return extension.merge(written)


def write_turn(parts: Sequence[Part], extension: Extension, *, native: bool, usual: type) -> JsonObject:
    """Plan, content, calls and citations of parts that have a form here."""
    written: JsonObject = {}
    plans = [part.reasoning.text for part in parts if is_plan(part)]
    if plans:
        written["tool_plan"] = "".join(plans)
    content = write_content(
        [part for part in parts if not is_plan(part) and not part.HasField("tool_call")],
        extension,
        usual=usual,
    )
    if content is not None:
        written["content"] = content
    calls = [
        write_call(part, Extension(part.extensions, DIALECT), native=native)
        for part in parts
        if part.HasField("tool_call")
    ]
    if calls:
        written["tool_calls"] = calls
    citations = written_citations(parts)
    if citations:
        written["citations"] = citations
    return written


def write_content(parts: Sequence[Part], extension: Extension, *, usual: type) -> Any:
    """The content in the form it had, or in the usual one; None if there is nothing."""
    if not parts:
        return None
    shape = extension.shape.get("content")
    as_text = shape == TEXT or (shape != LISTED and usual is str)
    if as_text and len(parts) == 1 and parts[0].WhichOneof("kind") == "text":
        return parts[0].text
    return [write_element(part, Extension(part.extensions, DIALECT)) for part in parts]


def adapt(parts: Iterable[Part], where: str, target: Target, *, native: bool, inline: bool) -> list[Part]:
    """Parts with a form here. `inline`: documents stay in the message, elsewhere they go to the request."""
    kept: list[Part] = []
    for number, part in enumerate(parts):
        path = f"{where}.parts[{number}]"
        _report(part, path, target, native=native)
        match part.WhichOneof("kind"):
            case "text" if part.text or native:
                kept.append(part)
            case "reasoning":
                if _keeps_reasoning(part, path, target, native=native):
                    kept.append(part)
            case "media":
                kept.extend(_adapt_media(part, path, target, native=native, inline=inline))
            case "refusal":
                target.losses.altered(path, "a refusal is sent as text")
                kept.append(part)
            case "opaque" if part.opaque.dialect != DIALECT:
                target.losses.dropped(
                    path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}"
                )
            case "opaque" | "tool_call":
                kept.append(part)
            case _:
                pass
    return kept


def _report(part: Part, path: str, target: Target, *, native: bool) -> None:
    """Report what stands beside a part's content."""
    losses = target.losses
    losses.foreign(part.extensions, DIALECT, path)
    if part.HasField("cache"):
        losses.dropped(f"{path}.cache", "cache marks are not known here")
    if any(DIALECT not in each.extensions for each in part.citations) and not native:
        losses.dropped(f"{path}.citations", "citations of other dialects have no form here")
    if part.HasField("state") and part.state.dialect != DIALECT:
        kind = part.state.kind or "state"
        losses.dropped(f"{path}.state", f"{kind} of the dialect {part.state.dialect}")


def _keeps_reasoning(part: Part, path: str, target: Target, *, native: bool) -> bool:
    if native or DIALECT in part.extensions:
        return True
    foreign = part.HasField("state") and part.state.dialect != DIALECT
    if part.reasoning.text and may_think(target.model) and not foreign:
        return True
    if part.reasoning.text or part.reasoning.summaries:
        target.losses.dropped(path, f"this reasoning cannot be sent to {target.model}")
    return False


def _adapt_media(part: Part, path: str, target: Target, *, native: bool, inline: bool) -> list[Part]:
    media, losses = part.media, target.losses
    source = media.WhichOneof("source")
    if native and DIALECT in part.extensions:
        return [part]
    if media.kind in {MediaKind.MEDIA_KIND_IMAGE, MediaKind.MEDIA_KIND_UNSPECIFIED}:
        if source in {"data", "url"}:
            return [part]
        losses.dropped(path, "an image must be given by value or URL here")
        return []
    if media.kind != MediaKind.MEDIA_KIND_DOCUMENT:
        losses.dropped(path, "only images and text documents are known here")
        return []
    text = _document_text(part, path, target)
    if text is None:
        losses.dropped(path, "a document must be given as text here")
        return []
    if media.HasField("citations") and not media.citations:
        losses.dropped(f"{path}.media.citations", "every document may be cited here")
    plain = Part()
    plain.media.kind = MediaKind.MEDIA_KIND_DOCUMENT
    plain.media.text = text
    plain.media.title = media.title or media.file_name
    plain.media.context = media.context
    if native:
        return [plain]
    if inline:
        if "tool_result" in path:
            return [plain]
        losses.emulated(path, "a document without a question was sent as text")
        return [Part(text=f"{plain.media.title}\n\n{text}" if plain.media.title else text)]
    losses.emulated(path, "a document was sent among the request's documents")
    number = len(target.documents)
    target.documents.append({"id": f"doc:{number}", "data": document_data(plain.media, _NOTHING)})
    return []


def _document_text(part: Part, path: str, target: Target) -> str | None:
    media = part.media
    match media.WhichOneof("source"):
        case "text":
            return media.text
        case "data" if media.mime_type.startswith(_TEXT_TYPES):
            return media.data.decode("utf-8", "replace")
        case "parts":
            texts = [each.text for each in media.parts.parts if each.text]
            if len(texts) < len(media.parts.parts):
                target.losses.dropped(f"{path}.media.parts", "only the text of a document is known here")
            return "\n\n".join(texts) if texts else None
        case _:
            return None
