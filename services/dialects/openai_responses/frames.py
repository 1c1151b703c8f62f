"""What a stream's frames repeat, left out and put back.

Most of a stream says again what was said before: every `done` repeats the deltas, every item its parts, the last frame
everything. Decoder and encoder both keep what was said, so a frame travels as what is new in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.dialects.members import JsonObject
from services.dialects.openai_responses.wire import ENCRYPTED, HOLE

CONTENT: Final = 0
SUMMARY: Final = 1
CALL: Final = 2

Key = tuple[int, int, int]
"""Where a text stands: output index, one of the lists above, index in it."""

DELTAS: Final = {
    "response.output_text.delta": CONTENT,
    "response.refusal.delta": CONTENT,
    "response.reasoning_text.delta": CONTENT,
    "response.reasoning_summary_text.delta": SUMMARY,
    "response.function_call_arguments.delta": CALL,
    "response.custom_tool_call_input.delta": CALL,
}
"""Frames that carry a piece of a text, by the list that it stands in."""
LIFECYCLE: Final = frozenset(
    f"response.{word}" for word in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})

_INDEXES: Final = {CONTENT: "content_index", SUMMARY: "summary_index"}
_LISTS: Final = (("content", CONTENT), ("summary", SUMMARY))
_TEXTS: Final = ("text", "refusal", "arguments", "input")
_WITH_LOGPROBS: Final = "response.output_text.delta"
_MISSING: Final = object()


class Frames:
    """What was said so far in one stream, and how frames follow from it."""

    def __init__(self) -> None:
        self.keys: dict[Key, int] = {}
        """Blocks by place."""
        self.places: dict[int, Key] = {}
        self._texts: dict[int, list[str]] = {}
        self._types: dict[int, str] = {}
        self._states: dict[int, str] = {}
        self._ids: dict[int, Any] = {}
        self._parts: dict[Key, Any] = {}
        self._items: dict[int, Any] = {}
        self._response: JsonObject = {}
        self._sequence = -1
        self._logprobs = True

    def open(self, key: Key, block: int) -> None:
        """A block stands at this place."""
        self.keys[key] = block
        self.places[block] = key
        self._texts[block] = []

    def said(self, block: int, text: str) -> None:
        """A block's text goes on."""
        if text:
            self._texts.setdefault(block, []).append(text)

    def stated(self, output_index: int, text: str) -> None:
        """An item has this encrypted content."""
        self._states[output_index] = text

    def text(self, key: Key) -> str | None:
        """What was said at a place; None if nothing stands there."""
        block = self.keys.get(key)
        if block is None:
            return None
        pieces = self._texts[block]
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        return pieces[0] if pieces else ""

    def note(self, frame: JsonObject) -> None:
        """Keep what later frames repeat."""
        number = frame.get("sequence_number")
        self._sequence = number if type(number) is int else self._sequence + 1
        index = frame.get("output_index")
        if type(index) is int:
            item, part = frame.get("item"), frame.get("part")
            if isinstance(item, dict):
                self._ids[index] = item.get("id")
                self._items[index] = item
            if part is not None and (key := place_of(frame)) is not None:
                self._parts[key] = part
        response = frame.get("response")
        if isinstance(response, dict):
            self._response = response

    def delta_frame(self, block: int, text: Any) -> JsonObject:
        """The frame that a piece of a block's text is expected in."""
        output_index, which, index = self.places.get(block, (0, CONTENT, 0))
        kind = self._types.get(block, "")
        frame: JsonObject = {
            "type": kind,
            "sequence_number": self._sequence + 1,
            "item_id": self._ids.get(output_index),
            "output_index": output_index,
            "delta": text,
        }
        if which in _INDEXES:
            frame[_INDEXES[which]] = index
        if kind == _WITH_LOGPROBS and self._logprobs:
            frame["logprobs"] = []
        return frame

    def expects(self, block: int, kind: str, number: int, item_id: str, *, listed: bool | None) -> bool:
        """Whether this is the very frame that a piece of a block's text is expected in; if so, it is noted."""
        output_index = self.places[block][0]
        if (
            number != self._sequence + 1
            or self._types.get(block) != kind
            or self._ids.get(output_index) != item_id
            or listed is not (kind == _WITH_LOGPROBS and self._logprobs)
        ):
            return False
        self._sequence = number
        return True

    def note_delta(self, block: int, frame: JsonObject) -> None:
        """Keep what the next frame of a block's text repeats."""
        number = frame.get("sequence_number")
        self._sequence = number if type(number) is int else self._sequence + 1
        kind = frame.get("type")
        if isinstance(kind, str):
            self._types[block] = kind
        if kind == _WITH_LOGPROBS:
            self._logprobs = "logprobs" in frame

    def shrink_delta(self, block: int, frame: JsonObject) -> JsonObject:
        """The hints that a delta's frame takes besides its text; nothing for one that is as expected."""
        expected = self.delta_frame(block, frame.get("delta"))
        other = {name: value for name, value in frame.items() if expected.get(name, _MISSING) != value}
        gone = [name for name in expected if name not in frame]
        hints: JsonObject = {"f": other} if other else {}
        if gone:
            hints["gone"] = gone
        return hints

    def expand_delta(self, block: int, text: str, hints: Mapping[str, Any]) -> JsonObject:
        """The reverse of shrink_delta."""
        frame = self.delta_frame(block, text)
        for name in hints.get("gone") or ():
            frame.pop(name, None)
        other = hints.get("f")
        if isinstance(other, dict):
            frame.update(other)
        return frame

    def shrink(self, frame: JsonObject) -> JsonObject:
        """A frame with holes for what was said before."""
        small = dict(frame)
        if frame.get("sequence_number") == self._sequence + 1:
            small["sequence_number"] = HOLE
        key = place_of(frame)
        if key is not None:
            text = self.text(key)
            for name in _TEXTS:
                if text is not None and frame.get(name) == text:
                    small[name] = HOLE
            part = frame.get("part")
            if text is not None and isinstance(part, dict):
                small["part"] = {
                    name: HOLE if name in _TEXTS and value == text else value for name, value in part.items()
                }
            item = frame.get("item")
            if isinstance(item, dict):
                small["item"] = self._shrink_item(item, key[0])
        response = frame.get("response")
        if isinstance(response, dict):
            small["response"] = self._shrink_response(response)
        return small

    def expand(self, small: JsonObject) -> JsonObject:
        """The reverse of shrink."""
        frame = dict(small)
        if frame.get("sequence_number") == HOLE:
            frame["sequence_number"] = self._sequence + 1
        key = place_of(frame)
        if key is not None:
            text = self.text(key) or ""
            for name in _TEXTS:
                if frame.get(name) == HOLE:
                    frame[name] = text
            part = frame.get("part")
            if isinstance(part, dict):
                frame["part"] = {
                    name: text if name in _TEXTS and value == HOLE else value for name, value in part.items()
                }
            item = frame.get("item")
            if isinstance(item, dict):
                frame["item"] = self._expand_item(item, key[0])
        response = frame.get("response")
        if isinstance(response, dict):
            frame["response"] = self._expand_response(response)
        return frame

    def _shrink_item(self, item: JsonObject, index: int) -> JsonObject:
        small = dict(item)
        for name, which in _LISTS:
            elements = item.get(name)
            if isinstance(elements, list):
                small[name] = [
                    HOLE if self._parts.get((index, which, number), _MISSING) == element else element
                    for number, element in enumerate(elements)
                ]
        text = self.text((index, CALL, 0))
        for name in ("arguments", "input"):
            if text and item.get(name) == text:
                small[name] = HOLE
        if item.get(ENCRYPTED) and item[ENCRYPTED] == self._states.get(index):
            small[ENCRYPTED] = HOLE
        return small

    def _expand_item(self, small: JsonObject, index: int) -> JsonObject:
        item = dict(small)
        for name, which in _LISTS:
            elements = small.get(name)
            if isinstance(elements, list):
                item[name] = [
                    self._parts.get((index, which, number)) if element == HOLE else element
                    for number, element in enumerate(elements)
                ]
        for name in ("arguments", "input"):
            if small.get(name) == HOLE:
                item[name] = self.text((index, CALL, 0)) or ""
        if small.get(ENCRYPTED) == HOLE:
            item[ENCRYPTED] = self._states.get(index, "")
        return item

    def _shrink_response(self, response: JsonObject) -> JsonObject:
        """What is new since the last response: members, and under the name of the hole those that are gone."""
        before = self._response
        small = {name: value for name, value in response.items() if before.get(name, _MISSING) != value}
        output = small.get("output")
        if isinstance(output, list):
            small["output"] = [
                HOLE if self._items.get(number, _MISSING) == item else item
                for number, item in enumerate(output)
            ]
        gone = [name for name in before if name not in response]
        if gone:
            small[HOLE] = gone
        return small

    def _expand_response(self, small: JsonObject) -> JsonObject:
        response = {**self._response, **small}
        for name in response.pop(HOLE, ()):
            response.pop(name, None)
        output = small.get("output")
        if isinstance(output, list):
            response["output"] = [
                self._items.get(number) if item == HOLE else item for number, item in enumerate(output)
            ]
        return response


def place_of(frame: JsonObject) -> Key | None:
    """Where the text of a frame stands; None for a frame about no item."""
    index = frame.get("output_index")
    if type(index) is not int:
        return None
    for which, name in _INDEXES.items():
        number = frame.get(name)
        if type(number) is int:
            return (index, which if name != "summary_index" else SUMMARY, number)
    return (index, CALL, 0)
