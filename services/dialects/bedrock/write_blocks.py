"""Parts to content blocks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from llmhub.types.v1.content_pb2 import CacheMark, Part, ToolCall, ToolResult
from services.dialects.bedrock.citations import split_texts, write_citation
from services.dialects.bedrock.media import DocumentNames, write_media
from services.dialects.bedrock.read_blocks import CITED, GUARD, JSON_RESULT
from services.dialects.bedrock.wire import DIALECT, REDACTED, SIGNATURE, Block, own_state, tool_use_id
from services.dialects.data_urls import encode_base64
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject
from services.dialects.quiet import merge_back
from services.dialects.raw_json import caller_json
from services.dialects.text_tools import argument_object, function_name


def write_cache(mark: CacheMark, losses: Losses, path: str) -> JsonObject:
    """Write a cache mark as a block of its own."""
    extension = Extension(mark.extensions, DIALECT)
    losses.foreign(mark.extensions, DIALECT, path)
    point: JsonObject = {} if "untyped" in extension.shape else {"type": "default"}
    if mark.ttl:
        point["ttl"] = mark.ttl
    return {"cachePoint": merge_back(point, extension)}


class BlockWriter:
    """Writes the parts of a request, or of an answer. `own`: they are Bedrock's own, and written as they were."""

    __slots__ = ("_answer", "_losses", "_names", "_own")

    def __init__(self, losses: Losses, *, answer: bool, own: bool = False) -> None:
        self._losses = losses
        self._answer = answer
        self._own = own
        self._names = DocumentNames()

    def write_all(self, parts: Iterable[Part], path: str) -> list[Block]:
        """Write the parts that have a block, and their cache marks behind them."""
        blocks: list[Block] = []
        for index, part in enumerate(parts):
            where = f"{path}.parts[{index}]"
            block = self.write(part, where)
            if block is not None:
                blocks.append(block)
            if not part.HasField("cache"):
                continue
            if blocks:
                blocks.append(write_cache(part.cache, self._losses, f"{where}.cache"))
            else:
                self._losses.dropped(f"{where}.cache", "there is nothing in front of the cache mark")
        return blocks

    def write(self, part: Part, path: str) -> Block | None:
        """Write one part; None if there is no block for it, which is noted as a loss."""
        kind = part.WhichOneof("kind")
        if kind == "opaque":
            return self._opaque(part, path)
        extension = Extension(part.extensions, DIALECT)
        if not self._answer:
            self._losses.foreign(part.extensions, DIALECT, path)
        match kind:
            case "text":
                return self._text(part, extension, path)
            case "refusal":
                return self._refusal(part.refusal, path)
            case "media":
                return self._media(part, extension, path)
            case "tool_call":
                return {"toolUse": merge_back(self._tool_use(part.tool_call, path), extension)}
            case "tool_result":
                return {"toolResult": merge_back(self._tool_result(part.tool_result, path), extension)}
            case "reasoning":
                return self._reasoning(part, extension, path)
            case _:
                return None

    def _opaque(self, part: Part, path: str) -> msgspec.Raw | None:
        if part.opaque.dialect != DIALECT:
            self._losses.dropped(path, f"Bedrock has no {part.opaque.dialect} block {part.opaque.type}")
            return None
        return caller_json(part.opaque.json, f"{path}.opaque.json")

    def _refusal(self, refusal: str, path: str) -> JsonObject | None:
        if not self._answer:
            if not refusal:
                return None
            self._losses.emulated(path, "a refusal is sent as text")
        return {"text": refusal}

    def _text(self, part: Part, extension: Extension, path: str) -> JsonObject | None:
        guard = extension.members.get(GUARD)
        if type(guard) is dict:
            rest = {name: value for name, value in guard.items() if name != "as"}
            return {GUARD: {"text": {"text": part.text, **rest}}}
        if CITED in extension.shape or part.citations:
            return self._cited(part, extension, path)
        if not (self._own or self._answer) and (not part.text or part.text.isspace()):
            # Bedrock refuses blank text; nothing is lost with an empty one.
            if part.text:
                self._losses.dropped(path, "Bedrock refuses blank text")
            return None
        return {"text": part.text}

    def _cited(self, part: Part, extension: Extension, path: str) -> JsonObject:
        written = [write_citation(citation) for citation in part.citations]
        kept = [citation for citation in written if citation is not None]
        if len(kept) < len(written):
            self._losses.dropped(f"{path}.citations", "citations of this kind do not exist at Bedrock")
        if not kept and CITED not in extension.shape:
            return {"text": part.text}
        block: JsonObject = {"citations": kept} if kept else {}
        if (texts := split_texts(part.text, extension.shape.get(CITED))) is not None:
            block["content"] = texts
        return {"citationsContent": merge_back(block, extension)}

    def _media(self, part: Part, extension: Extension, path: str) -> JsonObject | None:
        guard = extension.members.pop(GUARD, None)
        block = write_media(part, extension, self._losses, path, self._names)
        return {GUARD: block} if type(guard) is dict and block is not None else block

    def _tool_use(self, call: ToolCall, path: str) -> JsonObject:
        arguments, wrapped = argument_object(call)
        if wrapped:
            self._losses.altered(f"{path}.tool_call.arguments", "not a JSON object: wrapped into one")
        call_id = call.id if self._answer or self._own else tool_use_id(call.id)
        written = msgspec.Raw("{}") if arguments is None else arguments
        return {"toolUseId": call_id, "name": function_name(call), "input": written}

    def _tool_result(self, result: ToolResult, path: str) -> JsonObject:
        call_id = result.call_id if self._own else tool_use_id(result.call_id)
        content = [
            block
            for index, part in enumerate(result.parts)
            if (block := self._result_part(part, f"{path}.tool_result.parts[{index}]")) is not None
        ]
        written: JsonObject = {"toolUseId": call_id, "content": content}
        if result.HasField("is_error"):
            written["status"] = "error" if result.is_error else "success"
        return written

    def _result_part(self, part: Part, path: str) -> Block | None:
        """Write a part of a result: a text that was JSON as JSON; no sounds, no marks."""
        if part.HasField("cache"):
            self._losses.dropped(f"{path}.cache", "a cache mark cannot stand inside a tool result")
        if part.HasField("text") and JSON_RESULT in Extension(part.extensions, DIALECT).shape:
            return {"json": caller_json(part.text, path)}
        if part.HasField("text") and part.citations:
            self._losses.dropped(f"{path}.citations", "a tool result has no citations")
            return {"text": part.text}
        block = self.write(part, path)
        if isinstance(block, dict) and "audio" in block:
            self._losses.dropped(path, "a tool result cannot hold sound")
            return None
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
            return {"reasoningContent": {REDACTED: encode_base64(data)}}
        signature = own_state(part.state, SIGNATURE) if part.HasField("state") else None
        if signature is None and not self._answer and not self._own:
            self._losses.dropped(path, "reasoning without Bedrock's signature is not sent to Bedrock")
            return None
        inner: JsonObject = {"text": reasoning.text or "\n\n".join(reasoning.summaries)}
        if signature is not None:
            inner["signature"] = signature.decode("utf-8", "replace")
        return {"reasoningContent": {"reasoningText": merge_back(inner, extension)}}
