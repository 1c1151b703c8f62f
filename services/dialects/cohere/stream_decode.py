"""A chat stream to events.

Members of a frame that the contract does not model travel in the extension of the frame's event; frames without an
event of their own (citation-end, content-end of a text, debug) become keep-alives that carry the frame.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import Part, ToolKind
from llmhub.types.v1.generation_pb2 import WARNING_KIND_DROPPED
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.cohere.citations import read_citation
from services.dialects.cohere.errors import decode_error, error_in_answer
from services.dialects.cohere.frames import (
    CallDelta,
    ContentDelta,
    HotDelta,
    PlanDelta,
    hot_delta,
    lone_delta,
)
from services.dialects.cohere.parts import read_call
from services.dialects.cohere.response import read_finish
from services.dialects.cohere.stream_log import Block, EventLog, left
from services.dialects.cohere.usage import read_usage
from services.dialects.cohere.wire import DIALECT, PLAN
from services.dialects.failure import error_message
from services.dialects.members import JsonObject, Members, decode_json, encode_json, json_text
from services.dialects.raw_json import is_object, object_keeping, raw_text
from services.dialects.sse import SseEvent, SseParser
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol

_KINDS: Final = {"text": "text", "thinking": "reasoning"}


class CohereStreamDecoder:
    """Reads one stream; implements services.dialects.codec.StreamDecoder."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self._log = EventLog()
        self._aligned = False
        """What was fed so far ended with an event, so the next one begins with what is fed next."""
        self._contents: dict[int, Block] = {}
        self._calls: dict[int, Block] = {}
        self._plan: Block | None = None
        self._text: Block | None = None
        self._started = self._finished = self._ended = False
        self._response_id = ""
        self._usage: Usage | None = None
        self._failure: LlmhubError | None = None
        self._warnings: list[LossWarning] = []

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete; raise UpstreamProtocol for what is no such stream."""
        if self._aligned and not self._ended and (payload := lone_delta(data)) is not None:
            hot = hot_delta(payload)
            if hot is not None:
                self._log.frame += 1
                self._hot(hot)
                return self._log.take()
        for event in self._parser.feed(data):
            if self._ended:
                break
            self._event(event)
        if data:
            self._aligned = self._started and data.endswith(b"\n\n")
        return self._log.take()

    def close(self) -> list[StreamEvent]:
        """Return the terminal event if there was none: complete if message-end came."""
        if not self._ended:
            self._log.frame += 1
            self._end().extensions[DIALECT] = '{"$shape":{"undone":1}}'
        return self._log.take()

    def _event(self, event: SseEvent) -> None:
        data = event.data
        if not data or data.isspace():
            return
        self._log.frame += 1
        if data == b"[DONE]":
            self._end()
            return
        hot = hot_delta(data) if self._started and event.event.endswith("-delta") else None
        if hot is not None:
            self._hot(hot)
            return
        try:
            value = object_keeping(data, "delta")
        except ValueError as error:
            raise UpstreamProtocol(f"the provider's stream has a frame that is no object: {error}") from None
        kind = value.pop("type", None)
        frame = Members(value)
        if event.event != kind:
            frame.hint("event", event.event)
        try:
            self._read(kind, frame, data)
        except ValueError as error:
            raise UpstreamProtocol(f"the provider's stream has a broken frame: {error}") from None

    def _read(self, kind: object, frame: Members, data: bytes) -> None:
        if kind is None:
            self._failure = error_in_answer(decode_json(data))
            if self._failure is None:
                self._log.keep(data)
            else:
                self._end()
            return
        raw = frame.rest.get("delta")
        if kind == "message-end":
            self._message_end(frame, object_keeping(raw, "usage") if is_object(raw) else {})  # type: ignore[arg-type]
            return
        found = decode_json(raw) if type(raw) is msgspec.Raw else None
        if "delta" in frame.rest:
            frame.rest["delta"] = found
        delta: JsonObject = found if isinstance(found, dict) else {}
        message = delta.get("message")
        inner = Members(message if isinstance(message, dict) else {})
        if kind == "message-start":
            self._message_start(frame)
            return
        if not self._started:
            raise UpstreamProtocol("the provider's stream has a frame before its start")
        if not self._block_event(kind, frame, inner, delta):
            self._log.keep(data)

    def _block_event(self, kind: object, frame: Members, inner: Members, delta: JsonObject) -> bool:
        """Read a frame about a block; false if it is none."""
        index = frame.integer("index", 31) or 0
        match kind:
            case "content-start":
                self._content_start(index, frame, inner, delta)
            case "content-delta":
                self._content_delta(index, frame, inner, delta)
            case "content-end":
                return self._content_end(index, frame)
            case "tool-plan-delta":
                self._plan_delta(inner.text("tool_plan") or "", left(frame, inner, delta))
            case "tool-call-start":
                self._call_start(index, frame, inner, delta)
            case "tool-call-delta":
                self._call_delta(index, frame, inner, delta)
            case "tool-call-end":
                self._call_end(index, frame)
            case "citation-start":
                return self._citation(index, frame, inner, delta)
            case _:
                return False
        return True

    def _message_start(self, frame: Members) -> None:
        if self._started:
            raise UpstreamProtocol("the provider's stream starts twice")
        self._started = True
        self._response_id = frame.word("id") or ""
        event = self._log.emit(started=Started(response_id=self._response_id))
        event.extensions[DIALECT] = frame.extension() or "{}"

    def _content_start(self, index: int, frame: Members, inner: Members, delta: JsonObject) -> None:
        content = inner.mapping("content") or {}
        word = content.pop("type", None)
        kind = _KINDS.get(word) if isinstance(word, str) else None
        if kind is None:
            raise UpstreamProtocol("the provider's stream has content of an unknown type")
        said = content.pop(word, None)
        if content:
            inner.rest["content"] = content
        if index != len(self._contents):
            frame.hint("index", index)
        if not isinstance(said, str):
            frame.hint("mute")
        left(frame, inner, delta)
        self._open_content(index, kind, said if isinstance(said, str) else "", frame)

    def _open_content(self, index: int, kind: str, said: str, frame: Members) -> Block:
        self._close_open()
        part = Part()
        if kind == "text":
            part.text = said
        else:
            part.reasoning.text = said
            part.reasoning.SetInParent()
            part.extensions[DIALECT] = "{}"
        block = self._log.block(kind)
        if kind == "text":
            self._text = block
        self._contents[index] = block
        self._log.emit(frame, block_start=BlockStart(block=block.number, part=part))
        return block

    def _content_delta(self, index: int, frame: Members, inner: Members, delta: JsonObject) -> None:
        content = inner.mapping("content") or {}
        word = "thinking" if isinstance(content.get("thinking"), str) else "text"
        said = content.pop(word, None)
        if content:
            inner.rest["content"] = content
        event = BlockDelta(text=said if isinstance(said, str) else "")
        item = frame.mapping("logprobs")
        if item is not None:
            event.logprobs_json = json_text({"logprobs": [item]})
        if not isinstance(said, str):
            frame.hint("mute")
        left(frame, inner, delta)
        self._content(index, word, event, frame)

    def _content(self, index: int, word: str, event: BlockDelta, frame: Members | None) -> None:
        block = self._contents.get(index)
        if block is None:
            # Some send no content-start.
            silent = Members({})
            silent.hint("silent")
            if index != len(self._contents):
                silent.hint("index", index)
            block = self._open_content(index, _KINDS[word], "", silent)
        if not block.open or (block.kind != _KINDS[word] and event.text):
            raise UpstreamProtocol("the provider's stream has a delta that its block cannot take")
        event.block = block.number
        self._log.emit(frame, block_delta=event)

    def _content_end(self, index: int, frame: Members) -> bool:
        """End a block; a text stays open for citations, until something else begins."""
        block = self._contents.get(index)
        if block is None or not block.open or block is self._text:
            return False
        self._log.stop(block, frame)
        return True

    def _plan_delta(self, text: str, frame: Members | None) -> None:
        if self._plan is None:
            self._close_open()
            self._plan = self._log.block("reasoning")
            part = Part()
            part.reasoning.SetInParent()
            hints = Members({})
            hints.hint(PLAN)
            hints.save(part.extensions, DIALECT)
            self._log.emit(block_start=BlockStart(block=self._plan.number, part=part))
        if not self._plan.open:
            raise UpstreamProtocol("the provider's stream has a plan after the plan")
        self._log.emit(frame, block_delta=BlockDelta(block=self._plan.number, text=text))

    def _call_start(self, index: int, frame: Members, inner: Members, delta: JsonObject) -> None:
        value = inner.mapping("tool_calls")
        if value is None or index in self._calls:
            raise UpstreamProtocol("the provider's stream has the start of a call that cannot start")
        left(frame, inner, delta)
        if index != len(self._calls):
            frame.hint("index", index)
        part = Part()
        read_call(value, part, f"call_{self._response_id}_{index}")
        self._close_open()
        block = self._calls[index] = self._log.block("tool_call")
        block.custom = part.tool_call.kind == ToolKind.TOOL_KIND_CUSTOM
        if block.custom:
            block.arguments.append(part.tool_call.arguments)
            part.tool_call.arguments = ""
        self._log.emit(frame, block_start=BlockStart(block=block.number, part=part))

    def _call_delta(self, index: int, frame: Members, inner: Members, delta: JsonObject) -> None:
        value = inner.mapping("tool_calls") or {}
        function = value.get("function")
        arguments = function.pop("arguments", None) if isinstance(function, dict) else None
        if isinstance(function, dict) and not function:
            del value["function"]
        if value:
            inner.rest["tool_calls"] = value
        if not isinstance(arguments, str):
            frame.hint("mute")
        self._arguments(index, arguments if isinstance(arguments, str) else "", left(frame, inner, delta))

    def _arguments(self, index: int, arguments: str, frame: Members | None) -> None:
        block = self._calls.get(index)
        if block is None or not block.open:
            raise UpstreamProtocol("the provider's stream has arguments of no open call")
        if block.custom:
            # The text inside is known only when all of it is there.
            block.arguments.append(arguments)
        else:
            event = self._log.delta(block)
            event.block_delta.arguments = arguments
            if frame is not None:
                frame.save(event.extensions, DIALECT)

    def _call_end(self, index: int, frame: Members) -> None:
        block = self._calls.get(index)
        if block is None or not block.open:
            raise UpstreamProtocol("the provider's stream has the end of no open call")
        self._log.stop(block, frame)

    def _citation(self, index: int, frame: Members, inner: Members, delta: JsonObject) -> bool:
        value = inner.rest.get("citations")
        block = self._cited(value) if isinstance(value, dict) else None
        if block is None or not block.open:
            message = "a citation came after its text had ended"
            self._warnings.append(
                LossWarning(kind=WARNING_KIND_DROPPED, field="candidates[0].citations", message=message)
            )
            return False
        event = BlockDelta(block=block.number)
        read_citation(inner.rest.pop("citations"), event.citation)
        left(frame, inner, delta).hint("n", index)
        self._log.emit(frame, block_delta=event)
        return True

    def _cited(self, value: JsonObject) -> Block | None:
        if value.get("type") == "PLAN":
            return self._plan
        index = value.get("content_index")
        if type(index) is int:
            return self._contents.get(index)
        kind = "reasoning" if value.get("type") not in ("TEXT_CONTENT", None) else "text"
        return next((each for each in self._contents.values() if each.kind == kind), None)

    def _message_end(self, frame: Members, delta: JsonObject) -> None:
        if not self._started or self._finished:
            raise UpstreamProtocol("the provider's stream has an end that cannot be")
        self._finished = True
        usage = delta.pop("usage", None)
        inner = Members(delta)
        failed = inner.word("error")
        word = inner.word("finish_reason")
        if usage is not None and not is_object(usage):
            delta["usage"] = decode_json(usage)
        frame.rest.pop("delta", None)
        if delta:
            frame.rest["delta"] = delta
        for block in (self._plan, *self._contents.values(), *self._calls.values()):
            if block is not None and block.open:
                self._log.stop(block, None)
        if word is None:
            frame.hint("endless")
        finish = CandidateFinish()
        if word is not None:
            finish.finish.CopyFrom(read_finish(word))
        self._log.emit(frame, candidate_finish=finish)
        if usage is not None and is_object(usage):
            self._usage = read_usage(decode_json(usage), raw_text(usage))
            self._log.emit(usage=self._usage)
        if failed is not None:
            self._failure = decode_error(0, {}, encode_json({"message": failed}))

    def _end(self) -> StreamEvent:
        self._ended = True
        finished = Finished(complete=self._finished and self._failure is None, warnings=self._warnings)
        if self._usage is not None:
            finished.usage.CopyFrom(self._usage)
        if not finished.complete:
            finished.error.CopyFrom(error_message(self._failure or self._cut()))
            finished.error.provider.events_delivered = self._log.sequence
        return self._log.emit(finished=finished)

    def _cut(self) -> LlmhubError:
        if not self._started:
            return UpstreamProtocol("the provider's stream ended before it began")
        return StreamInterrupted(
            "the provider's stream ended before its last event", events=str(self._log.sequence)
        )

    def _hot(self, frame: HotDelta) -> None:
        match frame:
            case ContentDelta():
                said = frame.delta.message.content
                word = "text" if said.text is not None else "thinking"
                block = self._contents.get(frame.index)
                if block is None or not block.open or block.kind != _KINDS[word]:
                    self._content(frame.index, word, BlockDelta(text=said.text or said.thinking or ""), None)
                else:
                    self._log.text(block, said.text or said.thinking or "")
            case CallDelta():
                self._arguments(frame.index, frame.delta.message.tool_calls.function.arguments, None)
            case PlanDelta() if self._plan is not None and self._plan.open:
                self._log.text(self._plan, frame.delta.message.tool_plan)
            case PlanDelta():
                self._plan_delta(frame.delta.message.tool_plan, None)

    def _close_open(self) -> None:
        """Stop the text and the plan that were left open when something else begins."""
        for block in (self._text, self._plan):
            if block is not None and block.open:
                self._log.stop(block, None)
        self._text = None
