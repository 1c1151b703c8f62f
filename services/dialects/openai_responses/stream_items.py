"""The output items of one stream as blocks: opened, continued and closed as frames come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, BlockStop, StreamEvent
from services.dialects.members import JsonObject, Members
from services.dialects.openai_responses.annotations import read_annotation
from services.dialects.openai_responses.finish import kind_of
from services.dialects.openai_responses.frames import CALL, CONTENT, SUMMARY, Frames, Key
from services.dialects.openai_responses.read_items import Reading, bind_first, bind_next, nothing, opaque_item
from services.dialects.openai_responses.state import own_state
from services.dialects.openai_responses.wire import CALLS, ENCRYPTED, HOLE, ITEM_REST
from services.runtime.errors import UpstreamProtocol

MOST_BLOCKS: Final = 65_536
_PROSE: Final = frozenset({"message", "reasoning"})
_RUNNING: Final = ("in_progress", "incomplete")


@dataclass(slots=True)
class _Item:
    kind: str
    item: JsonObject
    open: list[Key] = field(default_factory=list)
    blocks: int = 0
    done: bool = False
    block: int = -1
    """The number kept for an item in one piece, which may be complete after those behind it."""


class Items:
    """The items of one stream."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._items: dict[int, _Item] = {}
        self._cited: dict[Key, int] = {}
        self._next = 0
        self.kinds: set[str] = set()
        self.opened: list[Key] = []
        """Places of the blocks that the frame at hand opened."""

    def added(self, index: int, item: JsonObject, events: list[StreamEvent]) -> None:
        """An item begins."""
        if index in self._items:
            raise UpstreamProtocol(f"the provider's stream begins item {index} twice")
        kind = item.get("type")
        known = self._items[index] = _Item(kind if isinstance(kind, str) else "", item)
        if known.kind in CALLS:
            self._open_call(index, known, events)
        elif known.kind not in _PROSE:
            known.block = self._number()

    def part(self, key: Key, kind: str, events: list[StreamEvent]) -> None:
        """A text begins."""
        if key not in self._frames.keys:
            self._open(key, kind, events)

    def delta(self, key: Key, kind: str, text: str, events: list[StreamEvent]) -> int:
        """A text goes on, or begins without having been announced; return its block."""
        block = self._frames.keys.get(key)
        if block is None:
            block = self._open(key, kind, events)
        self._frames.said(block, text)
        delta = BlockDelta(block=block)
        if key[1] == CALL:
            delta.arguments = text
        else:
            delta.text = text
        events.append(StreamEvent(block_delta=delta))
        return block

    def final(self, key: Key, kind: str, text: str, events: list[StreamEvent]) -> None:
        """A text is complete: what was not streamed of it follows."""
        said = self._frames.text(key)
        if said is None or (len(text) > len(said) and text.startswith(said)):
            if said is None:
                self._open(key, kind, events)
            if text[len(said or "") :]:
                self.delta(key, kind, text[len(said or "") :], events)

    def cite(self, key: Key, annotation: JsonObject, events: list[StreamEvent]) -> None:
        """A citation of a text."""
        block = self._frames.keys.get(key)
        if block is None:
            block = self._open(key, "output_text", events)
        self._cited[key] = self._cited.get(key, 0) + 1
        citation = read_annotation(dict(annotation))
        events.append(StreamEvent(block_delta=BlockDelta(block=block, citation=citation)))

    def part_done(self, key: Key, part: JsonObject, events: list[StreamEvent]) -> None:
        """A part of a message's or of reasoning's content is complete."""
        kind = part.get("type")
        if not isinstance(kind, str) or kind not in PART_TEXTS:
            return
        text = part.get(PART_TEXTS[kind])
        if isinstance(text, str):
            self.final(key, kind, text, events)
        annotations = part.get("annotations")
        if isinstance(annotations, list):
            for annotation in annotations[self._cited.get(key, 0) :]:
                if isinstance(annotation, dict):
                    self.cite(key, annotation, events)
        known = self._items.get(key[0])
        if known is not None and known.kind != "reasoning":
            self._stop(known, key, events)

    def done(self, index: int, item: JsonObject, events: list[StreamEvent]) -> None:
        """An item is complete: what was not streamed of it follows."""
        known = self._items.get(index)
        if known is None:
            kind = item.get("type")
            known = self._items[index] = _Item(kind if isinstance(kind, str) else "", item)
        if known.done:
            return
        known.done = True
        if known.kind == "message":
            self._parts_done(index, item, "content", CONTENT, events)
        elif known.kind == "reasoning":
            self._reasoning_done(index, known, item, events)
        elif known.kind in CALLS:
            if not known.blocks:
                self._open_call(index, known, events)
            arguments = item.get(CALLS[known.kind])
            if isinstance(arguments, str):
                self.final((index, CALL, 0), "", arguments, events)
        else:
            self._whole(known, item, events)
        self.stop_item(known, events)

    def is_done(self, index: int) -> bool:
        """Whether an item is complete."""
        known = self._items.get(index)
        return known is not None and known.done

    def stop_all(self, events: list[StreamEvent]) -> None:
        """Close every open block."""
        for known in self._items.values():
            self.stop_item(known, events)

    def stop_item(self, known: _Item, events: list[StreamEvent]) -> None:
        """Close the open blocks of an item."""
        for key in list(known.open):
            self._stop(known, key, events)

    def _parts_done(
        self, index: int, item: JsonObject, name: str, which: int, events: list[StreamEvent]
    ) -> None:
        elements: Any = item.get(name)
        for number, element in enumerate(elements if isinstance(elements, list) else ()):
            if isinstance(element, dict):
                self.part_done((index, which, number), element, events)

    def _reasoning_done(self, index: int, known: _Item, item: JsonObject, events: list[StreamEvent]) -> None:
        self._parts_done(index, item, "summary", SUMMARY, events)
        self._parts_done(index, item, "content", CONTENT, events)
        encrypted = item.get(ENCRYPTED)
        state = None
        if isinstance(encrypted, str) and encrypted:
            state = own_state(encrypted)
            self._frames.stated(index, encrypted)
        if not known.open:
            part = Part()
            if state is not None:
                part.reasoning.redacted = True
                part.state.CopyFrom(state)
            part.reasoning.id = _word(item, "id")
            known.item = item
            self._bind(part, known, nothing())
            self._start(part, known, (index, CONTENT, -1), events)
        elif state is not None:
            block = self._frames.keys[known.open[-1]]
            events.append(StreamEvent(block_delta=BlockDelta(block=block, state=state)))

    def _whole(self, known: _Item, item: JsonObject, events: list[StreamEvent]) -> None:
        """An item that only this dialect has, in one piece."""
        if item.get("type") == "image_generation_call":
            (part,) = Reading(answer=True).parts_of(dict(item))
        else:
            part = opaque_item(item)
        block = self._number() if known.block < 0 else known.block
        self.kinds.add(kind_of(part))
        events.append(StreamEvent(block_start=BlockStart(block=block, part=part)))
        events.append(StreamEvent(block_stop=BlockStop(block=block)))

    def _open_call(self, index: int, known: _Item, events: list[StreamEvent]) -> None:
        part = Reading(answer=True, call_prefix=f"call_{index}_").parts_of(_settled(known.item))[0]
        self._start(part, known, (index, CALL, 0), events)

    def _open(self, key: Key, kind: str, events: list[StreamEvent]) -> int:
        known = self._items.get(key[0])
        if known is None:
            if key[1] == CALL:
                raise UpstreamProtocol("the provider's stream has arguments of no call")
            guessed = "reasoning" if key[1] == SUMMARY or kind == "reasoning_text" else "message"
            known = self._items[key[0]] = _Item(guessed, {"type": guessed})
        part = Part()
        if known.kind == "reasoning":
            # The parts of one item's reasoning follow each other.
            self.stop_item(known, events)
            part.reasoning.id = _word(known.item, "id")
            if key[1] == SUMMARY:
                part.reasoning.summaries.append("")
        elif kind == "refusal":
            part.refusal = ""
        else:
            part.text = ""
        self._bind(part, known, Members({}))
        return self._start(part, known, key, events)

    def _bind(self, part: Part, known: _Item, members: Members) -> None:
        """Let the whole answer be written from the blocks as it came: item by item."""
        if known.blocks:
            bind_next(part, members)
            return
        item = _settled(known.item)
        item.pop(ENCRYPTED, None)
        if known.kind == "reasoning":
            item["summary"] = []
            if isinstance(item.get("content"), list):
                item["content"] = []
            if _word(item, "id"):
                item["id"] = HOLE
        else:
            item["content"] = []
            item.setdefault("role", "assistant")
        bind_first(part, members, item)

    def _start(self, part: Part, known: _Item, key: Key, events: list[StreamEvent]) -> int:
        block = self._number()
        known.blocks += 1
        known.open.append(key)
        self._frames.open(key, block)
        self.opened.append(key)
        self.kinds.add(kind_of(part))
        self._frames.said(block, part.tool_call.arguments)
        events.append(StreamEvent(block_start=BlockStart(block=block, part=part)))
        return block

    def _number(self) -> int:
        block = self._next
        if block >= MOST_BLOCKS:
            raise UpstreamProtocol("the provider's stream has too many blocks")
        self._next += 1
        return block

    def _stop(self, known: _Item, key: Key, events: list[StreamEvent]) -> None:
        if key in known.open:
            known.open.remove(key)
            events.append(StreamEvent(block_stop=BlockStop(block=self._frames.keys[key])))


PART_TEXTS: Final = {
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
    "reasoning_text": "text",
    "summary_text": "text",
}


def _settled(item: JsonObject) -> JsonObject:
    """A copy of an item that has begun, as it will be when it is complete."""
    copy: JsonObject = {name: value for name, value in item.items() if name != ITEM_REST}
    if copy.get("status") in _RUNNING:
        copy["status"] = "completed"
    return copy


def _word(item: JsonObject, name: str) -> str:
    word = item.get(name)
    return word if isinstance(word, str) else ""
