"""Parts to content blocks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from llmhub.types.v1.content_pb2 import CacheMark, Part, Reasoning, ToolCall, ToolResult
from services.dialects.anthropic.citations import NO_SUCH_CITATION, write_citation
from services.dialects.anthropic.wire import (
    DIALECT,
    REDACTED,
    SIGNATURE,
    TOOL_REFERENCE,
    Block,
    own_state,
    tool_reference_text,
    tool_use_id,
)
from services.dialects.anthropic.write_media import write_media
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject
from services.dialects.quiet import merge_back
from services.dialects.raw_json import caller_json
from services.dialects.text_tools import argument_object, function_name


def write_cache(mark: CacheMark) -> JsonObject:
    """Write a cache mark."""
    extension = Extension(mark.extensions, DIALECT)
    control: JsonObject = {}
    if "type" not in extension.members and "untyped" not in extension.shape:
        control["type"] = "ephemeral"
    if mark.ttl:
        control["ttl"] = mark.ttl
    return merge_back(control, extension)


class BlockWriter:
    """Writes the parts of a request, or of an answer."""

    __slots__ = ("_answer", "_losses")

    def __init__(self, losses: Losses, *, answer: bool) -> None:
        self._losses = losses
        self._answer = answer

    def write_all(self, parts: Iterable[Part], path: str) -> list[Block]:
        """Write the parts that have a block."""
        blocks = (self.write(part, f"{path}.parts[{index}]") for index, part in enumerate(parts))
        return [block for block in blocks if block is not None]

    def write(self, part: Part, path: str) -> Block | None:
        """Write one part; None if there is no block for it, which is noted as a loss."""
        kind = part.WhichOneof("kind")
        if kind == "opaque":
            return self._opaque(part, path)
        extension = Extension(part.extensions, DIALECT)
        block = self._block(kind, part, extension, path)
        if block is None:
            return None
        if part.extensions:
            self._losses.foreign(part.extensions, DIALECT, path)
        if part.HasField("cache"):
            block["cache_control"] = write_cache(part.cache)
        return merge_back(block, extension)

    def _block(self, kind: str | None, part: Part, extension: Extension, path: str) -> JsonObject | None:
        match kind:
            case "text":
                return _tool_reference(part, extension) or self._text(part, path)
            case "refusal":
                return self._refusal(part.refusal, path)
            case "media":
                return write_media(part.media, extension, self._losses, path, self.write_all)
            case "tool_call":
                return self._tool_use(part.tool_call, path)
            case "tool_result":
                return self._tool_result(part.tool_result, extension, path)
            case "reasoning":
                return self._reasoning(part, extension, path)
            case _:
                return None

    def _refusal(self, refusal: str, path: str) -> JsonObject | None:
        if not refusal and not self._answer:
            return None
        self._losses.emulated(path, "a refusal is sent as text")
        return {"type": "text", "text": refusal}

    def _opaque(self, part: Part, path: str) -> msgspec.Raw | None:
        if part.opaque.dialect != DIALECT:
            self._losses.dropped(path, f"Anthropic has no {part.opaque.dialect} block {part.opaque.type}")
            return None
        return caller_json(part.opaque.json, f"{path}.opaque.json")

    def _text(self, part: Part, path: str) -> JsonObject | None:
        if not part.text and not self._answer:
            # Anthropic refuses empty text; nothing is lost with it unless it carries a mark.
            if part.HasField("cache"):
                self._losses.dropped(f"{path}.cache", "an empty text cannot carry a cache mark")
            return None
        block: JsonObject = {"type": "text", "text": part.text}
        if part.citations:
            written = [write_citation(citation, answer=self._answer) for citation in part.citations]
            kept = [citation for citation in written if citation is not None]
            if len(kept) < len(written):
                self._losses.dropped(f"{path}.citations", NO_SUCH_CITATION)
            if kept:
                block["citations"] = kept
        return block

    def _tool_use(self, call: ToolCall, path: str) -> JsonObject:
        arguments, wrapped = argument_object(call)
        if wrapped:
            self._losses.altered(f"{path}.tool_call.arguments", "not a JSON object: wrapped into one")
        return {
            "type": "tool_use",
            "id": call.id if self._answer else tool_use_id(call.id),
            "name": function_name(call),
            "input": msgspec.Raw("{}") if arguments is None else arguments,
        }

    def _tool_result(self, result: ToolResult, extension: Extension, path: str) -> JsonObject:
        block: JsonObject = {"type": "tool_result", "tool_use_id": tool_use_id(result.call_id)}
        if extension.shape.get("content") == "string" and len(result.parts) == 1:
            block["content"] = result.parts[0].text
        elif content := self.write_all(result.parts, f"{path}.tool_result"):
            block["content"] = content
        if result.HasField("is_error"):
            block["is_error"] = result.is_error
        return block

    def _reasoning(self, part: Part, extension: Extension, path: str) -> JsonObject | None:
        reasoning = part.reasoning
        if reasoning.redacted:
            data = own_state(part.state, REDACTED)
            if data is None:
                self._losses.dropped(
                    f"{path}.state", "withheld reasoning is only for the provider it came from"
                )
                return None
            return {"type": REDACTED, "data": data}
        signature = own_state(part.state, SIGNATURE) if part.HasField("state") else None
        if signature is None and not self._answer:
            self._losses.dropped(path, "reasoning without Anthropic's signature cannot be sent to Anthropic")
            return None
        block: JsonObject = {"type": "thinking", "thinking": reasoning_text(reasoning)}
        if signature is not None:
            block["signature"] = signature
        elif "unsigned" not in extension.shape:
            block["signature"] = ""
        return block


def _tool_reference(part: Part, extension: Extension) -> JsonObject | None:
    """The block that a text stands for, if it still says what was read from one."""
    name = extension.shape.get(TOOL_REFERENCE)
    if type(name) is not str or part.text != tool_reference_text(name):
        return None
    return {"type": TOOL_REFERENCE, "tool_name": name}


def reasoning_text(reasoning: Reasoning) -> str:
    """What was thought, or what the provider wrote about it."""
    return reasoning.text or "\n\n".join(reasoning.summaries)
