"""Parts to items: as they were if they came in this dialect, else as the vendor would write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Part
from services.dialects.data_urls import encode_base64
from services.dialects.members import Extension, JsonObject, decode_json, request_json
from services.dialects.openai_responses.content import INPUT, OUTPUT, write_content
from services.dialects.openai_responses.state import write_state
from services.dialects.openai_responses.wire import (
    CALLS,
    DIALECT,
    HOLE,
    ITEM,
    ITEM_REST,
    JSON_HOLE,
    NONE,
    OUTPUTS,
    SAME,
)

Group = list[tuple[Part, Extension]]


def logprobs_of(text: str) -> list[Any]:
    """The list in log-probabilities of OpenAI's form; empty for any other."""
    try:
        value = decode_json(text) if text else None
    except ValueError:
        return []
    content = value.get("content") if isinstance(value, dict) else None
    return content if isinstance(content, list) else []


class Logprobs:
    """The log-probabilities of an answer, dealt out to its texts."""

    def __init__(self, text: str, parts: Sequence[Part] = ()) -> None:
        self._left = logprobs_of(text)
        self._next = 0
        self._only = sum(bool(part.text) for part in parts) == 1

    def take(self, part: Part, extension: Extension) -> list[Any]:
        """Those of the next text: as many as it came with, all for the only text, else those that it is made of."""
        start, count = self._next, extension.shape.get("logprobs")
        if type(count) is int:
            self._next += max(count, 0)
        elif self._only:
            self._next = len(self._left)
        else:
            length = 0
            while self._next < len(self._left) and (word := _token(self._left[self._next])):
                if not part.text.startswith(word, length):
                    break
                length += len(word)
                self._next += 1
        return self._left[start : self._next]


def _token(value: Any) -> str:
    word = value.get("token") if isinstance(value, dict) else None
    return word if isinstance(word, str) else ""


_NO_LOGPROBS: Final = Logprobs("")


def groups(parts: Sequence[Part]) -> Iterable[tuple[JsonObject | None, Group]]:
    """The parts by item: with the kept item, or None for a part that no item of this dialect had."""
    position, count = 0, len(parts)
    while position < count:
        extension = Extension(parts[position].extensions, DIALECT)
        group = [(parts[position], extension)]
        kept = extension.shape.get(ITEM)
        position += 1
        if not isinstance(kept, dict):
            yield None, group
            continue
        while position < count:
            extension = Extension(parts[position].extensions, DIALECT)
            if SAME not in extension.shape:
                break
            group.append((parts[position], extension))
            position += 1
        yield kept, group


def restore(kept: JsonObject, group: Group, logprobs: Logprobs = _NO_LOGPROBS) -> JsonObject:
    """The item that these parts were."""
    rest = group[0][1].members.pop(ITEM_REST, None)
    item: JsonObject = {**kept, **(rest if isinstance(rest, dict) else {})}
    kind = kept.get("type")
    if kind == "reasoning":
        _restore_reasoning(item, group)
    elif isinstance(kind, str) and kind in CALLS:
        call = group[0][0].tool_call
        _fill(item, {"call_id": call.id, "id": call.item_id, "name": call.name})
        _fill_json(item, CALLS[kind], call.arguments)
    elif isinstance(kind, str) and kind in OUTPUTS:
        result = group[0][0].tool_result
        _fill(item, {"call_id": result.call_id, "name": result.name})
        if item.get("output") == HOLE:
            item["output"] = "".join(part.text for part in result.parts)
        elif isinstance(item.get("output"), list):
            inner = [(part, Extension(part.extensions, DIALECT)) for part in result.parts]
            item["output"] = _refill(
                item["output"], inner, lambda *pair: write_content(pair[0], INPUT, pair[1])
            )
    elif kind == "image_generation_call":
        _fill(item, {"result": encode_base64(group[0][0].media.data)})
    else:
        _restore_message(item, group, logprobs)
    return item


def item_of_opaque(part: Part) -> JsonObject:
    """The item that is carried whole; raise RequestInvalid if it is no JSON object."""
    item = request_json(part.opaque.json, "opaque.json")
    return item if isinstance(item, dict) else {}


def _restore_message(item: JsonObject, group: Group, logprobs: Logprobs) -> None:
    own = OUTPUT if item.get("role") == "assistant" else INPUT
    if item.get("content") == HOLE:
        item["content"] = "".join(part.text for part, _ in group)
    elif isinstance(item.get("content"), list):
        group = [pair for pair in group if NONE not in pair[1].shape]

        def write(part: Part, extension: Extension) -> Any:
            mine = logprobs.take(part, extension) if own == OUTPUT and part.text else None
            return write_content(part, own, extension, mine)

        item["content"] = _refill(item["content"], group, write)


def _restore_reasoning(item: JsonObject, group: Group) -> None:
    said = [pair for pair in group if NONE not in pair[1].shape]
    summaries = [pair for pair in said if pair[0].reasoning.summaries]
    texts = [pair for pair in said if not pair[0].reasoning.summaries]
    for name, kind, pairs in (("summary", "summary_text", summaries), ("content", "reasoning_text", texts)):
        kept = item.get(name)
        if isinstance(kept, list) or pairs:
            item[name] = _refill(kept if isinstance(kept, list) else [], pairs, _thought_writer(kind))
    item_id = next((part.reasoning.id for part, _ in group if part.reasoning.id), "")
    state = next((part.state for part, _ in reversed(group) if part.HasField("state")), None)
    _fill(item, {"id": item_id})
    if state is not None and item.get("encrypted_content") in (None, HOLE):
        item["encrypted_content"] = write_state(state)
    elif item.get("encrypted_content") == HOLE:
        del item["encrypted_content"]


def _thought_writer(kind: str) -> Callable[[Part, Extension], JsonObject]:
    def write(part: Part, extension: Extension) -> JsonObject:
        reasoning = part.reasoning
        text = "\n".join(reasoning.summaries) if kind == "summary_text" else reasoning.text
        return extension.merge({"type": kind, "text": text})

    return write


def _fill(item: JsonObject, values: dict[str, str]) -> None:
    for name, value in values.items():
        if item.get(name) == HOLE:
            if value:
                item[name] = value
            else:
                del item[name]


def _fill_json(item: JsonObject, name: str, text: str) -> None:
    if item.get(name) == HOLE:
        item[name] = text
    elif item.get(name) == JSON_HOLE:
        try:
            item[name] = decode_json(text)
        except ValueError:
            item[name] = text


def _refill(kept: list[Any], group: Group, write: Callable[[Part, Extension], Any]) -> list[Any]:
    """A list with its holes filled in order; parts without a hole follow, holes without a part vanish."""
    written: list[Any] = []
    pairs = iter(group)
    for element in kept:
        if element == HOLE:
            pair = next(pairs, None)
            if pair is not None:
                written.append(write(*pair))
        else:
            written.append(element)
    written.extend(write(*pair) for pair in pairs)
    return written
