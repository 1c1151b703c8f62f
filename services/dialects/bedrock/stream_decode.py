"""A ConverseStream answer to events.

Only tools and images announce their blocks; texts and reasoning begin with their first delta, so their starts are made
up here. The padding in every payload hides lengths on the wire, says nothing, and is not carried.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import Part
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
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.bedrock.errors import frame_error
from services.dialects.bedrock.finish import read_finish
from services.dialects.bedrock.frames import HotDelta, hot_delta
from services.dialects.bedrock.response import take_tier
from services.dialects.bedrock.stream_blocks import Block, begins_with, read_delta, read_start
from services.dialects.bedrock.usage import read_usage
from services.dialects.bedrock.wire import DIALECT, MADE_UP
from services.dialects.eventstream import Frame, FrameReader
from services.dialects.failure import error_message
from services.dialects.members import Members, decode_json, json_text
from services.dialects.raw_json import object_keeping, raw_members, raw_text, take_raw
from services.dialects.text_tools import text_input
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol

_MOST_BLOCKS: Final = 1 << 31
_PADDING: Final = "p"


class BedrockStreamDecoder:
    """Reads one stream; any split of its bytes gives the same events."""

    __slots__ = (
        "_blocks",
        "_calls",
        "_described",
        "_done",
        "_ended",
        "_frame",
        "_out",
        "_reader",
        "_sequence",
        "_started",
        "_usage",
    )

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._blocks: dict[int, Block] = {}
        self._usage: Usage | None = None
        self._out: list[StreamEvent] = []
        self._sequence = 0
        self._frame = -1
        self._started = self._ended = self._described = self._done = self._calls = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete."""
        for frame in self._reader.feed(data):
            if self._done:
                break
            self._frame += 1
            try:
                self._read(frame)
            except (ValueError, RecursionError) as error:
                raise UpstreamProtocol(
                    f"the provider sent an event that is no stream event: {error}"
                ) from None
        return self._take()

    def close(self) -> list[StreamEvent]:
        """A stream that ends before its stop and its metadata is a fragment."""
        if self._done:
            return []
        where = "inside an event" if self._reader.close() else "before its last event"
        self._frame += 1
        if self._started:
            self._fail(StreamInterrupted(f"the provider's stream ended {where}", events=str(self._sequence)))
        else:
            self._fail(UpstreamProtocol("the provider's stream ended before it began"))
        return self._take()

    def _take(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out

    def _read(self, frame: Frame) -> None:
        if frame.kind in {"exception", "error"}:
            kept = {"kind": frame.kind, "name": frame.name, "payload": _value(frame.payload)}
            self._fail(frame_error(frame)).extensions[DIALECT] = json_text({"frame": kept})
            return
        if frame.name == "contentBlockDelta" and self._started and not self._ended:
            hot = hot_delta(frame.payload)
            if hot is not None and self._hot(hot):
                return
        members = Members(object_keeping(frame.payload, "start", "delta", "usage"))
        members.rest.pop(_PADDING, None)
        if not self._dispatch(frame.name, members):
            kept = {"name": frame.name, "payload": msgspec.Raw(frame.payload)}
            self._emit(keep_alive=KeepAlive()).extensions[DIALECT] = json_text({"frame": kept})
        self._finish()

    def _dispatch(self, name: str, members: Members) -> bool:
        if name == "messageStart":
            self._start(members)
        elif not self._started:
            raise UpstreamProtocol("the provider's stream does not start as one")
        elif name == "metadata":
            return self._metadata(members)
        elif self._ended:
            return False
        elif name == "contentBlockStart":
            return self._block_start(members)
        elif name == "contentBlockDelta":
            self._block_delta(members)
        elif name == "contentBlockStop":
            return self._block_stop(members)
        elif name == "messageStop":
            self._message_stop(members)
        else:
            return False
        return True

    def _hot(self, frame: HotDelta) -> bool:
        """Take a delta of one of the common kinds; False for what has to be read member by member."""
        delta, index = frame.delta, frame.index
        block = self._blocks.get(index)
        if delta.tool_use is not None:
            if block is None or block.kind != "tool_call" or block.custom or delta.several():
                return False
            block.arguments.append(delta.tool_use.input)
            self._delta(BlockDelta(block=index, arguments=delta.tool_use.input))
            return True
        if delta.text is not None:
            kind, text = "text", delta.text
        elif delta.reasoning is not None:
            kind, text = "reasoning", delta.reasoning.text
        else:
            return False
        if delta.several():
            return False
        if block is None:
            block = self._open(index, begins_with(kind))
        if block.kind != kind or block.formatted:
            raise _misplaced(index)
        self._delta(BlockDelta(block=index, text=text))
        return True

    def _delta(self, delta: BlockDelta) -> None:
        self._out.append(StreamEvent(sequence=self._sequence, frame=self._frame, block_delta=delta))
        self._sequence += 1

    def _start(self, members: Members) -> None:
        if self._started:
            raise UpstreamProtocol("the provider's stream starts twice")
        self._started = True
        if members.rest.get("role") == "assistant":
            del members.rest["role"]
        self._emit(started=Started()).extensions[DIALECT] = members.extension() or "{}"

    def _block_start(self, members: Members) -> bool:
        index = self._index(members)
        raw = members.rest.get("start")
        if type(raw) is msgspec.Raw and not raw_members(raw):
            # Imitations of Bedrock announce texts in this way.
            return False
        raw = take_raw(members, "start")
        if raw is None or index in self._blocks:
            raise UpstreamProtocol("the provider sent the start of a block that cannot start")
        part, block = read_start(raw)
        self._blocks[index] = block
        self._calls = self._calls or block.kind in {"tool_call", "opaque"}
        self._emit(members, block_start=BlockStart(block=index, part=part))
        return True

    def _open(self, index: int, part: Part) -> Block:
        """Open a block that began with its first delta."""
        if not 0 <= index < _MOST_BLOCKS:
            raise UpstreamProtocol(f"the provider's stream has no block {index}")
        block = self._blocks[index] = Block(part.WhichOneof("kind") or "")
        made = self._emit(block_start=BlockStart(block=index, part=part))
        if block.kind == "opaque":
            made.extensions[DIALECT] = MADE_UP
        return block

    def _block_delta(self, members: Members) -> None:
        index = self._index(members)
        raw = take_raw(members, "delta")
        held = raw_members(raw) if raw is not None else {}
        if raw is None or len(held) != 1:
            raise UpstreamProtocol("the provider sent a delta of no block")
        ((name, value),) = held.items()
        block = self._blocks.get(index)
        if block is None:
            block = self._open(index, begins_with(name, value))
        if block.kind == "opaque":
            self._emit(members, block_delta=BlockDelta(block=index, opaque_json=raw_text(raw)))
            return
        if name == "toolUse":
            self._arguments(index, block, value, members)
            return
        delta = read_delta(name, value, block.kind)
        if delta is None:
            raise _misplaced(index)
        delta.block = index
        self._emit(members, block_delta=delta)

    def _arguments(self, index: int, block: Block, raw: msgspec.Raw, members: Members) -> None:
        """A free-text tool's input is known only when it is whole; arguments go on as they come."""
        held = Members(object_keeping(raw))
        text = held.text("input")
        if text is None or not (block.kind == "tool_call" or block.formatted):
            raise _misplaced(index)
        if held.rest:
            members.rest["delta"] = {"toolUse": held.rest}
        if block.formatted:
            self._emit(members, block_delta=BlockDelta(block=index, text=text))
            return
        if text:
            block.arguments.append(text)
        if not block.custom:
            self._emit(members, block_delta=BlockDelta(block=index, arguments=text))

    def _block_stop(self, members: Members) -> bool:
        index = self._index(members)
        if index not in self._blocks:
            # A block that had nothing in it.
            members.rest["contentBlockIndex"] = index
            return False
        self._stop(index, members)
        return True

    def _stop(self, index: int, members: Members | None) -> None:
        block = self._blocks.pop(index)
        if block.kind == "tool_call":
            arguments = "".join(block.arguments)
            if block.custom:
                self._emit(block_delta=BlockDelta(block=index, arguments=text_input(arguments)))
            elif not arguments:
                # A call without arguments has none in the stream, and {} in the whole answer.
                self._emit(block_delta=BlockDelta(block=index, arguments="{}")).extensions[DIALECT] = MADE_UP
        stopped = self._emit(members, block_stop=BlockStop(block=index))
        if members is None:
            stopped.extensions[DIALECT] = MADE_UP

    def _message_stop(self, members: Members) -> None:
        finish = read_finish(members, calls=self._calls)
        if finish is None:
            raise UpstreamProtocol("the provider's stream stops without a reason")
        for index in list(self._blocks):
            self._stop(index, None)
        self._ended = True
        self._emit(members, candidate_finish=CandidateFinish(finish=finish))

    def _metadata(self, members: Members) -> bool:
        raw = take_raw(members, "usage")
        value = decode_json(raw) if raw is not None else None
        self._described = True
        if raw is None or type(value) is not dict:
            return False
        self._usage = read_usage(value, raw_text(raw))
        self._usage.service_tier = take_tier(members)
        self._emit(members, usage=self._usage)
        return True

    def _finish(self) -> None:
        """The stop and the metadata may come in either order; both have to."""
        if self._ended and self._described:
            self._done = True
            self._emit(finished=self._finished(complete=True)).extensions[DIALECT] = "{}"

    def _fail(self, error: LlmhubError) -> StreamEvent:
        self._done = True
        finished = self._finished(complete=False)
        finished.error.CopyFrom(error_message(error))
        if finished.error.HasField("provider"):
            finished.error.provider.events_delivered = self._sequence
        return self._emit(finished=finished)

    def _finished(self, *, complete: bool) -> Finished:
        finished = Finished(complete=complete)
        if self._usage is not None:
            finished.usage.CopyFrom(self._usage)
        return finished

    def _index(self, members: Members) -> int:
        index = members.integer("contentBlockIndex")
        if index is None or not 0 <= index < _MOST_BLOCKS:
            raise UpstreamProtocol("the provider sent an event of a block without a number")
        return index

    def _emit(self, members: Members | None = None, **event: Any) -> StreamEvent:
        emitted = StreamEvent(sequence=self._sequence, frame=self._frame, **event)
        if members is not None:
            members.save(emitted.extensions, DIALECT)
        self._sequence += 1
        self._out.append(emitted)
        return emitted


def _value(payload: bytes) -> object:
    """The payload as JSON; as text if it is none."""
    try:
        return decode_json(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")


def _misplaced(index: int) -> UpstreamProtocol:
    return UpstreamProtocol(f"the provider sent a delta that its block {index} cannot take")
