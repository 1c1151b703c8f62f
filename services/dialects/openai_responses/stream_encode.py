"""Writes a streamed answer: frames of this dialect as they were, events of any origin as the vendor would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmhub.types.v1.content_pb2 import OpaqueState
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import DecodedRequest
from services.dialects.data_urls import encode_base64
from services.dialects.members import Extension, JsonObject, decode_json, encode_json
from services.dialects.openai_responses.frames import DELTAS, Frames, Key
from services.dialects.openai_responses.state import is_own, write_state
from services.dialects.openai_responses.stream_write import StreamWriter
from services.dialects.openai_responses.wire import DIALECT, HOLE
from services.dialects.sse import encode_event
from services.runtime.errors import UpstreamProtocol


class ResponsesStreamEncoder:
    """Writes one stream; implements services.dialects.codec.StreamEncoder."""

    def __init__(self, request: DecodedRequest) -> None:
        self._writer = StreamWriter(request)
        self._frames = Frames()
        self._native = False
        self._waiting: list[StreamEvent] = []
        self._last = -1
        self._sequence = -1
        self._failed = False

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; a frame's events should come in one call."""
        try:
            return self._encode(events)
        except RecursionError:
            raise UpstreamProtocol("the provider's stream has a frame that nests too deep") from None

    def _encode(self, events: Sequence[StreamEvent]) -> bytes:
        written: list[bytes] = []
        position, count = 0, len(events)
        while position < count:
            frame = events[position].frame
            end = position + 1
            while end < count and events[end].frame == frame:
                end += 1
            self._group(events[position:end], frame, written)
            position = end
        return b"".join(written)

    def _group(self, events: Sequence[StreamEvent], frame: int, written: list[bytes]) -> None:
        told = next((event for event in reversed(events) if DIALECT in event.extensions), None)
        self._native = self._native or told is not None
        if not self._native:
            self._writer.write(events, written)
            return
        hints: JsonObject = Extension(told.extensions, DIALECT).shape if told is not None else {}
        if "wait" in hints or (told is None and frame == self._last):
            self._absorb(events, hints)
        elif "f" in hints or any(event.HasField("block_delta") for event in events):
            self._absorb(events, hints)
            written.append(self._restored(events, hints))
        self._last = frame
        finished = events[-1].finished if events[-1].HasField("finished") else None
        if finished is not None and not finished.complete and not self._failed:
            self._failed = True
            self._writer.fail(finished, written, self._sequence + 1)

    def _absorb(self, events: Sequence[StreamEvent], hints: JsonObject) -> None:
        """Keep what later frames repeat."""
        frames = self._frames
        places = iter(_places(hints.get("opens")))
        for event in events:
            match event.WhichOneof("event"):
                case "block_start":
                    start = event.block_start
                    if start.part.WhichOneof("kind") not in {"opaque", "media"}:
                        key = next(places, None)
                        if key is not None:
                            frames.open(key, start.block)
                            self._state(start.block, start.part.state)
                        frames.said(start.block, start.part.tool_call.arguments)
                case "block_delta":
                    delta = event.block_delta
                    frames.said(delta.block, delta.text or delta.arguments)
                    self._state(delta.block, delta.state)
                case _:
                    pass

    def _state(self, block: int, state: OpaqueState) -> None:
        place = self._frames.places.get(block)
        if place is not None and is_own(state):
            self._frames.stated(place[0], write_state(state))

    def _restored(self, events: Sequence[StreamEvent], hints: JsonObject) -> bytes:
        """The frame that these events were read from."""
        small = hints.get("f")
        delta = next((event.block_delta for event in events if event.HasField("block_delta")), None)
        kind = small.get("type") if isinstance(small, dict) else None
        if delta is not None and (kind is None or (isinstance(kind, str) and kind in DELTAS)):
            frame = self._frames.expand_delta(delta.block, delta.text or delta.arguments, hints)
            if delta.logprobs_json:
                value: Any = decode_json(delta.logprobs_json)
                frame["logprobs"] = value.get("content") if isinstance(value, dict) else value
            self._frames.note_delta(delta.block, frame)
        else:
            frame = self._frames.expand(_with_whole(small if isinstance(small, dict) else {}, events))
            self._frames.note(frame)
        number = frame.get("sequence_number")
        self._sequence = number if type(number) is int else self._sequence + 1
        found = frame.get("type", "")
        if found in ("error", "response.failed") or (not found and frame.get("error")):
            self._failed = True
        name = hints.get("e", found)
        return encode_event(encode_json(frame), name if isinstance(name, str) else "")


def _with_whole(small: JsonObject, events: Sequence[StreamEvent]) -> JsonObject:
    """The frame with the item that an event has in one piece."""
    part = next((event.block_start.part for event in events if event.HasField("block_start")), None)
    item = small.get("item")
    if part is not None and item == HOLE and part.HasField("opaque"):
        return {**small, "item": decode_json(part.opaque.json)}
    if part is not None and isinstance(item, dict) and item.get("result") == HOLE:
        return {**small, "item": {**item, "result": encode_base64(part.media.data)}}
    return small


def _places(value: Any) -> list[Key]:
    """The places that a hint names."""
    return [
        (each[0], each[1], each[2])
        for each in (value if isinstance(value, list) else ())
        if isinstance(each, list) and len(each) == 3 and all(type(number) is int for number in each)
    ]
