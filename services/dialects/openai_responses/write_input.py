"""Messages as the instructions and input of a request."""

from __future__ import annotations

from typing import Any

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Message, Part, Role, ToolKind
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject
from services.dialects.openai_responses.adapt import adapt, report
from services.dialects.openai_responses.content import INPUT, write_content
from services.dialects.openai_responses.read_input import INSTRUCTIONS, STRING
from services.dialects.openai_responses.state import is_own, write_state
from services.dialects.openai_responses.wire import (
    DIALECT,
    ENCRYPTED,
    ROLE_WORDS,
    is_made,
    made_id,
    short_call_id,
)
from services.dialects.openai_responses.write_items import Group, groups, item_of_opaque, restore
from services.runtime.errors import RequestInvalid, Violation

_LOST_REASONING = "reasoning of another provider cannot be sent back here"


def write_input(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    """Write `instructions` and `input`."""
    messages = list(request.messages)
    native = DIALECT in request.extensions
    shape = Extension(request.extensions, DIALECT).shape
    if (native or len(messages) > 1) and messages and _is_instructions(messages[0], native=native):
        body["instructions"] = messages[0].parts[0].text
        losses.foreign(messages[0].extensions, DIALECT, "messages[0]")
        report(messages[0].parts[0], "messages[0].parts[0]", losses)
    first = 1 if "instructions" in body else 0
    if shape.get(STRING) == "string" and len(messages) == first + 1 and len(messages[first].parts) == 1:
        body["input"] = messages[first].parts[0].text
        return
    writer = _Input(request, losses)
    for number in range(first, len(messages)):
        writer.message(messages[number], f"messages[{number}]")
    if not (writer.items or native):
        fault = "must hold something that can be sent to OpenAI"
        raise RequestInvalid(f"messages {fault}", violations=(Violation("messages", fault),))
    if writer.items or STRING in shape:
        body["input"] = writer.items


def _is_instructions(message: Message, *, native: bool) -> bool:
    if native or DIALECT in message.extensions:
        return INSTRUCTIONS in Extension(message.extensions, DIALECT).shape and len(message.parts) == 1
    parts = message.parts
    plain = len(parts) == 1 and parts[0].WhichOneof("kind") == "text" and DIALECT not in parts[0].extensions
    return message.role == Role.ROLE_SYSTEM and plain and bool(parts[0].text)


class _Input:
    """Writes messages as items."""

    def __init__(self, request: GenerateRequest, losses: Losses) -> None:
        self.items: list[Any] = []
        self._losses = losses
        self._customs: set[str] = set()
        for message in request.messages:
            for part in message.parts:
                if part.HasField("tool_call") and part.tool_call.kind == ToolKind.TOOL_KIND_CUSTOM:
                    self._customs.add(part.tool_call.id)

    def message(self, message: Message, where: str) -> None:
        self._losses.foreign(message.extensions, DIALECT, where)
        if message.name:
            self._losses.dropped(f"{where}.name", "names of participants are not known here")
        number = 0
        content: list[Any] = []
        for kept, group in groups(message.parts):
            part, path = group[0][0], f"{where}.parts[{number}]"
            number += len(group)
            plain = kept is None and message.role != Role.ROLE_ASSISTANT
            if plain and part.WhichOneof("kind") not in {"tool_result", "tool_call", "reasoning"}:
                if part.HasField("opaque") and part.opaque.dialect == DIALECT:
                    self._say(message, content)
                    self.items.append(item_of_opaque(part))
                    continue
                adapted = adapt([part], where, self._losses)
                content.extend(
                    write_content(each, INPUT, Extension(each.extensions, DIALECT)) for each in adapted
                )
                continue
            self._say(message, content)
            if kept is not None:
                self._kept(kept, group, path)
            elif part.HasField("tool_result"):
                self._result(part, path)
            else:
                self._spoken(part, path)
        self._say(message, content)

    def _say(self, message: Message, content: list[Any]) -> None:
        """Write the content gathered so far as a message."""
        if not content:
            return
        only = content[0] if len(content) == 1 else None
        plain = isinstance(only, dict) and only.keys() == {"type", "text"} and only["type"] == INPUT
        self.items.append(
            {
                "type": "message",
                "role": ROLE_WORDS.get(message.role, "user"),
                "content": only["text"] if plain and isinstance(only, dict) else list(content),
            }
        )
        content.clear()

    def _kept(self, kept: JsonObject, group: Group, path: str) -> None:
        for part, _ in group:
            report(part, path, self._losses)
        state = next((part.state for part, _ in group if part.HasField("state")), None)
        item = restore(kept, group)
        made = is_made(item.get("id"))
        if item.get("type") == "reasoning" and (
            made or (state is not None and not is_own(state)) or group[0][0].WhichOneof("kind") != "reasoning"
        ):
            self._losses.dropped(path, _LOST_REASONING)
            return
        if made:
            # No provider knows the id, and each asks for its own.
            del item["id"]
        self.items.append(item)

    def _result(self, part: Part, path: str) -> None:
        report(part, path, self._losses)
        result = part.tool_result
        if result.is_error:
            self._losses.dropped(f"{path}.tool_result.is_error", "a tool's failure is told by its text only")
        parts = adapt(result.parts, f"{path}.tool_result", self._losses)
        custom = result.call_id in self._customs
        output: Any
        if all(each.WhichOneof("kind") == "text" for each in parts) and len(parts) <= 1:
            output = parts[0].text if parts else ""
        else:
            output = [write_content(each, INPUT, Extension(each.extensions, DIALECT)) for each in parts]
        self.items.append(
            {
                "type": "custom_tool_call_output" if custom else "function_call_output",
                "call_id": short_call_id(result.call_id),
                "output": output,
            }
        )

    def _spoken(self, part: Part, path: str) -> None:
        """Write what the model said in another dialect."""
        kind = part.WhichOneof("kind")
        if kind == "reasoning":
            self._reasoning(part, path)
            return
        if kind == "opaque" and part.opaque.dialect == DIALECT:
            self.items.append(item_of_opaque(part))
            return
        if kind == "media":
            self._losses.dropped(path, "the model's media cannot be sent back here")
            return
        report(part, path, self._losses)
        if part.citations:
            self._losses.dropped(f"{path}.citations", "citations of earlier answers are not sent back")
        if kind == "text" and part.text:
            self.items.append({"type": "message", "role": "assistant", "content": part.text})
        elif kind == "refusal":
            content = [{"type": "refusal", "refusal": part.refusal}]
            number = len(self.items)
            self.items.append(
                {
                    "type": "message",
                    "id": made_id("msg", "", number),
                    "status": "completed",
                    "role": "assistant",
                    "content": content,
                }
            )
        elif kind == "tool_call":
            self.items.append(_call(part))
        elif kind == "opaque":
            self._losses.dropped(path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}")

    def _reasoning(self, part: Part, path: str) -> None:
        if not (part.HasField("state") and is_own(part.state)):
            self._losses.dropped(path, _LOST_REASONING)
            return
        reasoning = part.reasoning
        item: JsonObject = {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": text} for text in reasoning.summaries],
            ENCRYPTED: write_state(part.state),
        }
        if reasoning.id:
            item["id"] = reasoning.id
        if reasoning.text:
            item["content"] = [{"type": "reasoning_text", "text": reasoning.text}]
        self.items.append(item)


def _call(part: Part) -> JsonObject:
    call = part.tool_call
    custom = call.kind == ToolKind.TOOL_KIND_CUSTOM
    item: JsonObject = {
        "type": "custom_tool_call" if custom else "function_call",
        "call_id": short_call_id(call.id),
        "name": call.name,
        "input" if custom else "arguments": call.arguments,
    }
    if call.item_id and not is_made(call.item_id):
        item["id"] = call.item_id
    return item
