"""The output of an answer: items of this dialect as they were, parts of any origin as the vendor would write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmhub.types.v1.content_pb2 import Media, MediaKind, OpaqueState, Part, ToolKind
from services.dialects.data_urls import encode_base64
from services.dialects.members import Extension, JsonObject
from services.dialects.openai_responses.content import OUTPUT, write_content
from services.dialects.openai_responses.state import carrier_item, write_state
from services.dialects.openai_responses.wire import DIALECT, ENCRYPTED, made_id
from services.dialects.openai_responses.write_items import Logprobs, groups, item_of_opaque, restore


def output_items(parts: Sequence[Part], response_id: str, logprobs: Logprobs) -> list[JsonObject]:
    """Write the output; what has no form here is left out."""
    writer = _Output(response_id, logprobs)
    for kept, group in groups(parts):
        if kept is not None:
            writer.close()
            writer.items.append(restore(kept, group, logprobs))
        else:
            writer.part(group[0][0], group[0][1])
    writer.close()
    return writer.items


class _Output:
    def __init__(self, response_id: str, logprobs: Logprobs) -> None:
        self.items: list[JsonObject] = []
        self._response_id = response_id
        self._logprobs = logprobs
        self._content: list[Any] = []

    def part(self, part: Part, extension: Extension) -> None:
        kind = part.WhichOneof("kind")
        if kind in {"text", "refusal"} or spoken(part):
            self._say(part, extension)
        elif kind == "opaque" and part.opaque.dialect == DIALECT:
            self.close()
            self.items.append(item_of_opaque(part))
        elif kind in {"tool_call", "reasoning"} or shown(part):
            self.close()
            number = len(self.items)
            if kind == "tool_call":
                self.items.append(call_item(part, self._response_id, number))
                self._carry(part)
            elif kind == "reasoning":
                self.items.append(reasoning_item(part, self._response_id, number))
            else:
                self.items.append(image_item(part.media, self._response_id, number))

    def _say(self, part: Part, extension: Extension) -> None:
        mine = self._logprobs.take(part, extension) if part.text else None
        self._content.append(content_of(part, extension, mine))
        if part.HasField("state"):
            self.close()
            self._carry(part)

    def _carry(self, part: Part) -> None:
        if part.HasField("state"):
            self.items.append(carrier(part.state, self._response_id, len(self.items)))

    def close(self) -> None:
        """End the message that texts went to."""
        if self._content:
            item = message_item(self._content, self._response_id, len(self.items))
            self.items.append(item)
            self._content = []


def spoken(part: Part) -> bool:
    """Whether a part is sound with words, which are written as text."""
    return part.media.kind == MediaKind.MEDIA_KIND_AUDIO and bool(part.media.transcript)


def shown(part: Part) -> bool:
    """Whether a part is an image by value."""
    return part.media.kind == MediaKind.MEDIA_KIND_IMAGE and part.media.WhichOneof("source") == "data"


def content_of(part: Part, extension: Extension | None = None, logprobs: list[Any] | None = None) -> Any:
    """One element of a message's content."""
    if spoken(part):
        part = Part(text=part.media.transcript)
    return write_content(part, OUTPUT, extension or Extension({}, DIALECT), logprobs)


def message_item(content: list[Any], response_id: str, number: int, status: str = "completed") -> JsonObject:
    """A message of the model."""
    return {
        "type": "message",
        "id": made_id("msg", response_id, number),
        "status": status,
        "role": "assistant",
        "content": content,
    }


def call_item(part: Part, response_id: str, number: int, status: str = "completed") -> JsonObject:
    """A call of one of the caller's tools."""
    call = part.tool_call
    custom = call.kind == ToolKind.TOOL_KIND_CUSTOM
    return {
        "type": "custom_tool_call" if custom else "function_call",
        "id": call.item_id or made_id("ctc" if custom else "fc", response_id, number),
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "input" if custom else "arguments": call.arguments,
    }


def reasoning_item(part: Part, response_id: str, number: int) -> JsonObject:
    """Reasoning, with the state that must come back."""
    reasoning = part.reasoning
    item: JsonObject = {
        "type": "reasoning",
        "id": reasoning.id or made_id("rs", response_id, number),
        "summary": [{"type": "summary_text", "text": text} for text in reasoning.summaries],
    }
    if reasoning.text:
        item["content"] = [{"type": "reasoning_text", "text": reasoning.text}]
    if part.HasField("state"):
        item[ENCRYPTED] = write_state(part.state)
    return item


def image_item(media: Media, response_id: str, number: int) -> JsonObject:
    """An image, as the vendor's own tool gives one."""
    item: JsonObject = {
        "type": "image_generation_call",
        "id": made_id("ig", response_id, number),
        "status": "completed",
        "result": encode_base64(media.data),
    }
    if media.mime_type.startswith("image/"):
        item["output_format"] = media.mime_type.removeprefix("image/")
    return item


def carrier(state: OpaqueState, response_id: str, number: int) -> JsonObject:
    """An item with the state of the part before."""
    return carrier_item(state, made_id("rs", response_id, number))
