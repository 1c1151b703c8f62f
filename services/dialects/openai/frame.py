"""Fills the skeleton of one stream frame with the values of its events."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmhub.types.v1.stream_pb2 import StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.data_urls import encode_base64
from services.dialects.members import JsonObject, decode_json
from services.dialects.openai.fill import merge_details
from services.dialects.openai.parts import encode_annotation, encode_content_part
from services.dialects.openai.wire import (
    CONTENT_HOLES,
    HOLE,
    JSON_HOLE,
    REASONING_DETAILS,
    REASONING_HOLE,
    TEXT_HOLE,
)

_DELTA_KINDS = {
    "arguments": "arguments",
    "state": "state",
    "citation": "citation",
    "data": "data",
    "transcript": "transcript",
}


class Values:
    """The events of one frame, by candidate and kind, each taken once."""

    __slots__ = ("_logprobs", "_queues", "thoughts", "usage")

    def __init__(self, events: Sequence[StreamEvent], kinds: Mapping[tuple[int, int], str]) -> None:
        self._queues: dict[tuple[int, str], deque[StreamEvent]] = {}
        self._logprobs: dict[int, str] = {}
        self.thoughts: dict[int, StreamEvent] = {}
        self.usage: Usage | None = None
        for event in events:
            match event.WhichOneof("event"):
                case "block_delta":
                    delta = event.block_delta
                    which = delta.WhichOneof("delta") or ""
                    kind = _DELTA_KINDS.get(which) or kinds.get((delta.candidate, delta.block), "text")
                    self._add(delta.candidate, kind, event)
                    if delta.logprobs_json:
                        self._logprobs[delta.candidate] = delta.logprobs_json
                case "block_start":
                    start = event.block_start
                    kind = start.part.WhichOneof("kind") or "text"
                    if kind in {"tool_call", "opaque"} or (kind == "media" and _has_source(event)):
                        self._add(start.candidate, f"start {kind}", event)
                case "candidate_finish":
                    self._add(event.candidate_finish.candidate, "finish", event)
                case "usage":
                    self.usage = event.usage
                case _:
                    pass

    def _add(self, candidate: int, kind: str, event: StreamEvent) -> None:
        self._queues.setdefault((candidate, kind), deque()).append(event)

    def take(self, candidate: int, kind: str) -> StreamEvent | None:
        """The next event of a kind."""
        queue = self._queues.get((candidate, kind))
        return queue.popleft() if queue else None

    def logprobs(self, candidate: int) -> Any:
        """The frame's log-probabilities of a candidate."""
        text = self._logprobs.get(candidate)
        return decode_json(text) if text else None

    def left(self) -> list[StreamEvent]:
        """Events that found no hole, in their order."""
        left = [
            event
            for (_, kind), queue in self._queues.items()
            for event in queue
            if kind not in {"state", "start opaque"}
        ]
        return sorted(left, key=lambda event: event.sequence)


def _has_source(event: StreamEvent) -> bool:
    return event.block_start.part.media.WhichOneof("source") is not None


def fill_choice(choice: Any, values: Values) -> Any:
    """One choice with its holes filled; a hole without a value vanishes."""
    if not isinstance(choice, dict):
        return choice
    filled = dict(choice)
    candidate = choice.get("index") or 0
    delta = choice.get("delta")
    if isinstance(delta, dict):
        filled["delta"] = _fill_delta(delta, candidate, values)
    if filled.get("finish_reason") == HOLE:
        end = values.take(candidate, "finish")
        filled["finish_reason"] = end.candidate_finish.finish.provider_reason if end is not None else None
    if filled.get("logprobs") == HOLE:
        filled["logprobs"] = values.logprobs(candidate)
    return filled


def _fill_delta(delta: JsonObject, candidate: int, values: Values) -> JsonObject:
    filled: JsonObject = {}
    for name, value in delta.items():
        if value == HOLE:
            value = _fill_member(name, candidate, values)
            if value is None:
                continue
        elif isinstance(value, list) and name in _FILL_EACH:
            filler = _FILL_EACH[name]
            entries = [filler(each, candidate, values) for each in value]
            if value and all(entry is None for entry in entries):
                continue
            value = [entry for entry in entries if entry is not None]
        elif isinstance(value, dict) and name == "function_call":
            value = _fill_function(value, None, candidate, values)
        elif isinstance(value, dict) and name == "audio":
            value = _fill_audio(value, candidate, values)
        filled[name] = value
    return filled


def _fill_member(name: str, candidate: int, values: Values) -> Any:
    if name == REASONING_DETAILS:
        state = values.take(candidate, "state")
        return merge_details([state.block_delta.state.data]) if state is not None else None
    if name in {"content", "refusal"}:
        event = values.take(candidate, "text" if name == "content" else name)
    else:
        # The same text may stand under two names.
        event = values.thoughts.get(candidate) or values.take(candidate, "reasoning")
        if event is not None:
            values.thoughts[candidate] = event
    return event.block_delta.text if event is not None else None


def _fill_element(element: Any, candidate: int, values: Values) -> Any:
    if element == TEXT_HOLE:
        event = values.take(candidate, "text")
        return {"type": "text", "text": event.block_delta.text if event is not None else ""}
    if isinstance(element, str) and element in CONTENT_HOLES:
        kind = "start opaque" if element == "\0opaque" else "start media"
        event = values.take(candidate, kind)
        return encode_content_part(event.block_start.part) if event is not None else None
    chunks = element.get("thinking") if isinstance(element, dict) else None
    first = chunks[0] if isinstance(chunks, list) and chunks else None
    if isinstance(first, dict) and first.get("text") == REASONING_HOLE:
        event = values.take(candidate, "reasoning")
        text = event.block_delta.text if event is not None else ""
        return {**element, "thinking": [{**first, "text": text}]}
    return element


def _fill_call(call: Any, candidate: int, values: Values) -> Any:
    if not isinstance(call, dict):
        return call
    filled = dict(call)
    kind = "custom" if isinstance(call.get("custom"), dict) else "function"
    function = call.get(kind)
    start = None
    if call.get("id") == HOLE or (isinstance(function, dict) and function.get("name") == HOLE):
        start = values.take(candidate, "start tool_call")
        if start is None:
            return None
        if call.get("id") == HOLE:
            filled["id"] = start.block_start.part.tool_call.id
    if isinstance(function, dict):
        filled[kind] = _fill_function(function, start, candidate, values)
    return filled


def _fill_function(
    function: JsonObject, start: StreamEvent | None, candidate: int, values: Values
) -> JsonObject:
    filled = dict(function)
    if function.get("name") == HOLE:
        start = start or values.take(candidate, "start tool_call")
        filled["name"] = start.block_start.part.tool_call.name if start is not None else ""
    for member in ("arguments", "input"):
        hole = function.get(member)
        if isinstance(hole, str) and hole in {HOLE, JSON_HOLE}:
            event = values.take(candidate, "arguments")
            text = event.block_delta.arguments if event is not None else ""
            filled[member] = decode_json(text) if hole == JSON_HOLE and text else text
    return filled


def _fill_annotation(annotation: Any, candidate: int, values: Values) -> Any:
    if annotation != HOLE:
        return annotation
    event = values.take(candidate, "citation")
    return encode_annotation(event.block_delta.citation) if event is not None else None


def _fill_audio(audio: JsonObject, candidate: int, values: Values) -> JsonObject:
    filled = dict(audio)
    if audio.get("data") == HOLE:
        event = values.take(candidate, "data")
        filled["data"] = encode_base64(event.block_delta.data) if event is not None else ""
    if audio.get("transcript") == HOLE:
        event = values.take(candidate, "transcript")
        filled["transcript"] = event.block_delta.transcript if event is not None else ""
    return filled


_FILL_EACH: Final = {"content": _fill_element, "tool_calls": _fill_call, "annotations": _fill_annotation}
