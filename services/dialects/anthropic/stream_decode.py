"""A messages stream to events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    KeepAlive,
    Started,
    StreamEvent,
)
from services.dialects.anthropic.citations import read_citation
from services.dialects.anthropic.errors import error_of
from services.dialects.anthropic.finish import read_finish
from services.dialects.anthropic.frames import (
    MADE_UP,
    HotDelta,
    InputDelta,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    hot_delta,
    lone_delta,
)
from services.dialects.anthropic.read_blocks import read_block, signature_state
from services.dialects.anthropic.usage import merge_usage, read_usage
from services.dialects.anthropic.wire import DIALECT, object_keeping
from services.dialects.failure import error_message
from services.dialects.members import JsonObject, Members, decode_json, json_text
from services.dialects.raw_json import raw_text, take_raw
from services.dialects.sse import SseEvent, SseParser
from services.dialects.surrogates import mended
from services.dialects.text_tools import text_input
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol


@dataclass(slots=True)
class _Block:
    """An open block: what it is, and what its deltas have brought as far as that matters."""

    kind: str
    custom: bool = False
    arguments: list[str] = field(default_factory=list)


class AnthropicStreamDecoder:
    """Reads one stream; any split of its bytes gives the same events."""

    __slots__ = (
        "_aligned",
        "_blocks",
        "_done",
        "_frame",
        "_out",
        "_parser",
        "_sequence",
        "_started",
        "_totals",
    )

    def __init__(self) -> None:
        self._parser = SseParser()
        self._blocks: dict[int, _Block] = {}
        self._totals: JsonObject | None = None
        self._out: list[StreamEvent] = []
        self._sequence = 0
        self._frame = -1
        self._aligned = self._started = self._done = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete."""
        if self._aligned and not self._done and (payload := lone_delta(data)) is not None:
            hot = hot_delta(payload)
            if hot is not None:
                self._frame += 1
                self._hot(hot)
                return self._take()
        if data:
            self._aligned = data.endswith(b"\n\n")
        for event in self._parser.feed(data):
            if self._done:
                break
            self._frame += 1
            try:
                self._event(event)
            except (ValueError, RecursionError) as error:
                raise UpstreamProtocol(
                    f"the provider sent an event that is no stream event: {error}"
                ) from None
        return self._take()

    def close(self) -> list[StreamEvent]:
        """A stream that ends before message_stop is a fragment."""
        if self._done:
            return []
        cut = self._parser.close()
        where = "inside an event" if cut else "before its last event"
        self._frame += 1
        if self._started:
            self._fail(StreamInterrupted(f"the provider's stream ended {where}", events=str(self._sequence)))
        else:
            self._fail(UpstreamProtocol("the provider's stream ended before it began"))
        return self._take()

    def _take(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out

    def _event(self, event: SseEvent) -> None:
        try:
            self._read(event)
        except ValueError:
            fixed = mended(event.data)
            if fixed is event.data:
                raise
            self._read(SseEvent(event.event, fixed))

    def _read(self, event: SseEvent) -> None:
        if event.event == "content_block_delta" and (hot := hot_delta(event.data)) is not None:
            self._hot(hot)
            return
        if event.data == b"[DONE]":
            return
        frame = object_keeping(event.data, "message", "content_block", "delta", "usage", "error")
        kind = frame.pop("type", event.event)
        if not self._dispatch(kind, Members(frame), event.data):
            kept = json_text({"frame": msgspec.Raw(event.data)})
            self._emit(keep_alive=KeepAlive()).extensions[DIALECT] = kept

    def _dispatch(self, kind: object, frame: Members, data: bytes) -> bool:
        match kind:
            case "content_block_delta":
                self._block_delta(frame)
            case "content_block_start":
                self._block_start(frame)
            case "content_block_stop":
                self._stop(self._index(frame), frame)
            case "message_start":
                self._message_start(frame)
            case "message_delta":
                self._message_delta(frame)
            case "message_stop":
                self._message_stop(frame)
            case "ping":
                self._emit(frame, keep_alive=KeepAlive())
            case "error":
                kept = frame.extension() or "{}"
                self._fail(error_of(200, {}, data)).extensions[DIALECT] = kept
            case _:
                return False
        return True

    def _hot(self, frame: HotDelta) -> None:
        block = self._open(frame.index)
        match frame.delta:
            case TextDelta(text=text) if block.kind == "text":
                self._emit(block_delta=BlockDelta(block=frame.index, text=text))
            case InputDelta(partial_json=arguments) if block.kind == "tool_call":
                self._arguments(frame.index, block, arguments)
            case ThinkingDelta(thinking=text) if block.kind == "reasoning":
                self._emit(block_delta=BlockDelta(block=frame.index, text=text))
            case SignatureDelta(signature=signature) if block.kind == "reasoning":
                state = signature_state(signature)
                self._emit(block_delta=BlockDelta(block=frame.index, state=state))
            case delta if block.kind == "opaque":
                text = msgspec.json.encode(delta).decode()
                self._emit(block_delta=BlockDelta(block=frame.index, opaque_json=text))
            case _:
                raise _misplaced(frame.index)

    def _arguments(self, index: int, block: _Block, arguments: str, frame: Members | None = None) -> None:
        """A free-text tool's input is known only when it is whole; arguments go on as they come."""
        if arguments:
            block.arguments.append(arguments)
        if not block.custom:
            self._emit(frame, block_delta=BlockDelta(block=index, arguments=arguments))

    def _message_start(self, frame: Members) -> None:
        raw = take_raw(frame, "message")
        if raw is None or self._started:
            raise UpstreamProtocol("the provider's stream does not start as one")
        self._started = True
        message = Members(object_keeping(raw, "usage"))
        for name, usual in (("type", "message"), ("role", "assistant"), ("content", [])):
            if message.rest.get(name) == usual:
                del message.rest[name]
        started = Started(response_id=message.text("id") or "", model=message.text("model") or "")
        usage = message.rest.get("usage")
        # The usage object stays with the frame, so that the frame can be written again without waiting for usage.
        frame.rest["message"] = message.rest
        event = self._emit(started=started)
        event.extensions[DIALECT] = frame.extension()
        if usage is not None:
            self._usage(usage)

    def _block_start(self, frame: Members) -> None:
        index = self._index(frame)
        raw = take_raw(frame, "content_block")
        if raw is None or index in self._blocks or not 0 <= index < 1 << 31:
            raise UpstreamProtocol("the provider sent the start of a block that cannot start")
        if not self._started:
            raise UpstreamProtocol("the provider's stream has a block before its start")
        part = read_block(raw)
        kind = part.WhichOneof("kind") or ""
        block = self._blocks[index] = _Block(kind)
        if kind == "tool_call":
            block.custom = part.tool_call.kind == TOOL_KIND_CUSTOM
            if part.tool_call.arguments == "{}" or block.custom:
                part.tool_call.arguments = ""
            if part.tool_call.arguments:
                block.arguments = [part.tool_call.arguments]
        self._emit(frame, block_start=BlockStart(block=index, part=part))

    def _block_delta(self, frame: Members) -> None:
        index = self._index(frame)
        raw = take_raw(frame, "delta")
        if raw is None:
            raise UpstreamProtocol("the provider sent a delta of no block")
        block = self._open(index)
        if block.kind == "opaque":
            self._emit(frame, block_delta=BlockDelta(block=index, opaque_json=raw_text(raw)))
            return
        delta = Members(object_keeping(raw))
        kind = (delta.text("type"), block.kind)
        arguments = delta.text("partial_json") or ""
        event = BlockDelta(block=index)
        match kind:
            case ("text_delta", "text"):
                event.text = delta.text("text") or ""
            case ("thinking_delta", "reasoning"):
                event.text = delta.text("thinking") or ""
            case ("signature_delta", "reasoning"):
                event.state.CopyFrom(signature_state(delta.text("signature") or ""))
            case ("citations_delta", "text") if (citation := delta.mapping("citation")) is not None:
                event.citation.CopyFrom(read_citation(citation))
            case ("input_json_delta", "tool_call"):
                pass
            case _:
                raise _misplaced(index)
        if delta.rest:
            frame.rest["delta"] = delta.rest
        if block.kind == "tool_call":
            self._arguments(index, block, arguments, frame)
        else:
            self._emit(frame, block_delta=event)

    def _message_delta(self, frame: Members) -> None:
        for index in list(self._blocks):
            self._stop(index, Members({}))
        raw = take_raw(frame, "delta")
        delta = Members(object_keeping(raw) if raw is not None else {})
        finish = read_finish(delta)
        if delta.rest:
            frame.rest["delta"] = delta.rest
        usage = take_raw(frame, "usage")
        if finish is not None:
            self._emit(frame, candidate_finish=CandidateFinish(finish=finish))
            frame = Members({})
        if usage is not None:
            self._usage(usage, frame)
        elif finish is None:
            self._emit(keep_alive=KeepAlive()).extensions[DIALECT] = json_text(
                {"frame": {"type": "message_delta", **frame.rest}}
            )

    def _message_stop(self, frame: Members) -> None:
        if not self._started:
            raise UpstreamProtocol("the provider's stream ends before its start")
        self._done = True
        self._emit(frame, finished=self._finished(complete=True))

    def _fail(self, error: LlmhubError) -> StreamEvent:
        self._done = True
        finished = self._finished(complete=False)
        finished.error.CopyFrom(error_message(error))
        if finished.error.HasField("provider"):
            finished.error.provider.events_delivered = self._sequence
        return self._emit(finished=finished)

    def _finished(self, *, complete: bool) -> Finished:
        finished = Finished(complete=complete)
        if self._totals is not None:
            finished.usage.CopyFrom(read_usage(self._totals, json_text(self._totals)))
        return finished

    def _usage(self, raw: msgspec.Raw, frame: Members | None = None) -> None:
        """Emit running totals; the text of the event's usage is that of this frame alone."""
        value = decode_json(raw)
        if type(value) is not dict:
            raise UpstreamProtocol("the provider sent usage that is no object")
        self._totals = merge_usage(self._totals or {}, value)
        self._emit(frame, usage=read_usage(self._totals, raw_text(raw)))

    def _stop(self, index: int, frame: Members) -> None:
        block = self._open(index)
        del self._blocks[index]
        if block.kind == "tool_call":
            arguments = "".join(block.arguments)
            if block.custom:
                self._emit(block_delta=BlockDelta(block=index, arguments=text_input(arguments)))
            elif not arguments:
                # A call without arguments has none in the stream, and {} in the whole answer.
                made = self._emit(block_delta=BlockDelta(block=index, arguments="{}"))
                made.extensions[DIALECT] = MADE_UP
        self._emit(frame, block_stop=BlockStop(block=index))

    def _index(self, frame: Members) -> int:
        index = frame.integer("index")
        return -1 if index is None else index

    def _open(self, index: int) -> _Block:
        block = self._blocks.get(index)
        if block is None:
            raise UpstreamProtocol(f"the provider's stream has no open block {index}")
        return block

    def _emit(self, frame: Members | None = None, **event: Any) -> StreamEvent:
        emitted = StreamEvent(sequence=self._sequence, frame=self._frame, **event)
        if frame is not None:
            frame.save(emitted.extensions, DIALECT)
        self._sequence += 1
        self._out.append(emitted)
        return emitted


def _misplaced(index: int) -> UpstreamProtocol:
    return UpstreamProtocol(f"the provider sent a delta that its block {index} cannot take")
