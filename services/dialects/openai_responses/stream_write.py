"""Writes a stream of any other origin as the vendor would: each item, part and text begun, continued and ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Part, ToolKind
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import DecodedRequest
from services.dialects.failure import message_error
from services.dialects.members import Extension, JsonObject, decode_json, encode_json
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
from services.dialects.openai_responses.echo import echoed
from services.dialects.openai_responses.errors import error_object
from services.dialects.openai_responses.response import bare_response, close_response
from services.dialects.openai_responses.wire import CALLS, DIALECT, made_id, response_id_of
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError, StreamInterrupted

_KEEP_ALIVE: Final = b": keep-alive\n\n"
_NOTHING: Final = Extension({}, DIALECT)


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


class StreamWriter:
    """Writes one stream."""

    def __init__(self, request: DecodedRequest) -> None:
        self._request = request
        self._response: JsonObject = {}
        self._id = ""
        self._sequence = 0
        self._items: dict[int, JsonObject] = {}
        self._count = 0
        self._message: _Message | None = None
        self._blocks: dict[int, _Block] = {}
        self._candidate = Candidate()
        self._usage: Usage | None = None
        self._written: list[bytes] = []

    def write(self, events: Sequence[StreamEvent], written: list[bytes]) -> None:
        """Add the bytes for these events."""
        self._written = written
        for event in events:
            self._event(event)

    def fail(self, finished: Finished, written: list[bytes], sequence: int | None = None) -> None:
        """Say that the answer broke off: first as the vendor's SDKs raise it, then with what there is."""
        self._written = written
        if sequence is not None:
            self._sequence = sequence
        error: LlmhubError = (
            message_error(finished.error)
            if finished.HasField("error")
            else StreamInterrupted("the answer broke off")
        )
        told = error_object(error)
        self._send("error", error=told, code=told["code"], message=told["message"], param=told["param"])
        if self._response:
            failed = {"code": told["code"], "message": told["message"]}
            self._response |= {"status": "failed", "error": failed, "output": self._output()}
            self._send("response.failed", response=self._response)

    def _event(self, event: StreamEvent) -> None:
        match event.WhichOneof("event"):
            case "started":
                self._start(event.started)
            case "block_start" if event.block_start.candidate == 0:
                self._open(event.block_start)
            case "block_delta" if event.block_delta.candidate == 0:
                self._continue(event.block_delta)
            case "block_stop" if event.block_stop.candidate == 0:
                block = self._blocks.pop(event.block_stop.block, None)
                if block is not None:
                    self._close(block)
            case "candidate_finish" if event.candidate_finish.candidate == 0:
                self._candidate.finish.CopyFrom(event.candidate_finish.finish)
            case "usage":
                self._usage = event.usage
            case "keep_alive":
                self._written.append(_KEEP_ALIVE)
            case "finished":
                self._finish(event.finished)
            case _:
                pass

    def _send(self, kind: str, **members: Any) -> None:
        frame = {"type": kind, "sequence_number": self._sequence, **members}
        self._sequence += 1
        self._written.append(encode_event(encode_json(frame), kind))

    def _start(self, started: Started) -> None:
        self._id = response_id_of(started.response_id, self._request.request.request_id)
        self._response = bare_response(
            self._id, started.model, started.created_at.seconds, echoed(self._request.request)
        )
        self._send("response.created", response=self._response)
        self._send("response.in_progress", response=self._response)

    def _open(self, start: BlockStart) -> None:
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

    def _continue(self, delta: BlockDelta) -> None:
        block = self._blocks.get(delta.block)
        if block is None:
            return
        match delta.WhichOneof("delta"):
            case "text" | "arguments":
                self._say(block, delta.text or delta.arguments, self._logprobs(block, delta))
            case "citation":
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
        try:
            value = decode_json(delta.logprobs_json)
        except ValueError:
            return []
        found = value.get("content") if isinstance(value, dict) else None
        if not isinstance(found, list):
            return []
        block.logprobs.extend(found)
        return found

    def _close(self, block: _Block) -> None:
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
                self._close_media(block, text)
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
        if part.HasField("state") or (message.behind and not message.open):
            self._end_message()
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

    def _close_media(self, block: _Block, text: str) -> None:
        media = block.part.media
        if block.data:
            media.data += b"".join(block.data)
        media.transcript += text
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

    def _end_message(self) -> None:
        """End the message, unless a text of it is open."""
        message = self._message
        if message is not None and not message.open:
            self._message = None
            self._done(message.index, message_item(message.content, self._id, message.index))

    def _done(self, index: int, item: JsonObject) -> None:
        self._items[index] = item
        self._send("response.output_item.done", output_index=index, item=item)

    def _output(self) -> list[JsonObject]:
        return [self._items[index] for index in sorted(self._items)]

    def _finish(self, finished: Finished) -> None:
        if not finished.complete:
            self.fail(finished, self._written)
            return
        for number in list(self._blocks):
            self._close(self._blocks.pop(number))
        self._end_message()
        usage = finished.usage if finished.HasField("usage") else self._usage
        self._response["output"] = self._output()
        close_response(self._response, self._candidate, usage)
        self._send(f"response.{self._response['status']}", response=self._response)


_WORDS: Final = {
    "text": "output_text",
    "refusal": "refusal",
    "reasoning": "reasoning_text",
    "summary": "reasoning_summary_text",
}


def _call_end(item: JsonObject, name: str) -> JsonObject:
    ended: JsonObject = {name: item[name]}
    if name == "arguments":
        ended["name"] = item["name"]
    return ended
