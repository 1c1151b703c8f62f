"""The blocks of one streamed candidate: opened, continued and closed as its deltas come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Citation, MediaKind, OpaqueState, Part, ToolKind
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, BlockStop, StreamEvent
from services.dialects.data_urls import decode_base64
from services.dialects.members import JsonObject, json_text
from services.dialects.openai.parts import decode_annotation, decode_content_part, thinking_text
from services.dialects.openai.wire import (
    DIALECT,
    HOLE,
    JSON_HOLE,
    REASONING_DETAILS,
    REASONING_HOLE,
    REASONING_MEMBERS,
    TEXT_HOLE,
)
from services.runtime.errors import UpstreamProtocol

_MOST_BLOCKS: Final = 65_536


class Blocks:
    """The state of one candidate. `take` leaves holes in the delta where it found typed values."""

    __slots__ = (
        "_audio",
        "_call_prefix",
        "_called",
        "_calls",
        "_kind",
        "_last_call",
        "_next",
        "_open",
        "_refused",
        "candidate",
        "finished",
    )

    def __init__(self, candidate: int, call_prefix: str) -> None:
        self.candidate = candidate
        self.finished = False
        self._call_prefix = call_prefix
        self._next = 0
        self._kind = ""
        """Kind of the open running block: text, reasoning or refusal."""
        self._open = -1
        self._audio = -1
        self._calls: dict[int, tuple[int, str]] = {}
        """Open calls by the provider's index: block and id."""
        self._last_call = -1
        self._called = False
        self._refused = False

    def take(self, delta: JsonObject, events: list[StreamEvent]) -> None:
        """Turn a delta into events."""
        content = delta.get("content")
        thought = ""
        for name in REASONING_MEMBERS:
            text = delta.get(name)
            if isinstance(text, str) and text and (not thought or text == thought):
                if not thought:
                    self._text("reasoning", text, events)
                thought = text
                delta[name] = HOLE
        details = delta.get(REASONING_DETAILS)
        if isinstance(details, list) and details:
            self._details(details, delta, events)
        if isinstance(content, str):
            if content:
                self._text("text", content, events)
                delta["content"] = HOLE
        elif isinstance(content, list):
            self._list(content, events)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._text("refusal", refusal, events)
            self._refused = True
            delta["refusal"] = HOLE
        if len(delta) > 1 or "content" not in delta:
            self._take_rest(delta, events)

    def _take_rest(self, delta: JsonObject, events: list[StreamEvent]) -> None:
        annotations = delta.get("annotations")
        if isinstance(annotations, list) and annotations and all(isinstance(a, dict) for a in annotations):
            self._citations(annotations, events)
            delta["annotations"] = [HOLE] * len(annotations)
        audio = delta.get("audio")
        if isinstance(audio, dict):
            self._sound(audio, events)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for call in calls:
                if isinstance(call, dict):
                    self._call(call, events)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._function_call(legacy, events)

    def stop_all(self, events: list[StreamEvent]) -> None:
        """Close every open block."""
        self._stop(events)
        if self._audio >= 0:
            self._stop_block(self._audio, events)
            self._audio = -1
        for block, _ in self._calls.values():
            self._stop_block(block, events)
        self._calls.clear()

    def natural_end(self) -> FinishReason.ValueType:
        """Why an answer ended whose provider does not say."""
        return FinishReason.FINISH_REASON_TOOL_CALL if self._called else FinishReason.FINISH_REASON_END

    def refusal_parts(self) -> Iterable[Part]:
        """A refusal, if there was one."""
        return (Part(refusal="refused"),) if self._refused else ()

    def _start(self, part: Part, events: list[StreamEvent]) -> int:
        block = self._next
        if block >= _MOST_BLOCKS:
            raise UpstreamProtocol("the provider's stream has too many blocks")
        self._next += 1
        start = BlockStart(candidate=self.candidate, block=block, part=part)
        events.append(StreamEvent(block_start=start))
        return block

    def _stop(self, events: list[StreamEvent]) -> None:
        if self._open >= 0:
            self._stop_block(self._open, events)
            self._open = -1
            self._kind = ""

    def _stop_block(self, block: int, events: list[StreamEvent]) -> None:
        events.append(StreamEvent(block_stop=BlockStop(candidate=self.candidate, block=block)))

    def _running(self, kind: str, events: list[StreamEvent]) -> int:
        """The open block of a kind, opened if it is not."""
        if self._kind != kind:
            self._stop(events)
            part = Part()
            if kind == "reasoning":
                part.reasoning.SetInParent()
            elif kind == "refusal":
                part.refusal = ""
            else:
                part.text = ""
            self._open = self._start(part, events)
            self._kind = kind
        return self._open

    def _text(self, kind: str, text: str, events: list[StreamEvent]) -> None:
        block = self._open if self._kind == kind else self._running(kind, events)
        events.append(StreamEvent(block_delta=BlockDelta(candidate=self.candidate, block=block, text=text)))

    def _delta(self, block: int, events: list[StreamEvent], **delta: Any) -> None:
        events.append(StreamEvent(block_delta=BlockDelta(candidate=self.candidate, block=block, **delta)))

    def _details(self, details: list[Any], delta: JsonObject, events: list[StreamEvent]) -> None:
        state = OpaqueState(data=json_text(details).encode() + b"\n", dialect=DIALECT, kind=REASONING_DETAILS)
        self._delta(self._running("reasoning", events), events, state=state)
        delta[REASONING_DETAILS] = HOLE

    def _list(self, content: list[Any], events: list[StreamEvent]) -> None:
        """Elements of a content list (Mistral): text and thinking continue blocks, others are blocks."""
        for number, element in enumerate(content):
            if not isinstance(element, dict):
                continue
            text = element.get("text")
            thought = thinking_text(element)
            if element.get("type") == "text" and isinstance(text, str) and len(element) == 2:
                if text:
                    self._text("text", text, events)
                    content[number] = TEXT_HOLE
            elif element.get("type") == "thinking" and thought:
                self._text("reasoning", thought, events)
                element["thinking"][0]["text"] = REASONING_HOLE
            elif element.get("type") != "thinking":
                self._stop(events)
                part = Part()
                content[number] = decode_content_part(element, part)
                self._stop_block(self._start(part, events), events)

    def _citations(self, annotations: list[JsonObject], events: list[StreamEvent]) -> None:
        block = self._running("text", events)
        for annotation in annotations:
            citation = Citation()
            decode_annotation(annotation, citation)
            self._delta(block, events, citation=citation)

    def _sound(self, audio: JsonObject, events: list[StreamEvent]) -> None:
        text, transcript = audio.get("data"), audio.get("transcript")
        data = decode_base64(text) if isinstance(text, str) and text else None
        spoken = isinstance(transcript, str) and bool(transcript)
        if data is None and not spoken:
            return
        if self._audio < 0:
            self._stop(events)
            part = Part()
            part.media.kind = MediaKind.MEDIA_KIND_AUDIO
            self._audio = self._start(part, events)
        if data is not None:
            self._delta(self._audio, events, data=data)
            audio["data"] = HOLE
        if spoken:
            self._delta(self._audio, events, transcript=transcript)
            audio["transcript"] = HOLE

    def _call(self, call: JsonObject, events: list[StreamEvent]) -> None:
        index = call.get("index")
        call_id = call.get("id")
        if type(index) is not int:
            # Mistral gives whole calls without an index; without an id either, it goes on with the last one.
            index = self._last_call if call_id is None and self._calls else -2 - self._next
        self._last_call = index
        self._called = True
        kind = "custom" if isinstance(call.get("custom"), dict) else "function"
        function = call.get(kind)
        if not isinstance(function, dict):
            return
        known = self._calls.get(index)
        name = function.get("name")
        fresh = isinstance(call_id, str) and bool(call_id) and known is not None and call_id != known[1]
        if known is None or (fresh and isinstance(name, str) and bool(name)):
            part = Part()
            part.tool_call.kind = (
                ToolKind.TOOL_KIND_CUSTOM if kind == "custom" else ToolKind.TOOL_KIND_FUNCTION
            )
            if isinstance(call_id, str) and call_id:
                part.tool_call.id = call_id
                call["id"] = HOLE
            else:
                part.tool_call.id = f"{self._call_prefix}{self._next}"
                part.tool_call.id_generated = True
            if isinstance(name, str) and name:
                part.tool_call.name = name
                function["name"] = HOLE
            self._stop(events)
            if known is not None:
                self._stop_block(known[0], events)
            known = self._calls[index] = (self._start(part, events), part.tool_call.id)
        self._arguments(known[0], function, "input" if kind == "custom" else "arguments", events)

    def _function_call(self, function: JsonObject, events: list[StreamEvent]) -> None:
        known = self._calls.get(-1)
        self._called = True
        if known is None:
            part = Part()
            part.extensions[DIALECT] = '{"$shape":{"legacy":1}}'
            part.tool_call.kind = ToolKind.TOOL_KIND_FUNCTION
            part.tool_call.id = f"{self._call_prefix}f"
            part.tool_call.id_generated = True
            name = function.get("name")
            if isinstance(name, str) and name:
                part.tool_call.name = name
                function["name"] = HOLE
            self._stop(events)
            known = self._calls[-1] = (self._start(part, events), part.tool_call.id)
        self._arguments(known[0], function, "arguments", events)

    def _arguments(self, block: int, function: JsonObject, member: str, events: list[StreamEvent]) -> None:
        text = function.get(member)
        if isinstance(text, str) and text:
            self._delta(block, events, arguments=text)
            function[member] = HOLE
        elif isinstance(text, dict):
            self._delta(block, events, arguments=json_text(text))
            function[member] = JSON_HOLE
