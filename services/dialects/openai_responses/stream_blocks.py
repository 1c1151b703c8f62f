"""The blocks of a stream of any other origin as items: begun, continued and ended as the vendor would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from llmhub.types.v1.content_pb2 import Part, ToolKind
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart
from services.dialects.answer_losses import AnswerLosses
from services.dialects.members import Extension, JsonObject
from services.dialects.openai_responses.annotations import write_annotation
from services.dialects.openai_responses.answer_items import (
    call_item,
    carrier,
    content_of,
    image_item,
    message_item,
    reasoning_item,
    shown,
    spoken,
)
from services.dialects.openai_responses.answer_losses import (
    note_citations,
    note_logprobs,
    note_media,
    note_part,
)
from services.dialects.openai_responses.wire import CALLS, DIALECT, made_id
from services.dialects.openai_responses.write_items import logprobs_of

_NOTHING: Final = Extension({}, DIALECT)


class Send(Protocol):
    """Writes one frame."""

    def __call__(self, kind: str, **members: Any) -> None: ...


@dataclass(slots=True)
class _Message:
    """The message that texts go to."""

    index: int
    item_id: str
    content: list[Any] = field(default_factory=list)
    open: int = 0
    parts: int = 0
    behind: bool = False
    """Another item has begun since."""


@dataclass(slots=True)
class _Block:
    """An open block: its part as far as it is known, and where it stands."""

    part: Part
    kind: str
    index: int = -1
    item_id: str = ""
    place: int = 0
    message: _Message | None = None
    texts: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)


class BlockWriter:
    """Writes the items of one stream."""

    def __init__(self, response_id: str, send: Send, losses: AnswerLosses) -> None:
        self._id = response_id
        self._send = send
        self._losses = losses
        self._items: dict[int, JsonObject] = {}
        self._count = 0
        self._message: _Message | None = None
        self._blocks: dict[int, _Block] = {}

    def open(self, start: BlockStart) -> None:
        """Begin a block."""
        note_part(start.part, _path(start.block), self._losses)
        part = Part()
        part.CopyFrom(start.part)
        kind = part.WhichOneof("kind") or "text"
        block = self._blocks[start.block] = _Block(part, kind)
        if kind in {"text", "refusal"}:
            self._open_text(block)
        elif kind == "tool_call":
            self._open_call(block)
        elif kind == "reasoning":
            self._open_reasoning(block)

    def _add(self, block: _Block, prefix: str, item: JsonObject) -> None:
        self._end_message()
        block.index = self._number()
        block.item_id = item["id"] = item.get("id") or made_id(prefix, self._id, block.index)
        self._send("response.output_item.added", output_index=block.index, item=item)

    def _number(self) -> int:
        if self._message is not None:
            self._message.behind = True
        self._count += 1
        return self._count - 1

    def _open_text(self, block: _Block) -> None:
        message = self._message
        if message is None or message.behind:
            self._end_message()
            index = self._number()
            message = self._message = _Message(index, made_id("msg", self._id, index))
            item = message_item([], self._id, index, "in_progress")
            self._send("response.output_item.added", output_index=index, item=item)
        block.message, block.index, block.item_id = message, message.index, message.item_id
        block.place = message.parts
        message.parts += 1
        message.open += 1
        message.content.append(None)
        text = block.part.refusal if block.kind == "refusal" else block.part.text
        empty = Part(refusal="") if block.kind == "refusal" else Part(text="")
        self._send("response.content_part.added", **self._address(block), part=content_of(empty))
        self._say(block, text)

    def _open_call(self, block: _Block) -> None:
        call = block.part.tool_call
        arguments, call.arguments = call.arguments, ""
        custom = call.kind == ToolKind.TOOL_KIND_CUSTOM
        item = call_item(block.part, self._id, self._count, "in_progress")
        self._add(block, "ctc" if custom else "fc", item)
        self._say(block, arguments)

    def _open_reasoning(self, block: _Block) -> None:
        reasoning = block.part.reasoning
        summary = bool(reasoning.summaries)
        text = "\n".join(reasoning.summaries) if summary else reasoning.text
        block.kind = "summary" if summary else "reasoning"
        item: JsonObject = {"type": "reasoning", "id": reasoning.id, "summary": []}
        self._add(block, "rs", item)
        if summary:
            part = {"type": "summary_text", "text": ""}
            self._send("response.reasoning_summary_part.added", **self._address(block), part=part)
        self._say(block, text)

    def _address(self, block: _Block) -> JsonObject:
        address: JsonObject = {"item_id": block.item_id, "output_index": block.index}
        if block.kind == "summary":
            address["summary_index"] = 0
        elif block.kind != "tool_call":
            address["content_index"] = block.place
        return address

    def _say(self, block: _Block, text: str, logprobs: list[Any] | None = None) -> None:
        """Continue a block's text."""
        if not text:
            return
        if block.kind == "reasoning" and not block.texts:
            part = {"type": "reasoning_text", "text": ""}
            self._send("response.content_part.added", **self._address(block), part=part)
        block.texts.append(text)
        members: JsonObject = {"delta": text}
        if block.kind == "text":
            members["logprobs"] = logprobs or []
        self._send(f"response.{self._words(block)}.delta", **self._address(block), **members)

    def _words(self, block: _Block) -> str:
        if block.kind == "tool_call":
            custom = block.part.tool_call.kind == ToolKind.TOOL_KIND_CUSTOM
            return "custom_tool_call_input" if custom else "function_call_arguments"
        return _WORDS[block.kind]

    def go_on(self, delta: BlockDelta) -> None:
        """Continue a block."""
        block = self._blocks.get(delta.block)
        if block is None:
            return
        match delta.WhichOneof("delta"):
            case "text" | "arguments":
                self._say(block, delta.text or delta.arguments, self._logprobs(block, delta))
            case "citation":
                note_citations((delta.citation,), _path(delta.block), self._losses)
                block.part.citations.append(delta.citation)
            case "state":
                block.states.append(delta.state.data)
                if not block.part.HasField("state"):
                    block.part.state.CopyFrom(delta.state)
                    block.part.state.data = b""
            case "data":
                block.data.append(delta.data)
            case "transcript":
                block.texts.append(delta.transcript)
            case _:
                pass

    def _logprobs(self, block: _Block, delta: BlockDelta) -> list[Any]:
        if not delta.logprobs_json:
            return []
        note_logprobs(delta.logprobs_json, "candidates[0]", self._losses)
        found = logprobs_of(delta.logprobs_json)
        block.logprobs.extend(found)
        return found

    def stop(self, number: int) -> None:
        """End a block."""
        block = self._blocks.pop(number, None)
        if block is not None:
            self._close(block, number)

    def _close(self, block: _Block, number: int) -> None:
        part = block.part
        if block.states:
            part.state.data += b"".join(block.states)
        text = "".join(block.texts)
        match block.kind:
            case "text" | "refusal":
                self._close_text(block, text)
            case "tool_call":
                part.tool_call.arguments = text
                item = call_item(part, self._id, block.index)
                name = CALLS[item["type"]]
                self._send(
                    f"response.{self._words(block)}.done", **self._address(block), **_call_end(item, name)
                )
                self._done(block.index, item)
                self._carry(part)
            case "summary" | "reasoning":
                self._close_reasoning(block, text)
            case "media":
                self._close_media(block, text, number)
            case _:
                pass

    def _close_text(self, block: _Block, text: str) -> None:
        part, message = block.part, block.message
        if message is None:
            return
        if block.kind == "text":
            part.text = text
            for number, citation in enumerate(part.citations):
                annotation = write_annotation(citation, len(text))
                if annotation is not None:
                    self._send(
                        "response.output_text.annotation.added",
                        **self._address(block),
                        annotation_index=number,
                        annotation=annotation,
                    )
        else:
            part.refusal = text
        content = content_of(part, _NOTHING, block.logprobs)
        message.content[block.place] = content
        name = "refusal" if block.kind == "refusal" else "text"
        more: JsonObject = {"logprobs": block.logprobs} if name == "text" else {}
        self._send(f"response.{self._words(block)}.done", **self._address(block), **{name: text}, **more)
        self._send("response.content_part.done", **self._address(block), part=content)
        message.open -= 1
        if part.HasField("state") or message.behind:
            self._end_message(message)
            self._carry(part)

    def _close_reasoning(self, block: _Block, text: str) -> None:
        reasoning = block.part.reasoning
        if block.kind == "summary":
            del reasoning.summaries[:]
            reasoning.summaries.append(text)
            ended = {"type": "summary_text", "text": text}
            self._send("response.reasoning_summary_text.done", **self._address(block), text=text)
            self._send("response.reasoning_summary_part.done", **self._address(block), part=ended)
        elif text:
            reasoning.text = text
            ended = {"type": "reasoning_text", "text": text}
            self._send("response.reasoning_text.done", **self._address(block), text=text)
            self._send("response.content_part.done", **self._address(block), part=ended)
        self._done(block.index, reasoning_item(block.part, self._id, block.index))

    def _close_media(self, block: _Block, text: str, number: int) -> None:
        media = block.part.media
        if block.data:
            media.data += b"".join(block.data)
        media.transcript += text
        note_media(block.part, _path(number), self._losses)
        if spoken(block.part):
            said = _Block(Part(text=media.transcript), "text")
            self._open_text(said)
            self._close_text(said, media.transcript)
        elif shown(block.part):
            self._end_message()
            index = self._number()
            item = image_item(media, self._id, index)
            begun = {**item, "status": "in_progress", "result": None}
            self._send("response.output_item.added", output_index=index, item=begun)
            self._done(index, item)

    def _carry(self, part: Part) -> None:
        """State that no other item has a place for."""
        if part.HasField("state"):
            self._end_message()
            index = self._number()
            item = carrier(part.state, self._id, index)
            self._send("response.output_item.added", output_index=index, item=item)
            self._done(index, item)

    def _end_message(self, message: _Message | None = None) -> None:
        """End a message, the one that texts go to if none is named, unless a text of it is open."""
        message = message or self._message
        if message is not None and not message.open:
            if message is self._message:
                self._message = None
            self._done(message.index, message_item(message.content, self._id, message.index))

    def _done(self, index: int, item: JsonObject) -> None:
        self._items[index] = item
        self._send("response.output_item.done", output_index=index, item=item)

    def output(self) -> list[JsonObject]:
        """The items that are complete."""
        return [self._items[index] for index in sorted(self._items)]

    def end(self) -> None:
        """End what is open."""
        for number in list(self._blocks):
            self.stop(number)
        self._end_message()


_WORDS: Final = {
    "text": "output_text",
    "refusal": "refusal",
    "reasoning": "reasoning_text",
    "summary": "reasoning_summary_text",
}


def _path(block: int) -> str:
    return f"candidates[0].parts[{block}]"


def _call_end(item: JsonObject, name: str) -> JsonObject:
    ended: JsonObject = {name: item[name]}
    if name == "arguments":
        ended["name"] = item["name"]
    return ended
