"""Puts parts into the shape of a message: into a skeleton's holes first, then canonically."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableSequence
from typing import Any, Final

from llmhub.types.v1.content_pb2 import MediaKind, Part
from services.dialects.members import Extension, JsonObject, decode_json
from services.dialects.openai.media import encode_answer_audio, takes_image, takes_sound
from services.dialects.openai.parts import encode_annotation, encode_content_part, encode_tool_call
from services.dialects.openai.wire import (
    CONTENT_HOLES,
    DIALECT,
    HOLE,
    MEDIA_HOLE,
    OPAQUE_HOLE,
    REASONING_DETAILS,
    REASONING_HOLE,
    REFUSAL_HOLE,
    TEXT_HOLE,
)

_LISTED: Final = {
    "media": MEDIA_HOLE,
    "opaque": OPAQUE_HOLE,
    "reasoning": REASONING_HOLE,
    "refusal": REFUSAL_HOLE,
}


class Buckets:
    """Parts by where they go in a message."""

    __slots__ = (
        "_reasoned",
        "audio",
        "calls",
        "citations",
        "content",
        "legacy",
        "reasoning",
        "refusals",
        "states",
    )

    def __init__(self, parts: Iterable[Part]) -> None:
        self.content: deque[tuple[str, Part]] = deque()
        self.reasoning: list[Part] = []
        self._reasoned = ""
        self.states: list[bytes] = []
        self.refusals: list[Part] = []
        self.calls: list[tuple[Part, Extension]] = []
        self.legacy: list[tuple[Part, Extension]] = []
        self.audio: list[Part] = []
        self.citations: list[JsonObject] = []
        for part in parts:
            self._sort(part)

    def _sort(self, part: Part) -> None:
        kind = part.WhichOneof("kind")
        if kind == "text":
            self.content.append((TEXT_HOLE, part))
            for citation in part.citations:
                written = encode_annotation(citation)
                if written is not None:
                    self.citations.append(written)
        elif kind == "tool_call":
            extension = Extension(part.extensions, DIALECT)
            (self.legacy if "legacy" in extension.shape else self.calls).append((part, extension))
        elif kind == "media" and part.media.kind == MediaKind.MEDIA_KIND_AUDIO:
            spoken = part.media.transcript or part.media.file_id
            self.audio.append(part) if spoken else self.content.append((MEDIA_HOLE, part))
        elif kind in _LISTED:
            self._sort_listed(kind, part)

    def _sort_listed(self, kind: str, part: Part) -> None:
        if kind == "opaque" and part.opaque.dialect != DIALECT:
            return
        if kind in {"media", "opaque"} or DIALECT in part.extensions:
            # Of these only elements of a content list have an extension.
            self.content.append((_LISTED[kind], part))
        elif kind == "reasoning":
            self._reason(part)
        else:
            self.refusals.append(part)

    def _reason(self, part: Part) -> None:
        if part.reasoning.text or part.reasoning.summaries:
            self.reasoning.append(part)
        state = part.state
        if state.dialect == DIALECT and state.kind == REASONING_DETAILS:
            self.states.append(state.data)

    def reasoning_text(self) -> str:
        """All reasoning, taken out; the same again for a second hole."""
        if self.reasoning:
            texts = (part.reasoning.text or "\n".join(part.reasoning.summaries) for part in self.reasoning)
            self._reasoned = "".join(texts)
            self.reasoning.clear()
        return self._reasoned

    def next_content(self, hole: str) -> Part | None:
        """Take the first content part of a kind."""
        for number, (kind, part) in enumerate(self.content):
            if kind == hole:
                del self.content[number]
                return part
        return None


def fill(skeleton: JsonObject, parts: Iterable[Part]) -> tuple[JsonObject, Buckets]:
    """Fill a skeleton's holes; return the message and the parts that had no hole. Unfilled holes vanish."""
    buckets = Buckets(parts)
    message: JsonObject = {}
    for name, value in skeleton.items():
        if name == "content" and (value == HOLE or isinstance(value, list)):
            value = _fill_content(value, buckets)
        elif name in {"tool_calls", "annotations"} and isinstance(value, list):
            value = [
                each for each in (_fill_entry(name, each, buckets) for each in value) if each is not None
            ]
            if not value and skeleton[name]:
                continue
        elif value == HOLE:
            value = _fill_member(name, buckets)
            if value is None:
                continue
        message[name] = value
    return message, buckets


def _fill_content(value: Any, buckets: Buckets) -> Any:
    if value == HOLE:
        part = buckets.next_content(TEXT_HOLE)
        return part.text if part is not None else None
    written: MutableSequence[Any] = []
    for element in value:
        if isinstance(element, str) and element in CONTENT_HOLES:
            part = buckets.next_content(element)
            if part is not None:
                written.append(encode_content_part(part))
        else:
            written.append(element)
    return written


def _fill_entry(name: str, value: Any, buckets: Buckets) -> Any:
    if value != HOLE:
        return value
    if name == "annotations":
        return buckets.citations.pop(0) if buckets.citations else None
    if buckets.calls:
        return encode_tool_call(*buckets.calls.pop(0))
    return None


def _fill_member(name: str, buckets: Buckets) -> Any:
    match name:
        case "reasoning_content" | "reasoning":
            return buckets.reasoning_text() or None
        case "reasoning_details":
            return merge_details(buckets.states) if buckets.states else None
        case "refusal":
            return buckets.refusals.pop(0).refusal if buckets.refusals else None
        case "audio":
            if not buckets.audio:
                return None
            part = buckets.audio.pop(0)
            return encode_answer_audio(part.media, Extension(part.extensions, DIALECT))
        case "function_call":
            return encode_tool_call(*buckets.legacy.pop(0)) if buckets.legacy else None
        case _:
            return None


def complete_answer(message: JsonObject, buckets: Buckets) -> None:
    """Write what had no hole into an answer, whose content is one string."""
    texts = [part.text for kind, part in buckets.content if kind == TEXT_HOLE]
    if texts:
        before = message.get("content")
        if isinstance(before, list):
            before.extend({"type": "text", "text": text} for text in texts)
        else:
            message["content"] = "".join([before or "", *texts])
    media = [part for kind, part in buckets.content if kind == MEDIA_HOLE]
    buckets.audio.extend(part for part in media if takes_sound(part.media))
    images = [encode_content_part(part) for part in media if takes_image(part.media)]
    if images:
        message["images"] = [*message.get("images", ()), *images]
    _complete(message, buckets, "reasoning_content")


def complete_request(
    message: JsonObject, buckets: Buckets, reasoning_member: str, *, native: bool = False
) -> None:
    """Write what had no hole into a request's message; one plain text is a string, more is a list.

    A `native` message may have no content at all.
    """
    elements = [encode_content_part(part) for _, part in buckets.content]
    if elements:
        before = message.get("content")
        if isinstance(before, list):
            before.extend(elements)
        elif before:
            message["content"] = [{"type": "text", "text": before}, *elements]
        elif len(elements) == 1 and elements[0].keys() == {"type", "text"}:
            message["content"] = elements[0]["text"]
        else:
            message["content"] = elements
    _complete(message, buckets, reasoning_member)
    if "content" not in message and not native:
        message["content"] = None if message.get("role") == "assistant" else ""


def _complete(message: JsonObject, buckets: Buckets, reasoning_member: str) -> None:
    if buckets.reasoning and reasoning_member:
        message[reasoning_member] = (message.get(reasoning_member) or "") + buckets.reasoning_text()
    if buckets.states:
        message.setdefault(REASONING_DETAILS, merge_details(buckets.states))
    if buckets.refusals:
        message["refusal"] = (message.get("refusal") or "") + "".join(p.refusal for p in buckets.refusals)
    if buckets.calls:
        calls = [encode_tool_call(*call) for call in buckets.calls]
        message["tool_calls"] = [*(message.get("tool_calls") or ()), *calls]
    if buckets.legacy:
        message.setdefault("function_call", encode_tool_call(*buckets.legacy[0]))
    for part in buckets.audio:
        message.setdefault("audio", encode_answer_audio(part.media, Extension(part.extensions, DIALECT)))
    if buckets.citations:
        message["annotations"] = [*(message.get("annotations") or ()), *buckets.citations]


def merge_details(states: list[bytes]) -> list[Any]:
    """Read reasoning_details that came in pieces; pieces of one detail are joined, as OpenRouter wants them back."""
    merged: list[Any] = []
    open_details: dict[tuple[Any, Any], JsonObject] = {}
    pieces = [line for data in states for line in data.split(b"\n") if line]
    for line in pieces:
        try:
            details = decode_json(line)
        except ValueError:
            continue
        for detail in details if isinstance(details, list) else [details]:
            if len(pieces) == 1 or not isinstance(detail, dict):
                merged.append(detail)
                continue
            key = (str(detail.get("type")), str(detail.get("index")))
            known = open_details.get(key)
            if known is None:
                open_details[key] = detail
                merged.append(detail)
            else:
                _join_detail(known, detail)
    return merged


def _join_detail(known: JsonObject, piece: JsonObject) -> None:
    for name, value in piece.items():
        before = known.get(name)
        if name in {"text", "summary", "data"} and isinstance(value, str) and isinstance(before, str):
            known[name] = before + value
        elif value is not None and value != "":
            known[name] = value
