"""Parts of the contract to parts of Gemini's contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import Message, Part, ToolCall, ToolResult
from services.dialects.gemini.family import Family
from services.dialects.gemini.ids import is_made
from services.dialects.gemini.media import write_media
from services.dialects.gemini.read_parts import ANONYMOUS, SAID, SILENT, SPOKEN
from services.dialects.gemini.wire import (
    DIALECT,
    caller_json,
    merge_back,
    own_signature,
)
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, decode_json
from services.dialects.text_tools import TEXT_SUFFIX, argument_object, function_name

MADE_UP: Final = "made"
"""Hint: no part of Gemini's had this; it was made for other dialects."""


def call_names(messages: Sequence[Message]) -> dict[str, str]:
    """The function's name by call id: Gemini matches results by name."""
    return {
        part.tool_call.id: function_name(part.tool_call)
        for message in messages
        for part in message.parts
        if part.HasField("tool_call")
    }


class PartWriter:
    """Writes the parts of a request, or of an answer."""

    __slots__ = ("_answer", "_family", "_losses", "_names", "_native")

    def __init__(
        self,
        losses: Losses,
        *,
        answer: bool,
        family: Family | None = None,
        names: dict[str, str] | None = None,
        native: bool = False,
    ) -> None:
        self._losses = losses
        self._answer = answer
        self._family = family or Family()
        self._names = names or {}
        self._native = native

    def write_all(self, parts: Iterable[Part], path: str) -> list[JsonObject]:
        """Write the parts that have a form."""
        written: list[JsonObject] = []
        for index, part in enumerate(parts):
            written.extend(self.write(part, f"{path}.parts[{index}]"))
        return written

    def write(self, part: Part, path: str) -> list[JsonObject]:
        """Write one part, mostly as one; what has no form is noted as a loss."""
        extension = Extension(part.extensions, DIALECT)
        if MADE_UP in extension.shape:
            return []
        if part.HasField("cache"):
            self._losses.dropped(
                f"{path}.cache", "Gemini caches by itself, or by cachedContent; it takes no marks"
            )
        if not self._answer:
            self._losses.foreign(part.extensions, DIALECT, path)
        if part.HasField("tool_result"):
            written = self._tool_result(part.tool_result, extension, path)
        elif part.HasField("media") and part.media.HasField("parts"):
            self._losses.emulated(f"{path}.media", "a document made of parts is sent as its parts")
            written = self.write_all(part.media.parts.parts, f"{path}.media")
        else:
            one = self._one(part, extension, path)
            written = [] if one is None else [one]
        if not written:
            return written
        self._sign(part, written[0], path)
        merge_back(written[0], extension)
        return written

    def _one(self, part: Part, extension: Extension, path: str) -> JsonObject | None:
        match part.WhichOneof("kind"):
            case "text":
                if not (part.text or self._answer or self._native or part.HasField("state")):
                    # Gemini refuses empty text; nothing is lost with it.
                    return None
                return self._text(part, path)
            case "refusal":
                self._losses.emulated(path, "a refusal is sent as text")
                return {"text": part.refusal}
            case "media":
                return write_media(part.media, extension, self._losses, path, self._family)
            case "tool_call":
                return self._function_call(part.tool_call, path)
            case "reasoning":
                return self._reasoning(part, path)
            case "opaque":
                return self._opaque(part, path)
            case _:
                return None

    def _text(self, part: Part, path: str) -> JsonObject:
        if part.citations and not self._answer:
            self._losses.dropped(f"{path}.citations", "Gemini takes no citations in a request")
        return {"text": part.text}

    def _function_call(self, call: ToolCall, path: str) -> JsonObject:
        arguments, wrapped = argument_object(call)
        if wrapped:
            self._losses.altered(f"{path}.tool_call.arguments", "not a JSON object: wrapped into one")
        inner: JsonObject = {"name": function_name(call)}
        if arguments is not None:
            inner["args"] = arguments
        if call.id and not call.id_generated and not is_made(call.id):
            inner["id"] = call.id
        return {"functionCall": inner}

    def _reasoning(self, part: Part, path: str) -> JsonObject | None:
        reasoning = part.reasoning
        if not self._answer and (
            reasoning.redacted or (part.HasField("state") and own_signature(part.state) is None)
        ):
            self._losses.dropped(path, "reasoning of another provider is only for where it came from")
            return None
        if reasoning.redacted:
            return None
        return {"text": reasoning.text or "\n\n".join(reasoning.summaries), "thought": True}

    def _opaque(self, part: Part, path: str) -> JsonObject | None:
        if part.opaque.dialect != DIALECT:
            if not self._answer:
                self._losses.dropped(path, f"Gemini has no {part.opaque.dialect} block {part.opaque.type}")
            return None
        raw, value = caller_json(part.opaque.json, f"{path}.opaque.json")
        if type(value) is not dict:
            return None
        members: JsonObject = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return members

    def _sign(self, part: Part, written: JsonObject, path: str) -> None:
        if not part.HasField("state"):
            return
        signature = own_signature(part.state)
        if signature is not None:
            written["thoughtSignature"] = signature
        elif not self._answer:
            self._losses.dropped(f"{path}.state", f"state of {part.state.dialect} means nothing to Gemini")

    def _tool_result(self, result: ToolResult, extension: Extension, path: str) -> list[JsonObject]:
        name = result.name or self._names.get(result.call_id, "")
        if "custom" in extension.shape or self._names.get(result.call_id, "") == name + TEXT_SUFFIX:
            name += TEXT_SUFFIX
        own = SAID in extension.shape or SILENT in extension.shape
        if not name and not own:
            self._losses.altered(
                f"{path}.tool_result.name", "no call has this id: the id stands for the name"
            )
            name = result.call_id
        inner: JsonObject = {"name": name} if name else {}
        if result.call_id and ANONYMOUS not in extension.shape and not is_made(result.call_id):
            inner["id"] = result.call_id
        texts = [each.text for each in result.parts if each.HasField("text")]
        others = [each for each in result.parts if not each.HasField("text")]
        self._put_response(inner, texts, result, extension, path)
        media = self.write_all(others, f"{path}.tool_result")
        written: JsonObject = {"functionResponse": inner}
        if not media:
            return [written]
        if self._family.takes_levels or own:
            inner["parts"] = media
            return [written]
        self._losses.emulated(
            f"{path}.tool_result", "this model takes media of a tool's result only beside it"
        )
        return [written, *media]

    def _put_response(
        self, inner: JsonObject, texts: list[str], result: ToolResult, extension: Extension, path: str
    ) -> None:
        said = extension.shape.get(SAID)
        if isinstance(said, list) and len(said) == 2 and len(texts) == 1:
            own = _own_response(said, texts[0])
            if own is not None:
                inner["response"] = own
                return
        if not texts and SILENT in extension.shape:
            return
        if len(texts) > 1:
            self._losses.altered(f"{path}.tool_result", "several texts of a tool's result are sent as one")
        inner["response"] = _response("\n".join(texts), is_error=result.is_error)


def _own_response(said: list[Any], text: str) -> object | None:
    """The response as it was written; None if the text is no longer what it was."""
    name, is_json = said
    if not is_json:
        return {name: text} if isinstance(name, str) else None
    try:
        value = decode_json(text)
    except ValueError:
        return None
    if not name:
        return msgspec.Raw(text) if type(value) is dict else None
    return {name: msgspec.Raw(text)}


def _response(text: str, *, is_error: bool) -> object:
    """A tool's words as an object: one that they are, or one that holds them."""
    if is_error:
        return {"error": text}
    try:
        value = decode_json(text)
    except ValueError:
        value = None
    if type(value) is dict and not (len(value) == 1 and next(iter(value)) in SPOKEN):
        return msgspec.Raw(text)
    return {"output": text}
