"""The events of a stream being read: their numbers, their frames, and the blocks they open and stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStop, KeepAlive, StreamEvent
from services.dialects.cohere.wire import DIALECT
from services.dialects.members import JsonObject, Members, json_text
from services.dialects.text_tools import text_input
from services.runtime.errors import UpstreamProtocol

_MOST_BLOCKS: Final = 65_536
SILENT: Final = "silent"
"""Hint: the event had no frame of its own."""


@dataclass(slots=True)
class Block:
    """A block of the contract. `arguments` are held back of a call whose text is inside a JSON object."""

    number: int
    kind: str
    open: bool = True
    custom: bool = False
    arguments: list[str] = field(default_factory=list)


class EventLog:
    """Events not yet taken; `frame` is the number of the frame being read."""

    __slots__ = ("_blocks", "_out", "frame", "sequence")

    def __init__(self) -> None:
        self.frame = -1
        self.sequence = 0
        self._blocks = 0
        self._out: list[StreamEvent] = []

    def take(self) -> list[StreamEvent]:
        """Return the events since the last time."""
        out, self._out = self._out, []
        return out

    def emit(self, frame: Members | None = None, **event: Any) -> StreamEvent:
        """Add an event, with what is left of its frame."""
        emitted = StreamEvent(sequence=self.sequence, frame=self.frame, **event)
        if frame is not None:
            frame.save(emitted.extensions, DIALECT)
        self.sequence += 1
        self._out.append(emitted)
        return emitted

    def delta(self, block: Block) -> StreamEvent:
        """Add a delta yet to be filled; setting fields one by one is three times as fast as construction."""
        emitted = StreamEvent(sequence=self.sequence, frame=self.frame)
        emitted.block_delta.block = block.number
        self.sequence += 1
        self._out.append(emitted)
        return emitted

    def text(self, block: Block, text: str) -> None:
        """Add a piece of text."""
        self.delta(block).block_delta.text = text

    def keep(self, data: bytes) -> None:
        """Keep a frame that says nothing in the contract's words."""
        self.emit(keep_alive=KeepAlive()).extensions[DIALECT] = json_text({"frame": msgspec.Raw(data)})

    def block(self, kind: str) -> Block:
        """A new block."""
        if self._blocks >= _MOST_BLOCKS:
            raise UpstreamProtocol("the provider's stream has too many blocks")
        self._blocks += 1
        return Block(self._blocks - 1, kind)

    def stop(self, block: Block, frame: Members | None) -> None:
        """Stop a block; without a frame of its own the stop is not written again."""
        block.open = False
        if block.custom:
            text = text_input("".join(block.arguments))
            self.emit(block_delta=BlockDelta(block=block.number, arguments=text))
        if frame is None:
            frame = Members({})
            frame.hint(SILENT)
        self.emit(frame, block_stop=BlockStop(block=block.number))


def left(frame: Members, inner: Members, delta: JsonObject) -> Members:
    """The frame with what is left of its delta and of the message in it."""
    if inner.rest:
        delta["message"] = inner.rest
    else:
        delta.pop("message", None)
    if delta:
        frame.rest["delta"] = delta
    else:
        frame.rest.pop("delta", None)
    return frame
