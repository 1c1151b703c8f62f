"""Items to parts: of a request's input and of an answer's output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from llmhub.types.v1.content_pb2 import MediaKind, Part, ToolKind
from services.dialects.data_urls import decode_base64
from services.dialects.members import JsonObject, Members, json_text
from services.dialects.openai_responses.content import INPUT, OUTPUT, read_content
from services.dialects.openai_responses.state import carried_state, own_state, read_state
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

_KNOWN: Final = frozenset(
    {
        "type",
        "id",
        "status",
        "role",
        "phase",
        "content",
        "call_id",
        "name",
        "arguments",
        "input",
        "output",
        "summary",
        "encrypted_content",
        "result",
        "output_format",
    }
)
"""Members that stay in an item's hint; others are what only this dialect understands, and are reported when lost."""


@dataclass(slots=True)
class Reading:
    """One run over items. `answer`: they are output, whose texts are the model's and whose images are content."""

    answer: bool = False
    logprobs: list[Any] = field(default_factory=list)
    call_prefix: str = "call_"
    calls: int = 0
    last: Part | None = None

    def parts_of(self, item: JsonObject) -> list[Part]:
        """The parts of one item; the object is taken apart.

        None, where the item only carries the state of the part before.
        """
        carries = item.get("type") == "reasoning" and not self.answer
        state = carried_state(item) if carries else None
        if state is not None and self.last is not None:
            self.last.state.CopyFrom(state)
            return []
        parts = self._parts_of(item)
        self.last = parts[-1]
        return parts

    def _parts_of(self, item: JsonObject) -> list[Part]:
        kind = item.get("type")
        if (kind is None and "role" in item) or kind == "message":
            return self._message(item)
        if kind == "reasoning":
            return self._reasoning(item)
        if isinstance(kind, str) and kind in CALLS:
            return [self._call(item, kind)]
        if isinstance(kind, str) and kind in OUTPUTS:
            return [self._result(item)]
        if kind == "image_generation_call" and self.answer and (part := _image(item)) is not None:
            return [part]
        return [opaque_item(item)]

    def _message(self, item: JsonObject) -> list[Part]:
        own = OUTPUT if item.get("role") == "assistant" else INPUT
        content = item.get("content")
        found: list[tuple[Part, Members]] = []
        if isinstance(content, str):
            found.append((Part(text=content), Members({})))
            item["content"] = HOLE
        elif isinstance(content, list):
            for number, element in enumerate(content):
                if isinstance(element, dict):
                    logprobs = self.logprobs if self.answer and own == OUTPUT else None
                    found.append(read_content(element, own, logprobs))
                    content[number] = HOLE
        return _bound(item, found or [(Part(text=""), nothing())])

    def _reasoning(self, item: JsonObject) -> list[Part]:
        found: list[tuple[Part, Members]] = []
        for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
            value = item.get(name)
            elements: list[Any] = value if isinstance(value, list) else []
            for number, element in enumerate(elements):
                if _is_text(element, kind):
                    members = Members(element)
                    part = Part()
                    text = members.text("text") or ""
                    if name == "summary":
                        part.reasoning.summaries.append(text)
                    else:
                        part.reasoning.text = text
                    del element["type"]
                    found.append((part, members))
                    elements[number] = HOLE
        encrypted = item.get("encrypted_content")
        if not found:
            found.append((Part(), nothing()))
            found[0][0].reasoning.redacted = isinstance(encrypted, str)
        if isinstance(encrypted, str) and encrypted:
            found[-1][0].state.CopyFrom(own_state(encrypted) if self.answer else read_state(encrypted))
            item["encrypted_content"] = HOLE
        item_id = item.get("id")
        if isinstance(item_id, str) and item_id:
            item["id"] = HOLE
            for part, _ in found:
                part.reasoning.id = item_id
        for part, _ in found:
            part.reasoning.SetInParent()
        return _bound(item, found)

    def _call(self, item: JsonObject, kind: str) -> Part:
        part = Part()
        call = part.tool_call
        call.kind = ToolKind.TOOL_KIND_FUNCTION if kind == "function_call" else ToolKind.TOOL_KIND_CUSTOM
        call_id = item.get("call_id")
        if isinstance(call_id, str) and call_id:
            call.id = call_id
            item["call_id"] = HOLE
        else:
            call.id = f"{self.call_prefix}{self.calls}"
            call.id_generated = True
        self.calls += 1
        for name, target in (("id", "item_id"), ("name", "name")):
            word = item.get(name)
            if isinstance(word, str) and word:
                setattr(call, target, word)
                item[name] = HOLE
        arguments = item.get(CALLS[kind])
        if isinstance(arguments, str):
            call.arguments = arguments
            item[CALLS[kind]] = HOLE
        elif arguments is not None:
            call.arguments = json_text(arguments)
            item[CALLS[kind]] = JSON_HOLE
        return _bound(item, [(part, Members({}))])[0]

    def _result(self, item: JsonObject) -> Part:
        part = Part()
        result = part.tool_result
        result.SetInParent()
        for name in ("call_id", "name"):
            word = item.get(name)
            if isinstance(word, str) and word:
                setattr(result, name, word)
                item[name] = HOLE
        output = item.get("output")
        if isinstance(output, str) and output:
            result.parts.add().text = output
            item["output"] = HOLE
        elif isinstance(output, list):
            for number, element in enumerate(output):
                if isinstance(element, dict):
                    inner, members = read_content(element, INPUT)
                    members.save(inner.extensions, DIALECT)
                    result.parts.append(inner)
                    output[number] = HOLE
        return _bound(item, [(part, Members({}))])[0]


def opaque_item(item: JsonObject) -> Part:
    """Carry an item as it is."""
    part = Part()
    kind = item.get("type")
    part.opaque.dialect = DIALECT
    part.opaque.type = kind if isinstance(kind, str) else "item_reference"
    part.opaque.json = json_text(item)
    return part


def is_output(item: JsonObject) -> bool:
    """Whether an item that is carried whole was said by the caller, not by the model."""
    kind = item.get("type")
    return isinstance(kind, str) and (kind.endswith("_output") or kind == "mcp_approval_response")


def bind_first(part: Part, members: Members, item: JsonObject) -> None:
    """Let an item begin with this part."""
    rest = {name: item.pop(name) for name in list(item) if name not in _KNOWN}
    if rest:
        members.rest[ITEM_REST] = rest
    members.hint(ITEM, item)
    members.save(part.extensions, DIALECT)


def bind_next(part: Part, members: Members) -> None:
    """Let the item of the part before go on with this one."""
    members.hint(SAME)
    members.save(part.extensions, DIALECT)


def _bound(item: JsonObject, found: list[tuple[Part, Members]]) -> list[Part]:
    bind_first(*found[0], item)
    for part, members in found[1:]:
        bind_next(part, members)
    return [part for part, _ in found]


def nothing() -> Members:
    """Of a part that stands for an item without content."""
    members = Members({})
    members.hint(NONE)
    return members


def _is_text(element: Any, kind: str) -> bool:
    return isinstance(element, dict) and element.get("type") == kind and isinstance(element.get("text"), str)


def _image(item: JsonObject) -> Part | None:
    """An image that the vendor's tool made, as content."""
    result = item.get("result")
    data = decode_base64(result) if isinstance(result, str) and result else None
    if data is None:
        return None
    part = Part()
    part.media.kind = MediaKind.MEDIA_KIND_IMAGE
    part.media.data = data
    form = item.get("output_format")
    if isinstance(form, str) and form:
        part.media.mime_type = f"image/{form}"
    item["result"] = HOLE
    return _bound(item, [(part, Members({}))])[0]
