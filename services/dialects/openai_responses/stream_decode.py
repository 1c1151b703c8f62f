"""Reads a streamed answer.

Each frame gives the events of what it says anew, and a keep-alive where that is nothing. What else it says travels in
the extension of its first event, less what Frames can put back.
"""

from __future__ import annotations

from typing import Any, Final

from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from llmhub.types.v1.stream_pb2 import BlockDelta, CandidateFinish, Finished, KeepAlive, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.failure import error_message
from services.dialects.members import SHAPE, JsonObject, decode_json, json_text
from services.dialects.openai_responses.errors import failure_of, failure_of_response
from services.dialects.openai_responses.finish import read_finish
from services.dialects.openai_responses.frames import (
    CALL,
    DELTAS,
    LIFECYCLE,
    TERMINAL,
    Frames,
    Key,
    place_of,
)
from services.dialects.openai_responses.hot import hot_delta, lone_delta
from services.dialects.openai_responses.stream_items import PART_TEXTS, Items
from services.dialects.openai_responses.usage import framed_usage_text, read_usage
from services.dialects.openai_responses.wire import DIALECT, HOLE
from services.dialects.sse import SseEvent, SseParser
from services.dialects.surrogates import mended
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol

WAIT: Final = json_text({SHAPE: {"wait": 1}})
"""Extension of events whose frame is written with the terminal event that follows them."""
_PADDED: Final = '{"$shape":{"f":{"obfuscation":%s}}}'
_DELTA_KINDS: Final = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning_text",
    "response.reasoning_summary_text.delta": "summary_text",
}
_FINALS: Final = {
    "response.output_text.done": ("text", "output_text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.reasoning_text.done": ("text", "reasoning_text"),
    "response.reasoning_summary_text.done": ("text", "summary_text"),
    "response.function_call_arguments.done": ("arguments", ""),
    "response.custom_tool_call_input.done": ("input", ""),
}
_OBJECTS: Final = {
    "response.output_item.added": "item",
    "response.output_item.done": "item",
    "response.content_part.added": "part",
    "response.content_part.done": "part",
    "response.reasoning_part.added": "part",
    "response.reasoning_part.done": "part",
    "response.reasoning_summary_part.added": "part",
    "response.reasoning_summary_part.done": "part",
    "response.output_text.annotation.added": "annotation",
}


class ResponsesStreamDecoder:
    """Reads one stream; implements services.dialects.codec.StreamDecoder."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self._frames = Frames()
        self._items = Items(self._frames)
        self._sequence = 0
        self._number = -1
        self._started = False
        self._usage: Usage | None = None
        self._failure: LlmhubError | None = None
        self._ended = False
        self._aligned = False
        """The bytes so far end with an event."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete; raise UpstreamProtocol for what is no such stream."""
        events: list[StreamEvent] = []
        if self._aligned and not self._ended and (lone := lone_delta(data)) is not None:
            if self._hot(lone[1], lone[0], events):
                return events
            self._event(SseEvent(lone[0].decode("utf-8", "replace"), lone[1]), events)
            return events
        if data:
            self._aligned = data.endswith(b"\n\n")
        for event in self._parser.feed(data):
            if self._ended:
                break
            self._event(event, events)
        return events

    def _hot(self, payload: bytes, name: bytes, events: list[StreamEvent]) -> bool:
        """Read a delta that says nothing but its text; false for any other frame."""
        frame = hot_delta(payload)
        if frame is None:
            return False
        which, index = frame.place
        block = self._frames.keys.get((frame.output_index, which, index))
        kind = frame.type
        if (
            block is None
            or DELTAS.get(kind) != which
            or name != kind.encode()
            or not self._frames.expects(
                block, kind, frame.sequence_number, frame.item_id, listed=frame.listed
            )
        ):
            return False
        text = frame.delta
        self._frames.said(block, text)
        self._number += 1
        delta = (
            BlockDelta(block=block, arguments=text) if which == CALL else BlockDelta(block=block, text=text)
        )
        event = StreamEvent(sequence=self._sequence, frame=self._number, block_delta=delta)
        self._sequence += 1
        if frame.obfuscation:
            event.extensions[DIALECT] = _PADDED % json_text(frame.obfuscation)
        events.append(event)
        return True

    def close(self) -> list[StreamEvent]:
        """Return the terminal event if there was none: this dialect always says how an answer ended."""
        events: list[StreamEvent] = []
        if not self._ended:
            self._items.stop_all(events)
            if self._failure is None:
                self._failure = self._cut()
            self._finish(events)
            self._emit(events, "")
        return events

    def _event(self, event: SseEvent, events: list[StreamEvent]) -> None:
        try:
            self._read(event, events)
        except RecursionError:
            raise UpstreamProtocol("the provider's stream has a frame that nests too deep") from None

    def _read(self, event: SseEvent, events: list[StreamEvent]) -> None:
        data = event.data
        if data == b"[DONE]":
            # OpenRouter's, behind the terminal event; before it, it ends nothing.
            return
        if not data or data.isspace():
            return
        try:
            frame = decode_json(data)
        except ValueError as error:
            raise UpstreamProtocol(
                f"the provider's stream has a frame that is not valid JSON: {error}"
            ) from None
        if not isinstance(frame, dict):
            raise UpstreamProtocol("the provider's stream has a frame that is not a JSON object")
        frame.pop(SHAPE, None)
        kind = frame.get("type")
        self._frame(frame, kind if isinstance(kind, str) else "", data, event.event, events)

    def _frame(self, frame: JsonObject, kind: str, data: bytes, name: str, events: list[StreamEvent]) -> None:
        found: list[StreamEvent] = []
        if not self._started and kind not in {"error", ""}:
            self._start(frame, found)
        self._items.opened.clear()
        block = None
        if kind in DELTAS:
            block = self._delta(frame, kind, found)
        elif kind in TERMINAL:
            self._terminal(frame, kind, data, found)
        else:
            self._dispatch(frame, kind, found)
        if not found:
            found.append(StreamEvent(keep_alive=KeepAlive()))
        if block is None:
            hints: JsonObject = {"f": _without_whole(self._frames.shrink(frame), found)}
            self._frames.note(frame)
        else:
            if _has_logprobs(found):
                frame["logprobs"] = HOLE
            hints = self._frames.shrink_delta(block, frame)
            self._frames.note_delta(block, frame)
        if self._items.opened:
            hints["opens"] = list(self._items.opened)
        if name != kind:
            hints["e"] = name
        events.extend(self._emit(found, json_text({SHAPE: hints}) if hints else ""))

    def _emit(self, found: list[StreamEvent], extension: str) -> list[StreamEvent]:
        """Give the events of one frame their numbers and the extension."""
        self._number += 1
        sequence = self._sequence
        for event in found:
            event.sequence = sequence
            event.frame = self._number
            sequence += 1
        self._sequence = sequence
        if extension:
            if self._ended and len(found) > 1:
                found[0].extensions[DIALECT] = WAIT
                found[-1].extensions[DIALECT] = extension
            else:
                found[0].extensions[DIALECT] = extension
        return found

    def _start(self, frame: JsonObject, events: list[StreamEvent]) -> None:
        self._started = True
        started = Started()
        response = frame.get("response")
        if isinstance(response, dict):
            for name, field in (("id", "response_id"), ("model", "model")):
                word = response.get(name)
                if isinstance(word, str):
                    setattr(started, field, word)
            created = response.get("created_at")
            if isinstance(created, int | float) and 0 < created < 1 << 37:
                started.created_at.seconds = int(created)
        events.append(StreamEvent(started=started))

    def _delta(self, frame: JsonObject, kind: str, events: list[StreamEvent]) -> int | None:
        key, text = _place(frame, kind), frame.get("delta")
        if key is None or not isinstance(text, str):
            return None
        block = self._items.delta(key, _DELTA_KINDS.get(kind, ""), text, events)
        logprobs = frame.get("logprobs")
        if isinstance(logprobs, list) and logprobs:
            events[-1].block_delta.logprobs_json = json_text({"content": logprobs})
        return block

    def _dispatch(self, frame: JsonObject, kind: str, events: list[StreamEvent]) -> None:
        key = place_of(frame)
        if kind == "error" or (not kind and frame.get("error")):
            self._failure = failure_of(frame)
        elif key is None or kind in LIFECYCLE:
            return
        elif kind in _FINALS:
            member, part_kind = _FINALS[kind]
            text = frame.get(member)
            if isinstance(text, str):
                self._items.final(key, part_kind, text, events)
        elif kind in _OBJECTS:
            value = frame.get(_OBJECTS[kind])
            if isinstance(value, dict):
                self._object(key, kind, value, events)

    def _object(self, key: Key, kind: str, value: JsonObject, events: list[StreamEvent]) -> None:
        """A frame about an item, a part or an annotation."""
        items = self._items
        part_kind = value.get("type")
        match kind:
            case "response.output_item.added":
                items.added(key[0], value, events)
            case "response.output_item.done":
                items.done(key[0], value, events)
            case "response.output_text.annotation.added":
                items.cite(key, value, events)
            case _ if kind.endswith(".done"):
                items.part_done(key, value, events)
            case _ if isinstance(part_kind, str) and part_kind in PART_TEXTS:
                items.part(key, part_kind, events)
            case _:
                pass

    def _terminal(self, frame: JsonObject, kind: str, data: bytes, events: list[StreamEvent]) -> None:
        response: Any = frame.get("response")
        if not isinstance(response, dict):
            raise UpstreamProtocol("the provider's stream ends without a response")
        output = response.get("output")
        if kind != "response.failed":
            for index, item in enumerate(output if isinstance(output, list) else ()):
                if isinstance(item, dict) and not self._items.is_done(index):
                    self._items.done(index, item, events)
        self._items.stop_all(events)
        usage = response.get("usage")
        if isinstance(usage, dict):
            self._usage = read_usage(usage, framed_usage_text(mended(data)), response)
            events.append(StreamEvent(usage=self._usage))
        if kind == "response.failed":
            # An `error` event before it says more than the response does.
            self._failure = self._failure or failure_of_response(response)
        elif self._failure is None:
            status = kind.removeprefix("response.")
            finish = read_finish({"status": status, **response}, self._items.kinds)
            finish = finish or Finish(reason=FinishReason.FINISH_REASON_END, provider_reason=status)
            events.append(StreamEvent(candidate_finish=CandidateFinish(finish=finish)))
        self._finish(events)

    def _finish(self, events: list[StreamEvent]) -> None:
        self._ended = True
        finished = Finished(complete=self._failure is None)
        if self._failure is not None:
            finished.error.CopyFrom(error_message(self._failure))
            if finished.error.HasField("provider"):
                finished.error.provider.events_delivered = self._sequence
        if self._usage is not None:
            finished.usage.CopyFrom(self._usage)
        events.append(StreamEvent(finished=finished))

    def _cut(self) -> LlmhubError:
        if not self._started:
            return UpstreamProtocol("the provider's stream ended before it began")
        return StreamInterrupted(
            "the provider's stream ended before the answer did", events=str(self._sequence)
        )


def _has_logprobs(events: list[StreamEvent]) -> bool:
    """Whether the last event has the frame's log-probabilities."""
    return bool(events) and bool(events[-1].block_delta.logprobs_json)


def _without_whole(small: JsonObject, events: list[StreamEvent]) -> JsonObject:
    """The frame without an item that an event has in one piece."""
    for event in events:
        part = event.block_start.part
        if small.get("type") != "response.output_item.done" or not event.HasField("block_start"):
            continue
        if part.HasField("opaque"):
            small["item"] = HOLE
        elif part.HasField("media") and isinstance(small.get("item"), dict):
            small["item"]["result"] = HOLE
    return small


def _place(frame: JsonObject, kind: str) -> Key | None:
    """Where a delta belongs: servers that count no parts have one."""
    index, which = frame.get("output_index"), DELTAS[kind]
    if type(index) is not int:
        return None
    number = frame.get("summary_index" if which == 1 else "content_index")
    return (index, which, number if type(number) is int and which != 2 else 0)
