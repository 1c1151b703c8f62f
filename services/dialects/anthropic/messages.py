"""The conversation, both ways.

A user turn of Anthropic may hold tool results and other content; the contract has a role for each. Reading splits the
turn, writing joins what stands together. Hints keep turns apart that were apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import (
    ROLE_ASSISTANT,
    ROLE_DEVELOPER,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    Message,
    Part,
    Role,
)
from services.dialects.anthropic.read_blocks import Faults, read_blocks
from services.dialects.anthropic.wire import DIALECT, Block, object_keeping
from services.dialects.anthropic.write_blocks import BlockWriter
from services.dialects.bounds import MOST_MESSAGES, MOST_PARTS
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.dialects.quiet import merge_back
from services.dialects.raw_json import elements
from services.runtime.errors import RequestInvalid, Violation

_ROLES: Final = {"user": ROLE_USER, "assistant": ROLE_ASSISTANT, "system": ROLE_SYSTEM}
_ABOVE: Final = {ROLE_SYSTEM, ROLE_DEVELOPER}

_CONTENT: Final = "content"
"""How the content was written: as a string, or empty in one of two ways."""
_INLINE: Final = "inline"
"""A system message stood among the messages."""
_TURN: Final = "turn"
"""A message began a turn although the one before had the same role."""
_JOINED: Final = "joined"
"""Tool results stood behind other content of the same turn."""


def read_system(raw: msgspec.Raw, faults: Faults) -> Message | None:
    """Read `system`; None if it is empty. Raise ValueError unless it is a string or an array of blocks."""
    message = Message(role=ROLE_SYSTEM)
    members = Members({})
    _content(raw, "system", members, message.parts, faults)
    if not message.parts or (len(message.parts) == 1 and message.parts[0] == Part(text="")):
        return None
    members.save(message.extensions, DIALECT)
    return message


def read_messages(raw: msgspec.Raw, faults: Faults) -> Iterator[Message]:
    """Read `messages`; raise ValueError unless it is an array of objects."""
    before: Role.ValueType | None = None
    turns = elements(raw)
    _require(len(turns) <= MOST_MESSAGES, f"must hold at most {MOST_MESSAGES}")
    room = MOST_PARTS
    for index, element in enumerate(turns):
        path = f"messages[{index}]"
        members = Members(object_keeping(element, "content"), path, faults)
        role = _ROLES.get(members.text("role") or "")
        if role is None:
            if faults is not None:
                faults.append(Violation(f"{path}.role", "must be user, assistant or system"))
            continue
        parts: list[Part] = []
        content = members.rest.pop("content", None)
        if content is None and faults is not None:
            faults.append(Violation(f"{path}.content", "is required"))
        elif content is not None:
            _content(content, f"{path}.content", members, parts, faults)
        room -= len(parts)
        _require(room >= 0, f"must hold at most {MOST_PARTS} blocks")
        if role == ROLE_USER and before == ROLE_USER:
            members.hint(_TURN)
        if role == ROLE_SYSTEM:
            members.hint(_INLINE)
        yield from _turn(role, parts, members)
        before = role


def _require(kept: bool, rule: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise ValueError(rule)


def write_conversation(messages: Sequence[Message], losses: Losses) -> JsonObject:
    """Write `system` and `messages`."""
    writer = BlockWriter(losses, answer=False)
    leading = 0
    while leading < len(messages) and _is_above(messages[leading]):
        leading += 1
    if leading == len(messages) and leading:
        # Anthropic wants at least one message, so the last instruction is said by the user.
        leading -= 1
    body: JsonObject = {}
    if leading:
        body["system"] = _system(messages[:leading], writer, losses)
        if not body["system"]:
            del body["system"]
    turns: list[JsonObject] = []
    for index in range(leading, len(messages)):
        _append(turns, messages[index], f"messages[{index}]", writer, losses)
    if not turns:
        fault = Violation("messages", "must hold something that can be sent to Anthropic")
        raise RequestInvalid(f"{fault.field} {fault.message}", violations=(fault,))
    body["messages"] = turns
    return body


def _content(raw: msgspec.Raw, path: str, members: Members, parts: Any, faults: Faults) -> None:
    if bytes(memoryview(raw)[:1]) == b"[":
        parts.extend(read_blocks(raw, path, faults))
        if not parts:
            members.hint(_CONTENT, "[]")
        return
    text = decode_json(raw)
    if type(text) is not str:
        if faults is not None:
            faults.append(Violation(path, "must be a string or an array of blocks"))
        return
    members.hint(_CONTENT, "string")
    parts.append(Part(text=text))


def _turn(role: Role.ValueType, parts: list[Part], members: Members) -> Iterator[Message]:
    """One message; for a user's turn with tool results, one for each run of results or other parts."""
    if role != ROLE_USER or not any(part.HasField("tool_result") for part in parts):
        message = Message(role=role, parts=parts)
        members.save(message.extensions, DIALECT)
        yield message
        return
    start = 0
    for end in range(1, len(parts) + 1):
        is_result = parts[start].HasField("tool_result")
        if end < len(parts) and parts[end].HasField("tool_result") == is_result:
            continue
        message = Message(role=ROLE_TOOL if is_result else ROLE_USER, parts=parts[start:end])
        if start and is_result:
            members.hint(_JOINED)
        members.save(message.extensions, DIALECT)
        members = Members({})
        yield message
        start = end


def _is_above(message: Message) -> bool:
    return message.role in _ABOVE and _INLINE not in Extension(message.extensions, DIALECT).shape


def _system(messages: Sequence[Message], writer: BlockWriter, losses: Losses) -> str | list[Block]:
    if len(messages) == 1:
        shape = Extension(messages[0].extensions, DIALECT).shape
        if shape.get(_CONTENT) == "string" and len(messages[0].parts) == 1:
            return messages[0].parts[0].text
    blocks: list[Block] = []
    for index, message in enumerate(messages):
        losses.foreign(message.extensions, DIALECT, f"messages[{index}]")
        blocks.extend(writer.write_all(message.parts, f"messages[{index}]"))
    return blocks


def _append(
    turns: list[JsonObject], message: Message, path: str, writer: BlockWriter, losses: Losses
) -> None:
    """Add a message to the turns, joining it to the last one where both are the user's."""
    extension = Extension(message.extensions, DIALECT)
    losses.foreign(message.extensions, DIALECT, path)
    if message.name:
        losses.dropped(f"{path}.name", "Anthropic has no names of participants")
    role = _wire_role(message, extension, path, losses)
    blocks = writer.write_all(message.parts, path)
    shape = extension.shape.get(_CONTENT)
    content: str | list[Block] = blocks
    if shape == "string" and len(message.parts) == 1:
        content = message.parts[0].text
    elif not blocks and shape != "[]":
        losses.dropped(path, "a message without content is not sent")
        return
    last = turns[-1] if turns else None
    if role == "user" and last is not None and last["role"] == "user" and _TURN not in extension.shape:
        _join(last, content, in_order=_JOINED in extension.shape)
        return
    turns.append(merge_back({"role": role, "content": content}, extension))


def _wire_role(message: Message, extension: Extension, path: str, losses: Losses) -> str:
    if message.role == ROLE_ASSISTANT:
        return "assistant"
    if message.role in _ABOVE:
        if _INLINE in extension.shape:
            return "system"
        losses.emulated(path, "an instruction behind the first message is sent as the user's words")
    return "user"


def _join(turn: JsonObject, content: str | list[Block], *, in_order: bool) -> None:
    """Add content to a user's turn; tool results go before anything else, as Anthropic wants them."""
    mine: list[Block] = _as_blocks(turn["content"])
    added = _as_blocks(content)
    turn["content"] = mine
    if in_order:
        mine += added
        return
    # Thousands of messages may join one turn, so nothing is counted or copied again for each.
    first = [block for block in added if _is_result(block)]
    if first:
        place = bisect_left(mine, True, key=lambda block: not _is_result(block))
        mine[place:place] = first
    mine += [block for block in added if not _is_result(block)]


def _as_blocks(content: str | list[Block]) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _is_result(block: Block) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"
