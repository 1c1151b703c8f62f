"""Blocks one after the other: Anthropic's streams have one open block at a time, other providers' may interleave."""

from __future__ import annotations

from llmhub.types.v1.stream_pb2 import BlockStop, StreamEvent


class BlockSerializer:
    """Holds back the events of later blocks until the open one stops, and numbers blocks without a gap."""

    __slots__ = ("_index", "_open", "_waiting")

    def __init__(self) -> None:
        self._index = 0
        self._open: int | None = None
        self._waiting: dict[int, list[StreamEvent]] = {}

    def push(self, block: int, event: StreamEvent) -> list[tuple[int, StreamEvent]]:
        """Take an event of a block; return what may go out now, with the block's number on the wire."""
        if self._open is None and event.HasField("block_start"):
            self._open = block
        if block != self._open:
            self._waiting.setdefault(block, []).append(event)
            return []
        out = [(self._index, event)]
        if event.HasField("block_stop"):
            self._close()
            self._drain(out)
        return out

    def finish(self) -> list[tuple[int, StreamEvent]]:
        """Stop what is still open, and return all that waited."""
        out: list[tuple[int, StreamEvent]] = []
        while self._open is not None:
            out.append((self._index, StreamEvent(block_stop=BlockStop(block=self._open))))
            self._close()
            self._drain(out)
        return out

    def _close(self) -> None:
        self._open = None
        self._index += 1

    def _drain(self, out: list[tuple[int, StreamEvent]]) -> None:
        while self._open is None and self._waiting:
            block = next(iter(self._waiting))
            events = self._waiting.pop(block)
            if not events[0].HasField("block_start"):
                continue
            self._open = block
            out.extend((self._index, event) for event in events)
            if events[-1].HasField("block_stop"):
                self._close()
