"""The conversation, both ways.

A user turn of Bedrock may hold tool results and other content; the contract has a role for each. Reading splits the
turn, writing joins what stands together, since turns must alternate. Hints keep turns apart that were apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

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
from services.dialects.bedrock.read_blocks import Faults, read_blocks
from services.dialects.bedrock.wire import DIALECT, Block
from services.dialects.bedrock.write_blocks import BlockWriter
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back
from services.dialects.raw_json import elements, object_keeping
from services.runtime.errors import Violation

_ROLES: Final = {"user": ROLE_USER, "assistant": ROLE_ASSISTANT, "system": ROLE_SYSTEM}
_ABOVE: Final = {ROLE_SYSTEM, ROLE_DEVELOPER}
_SYSTEM_BLOCKS: Final = {"text", "guardContent", "cachePoint"}

_EMPTY: Final = "empty"
"""The message had no content."""
_INLINE: Final = "inline"
"""A system message stood among the messages."""
_TURN: Final = "turn"
"""A message began a turn although the one before had the same role."""
_JOINED: Final = "joined"
"""Tool results stood behind other content of the same turn."""


def read_system(raw: msgspec.Raw, faults: Faults) -> Message | None:
    """Read `system`; None if it is empty. Raise ValueError unless it is an array of blocks."""
    parts = read_blocks(raw, "system", faults)
    return Message(role=ROLE_SYSTEM, parts=parts) if parts else None


def read_messages(raw: msgspec.Raw, faults: Faults) -> Iterator[Message]:
    """Read `messages`; raise ValueError unless it is an array of objects."""
    before: Role.ValueType | None = None
    for index, element in enumerate(elements(raw)):
        path = f"messages[{index}]"
        members = Members(object_keeping(element, "content"), path, faults)
        role = _ROLES.get(members.text("role") or "")
        if role is None:
            if faults is not None:
                faults.append(Violation(f"{path}.role", "must be user, assistant or system"))
            continue
        content = members.rest.pop("content", None)
        if content is None or bytes(memoryview(content)[:1]) != b"[":
            if faults is not None:
                faults.append(Violation(f"{path}.content", "must be an array of blocks"))
            continue
        parts = read_blocks(content, f"{path}.content", faults)
        if not parts:
            members.hint(_EMPTY)
        if role == before:
            members.hint(_TURN)
        if role == ROLE_SYSTEM:
            members.hint(_INLINE)
        yield from _turn(role, parts, members)
        before = role


def write_conversation(messages: Sequence[Message], losses: Losses, *, own: bool) -> JsonObject:
    """Write `system` and `messages`."""
    writer = BlockWriter(losses, answer=False, own=own)
    leading = 0
    while leading < len(messages) and _is_above(messages[leading]):
        leading += 1
    if leading == len(messages) and leading and not own:
        # Bedrock wants at least one message, so the last instruction is said by the user.
        leading -= 1
    body: JsonObject = {}
    system: list[Block] = []
    for index in range(leading):
        system.extend(_system(messages[index], f"messages[{index}]", writer, losses))
    if system:
        body["system"] = system
    turns = _Turns()
    for index in range(leading, len(messages)):
        message, path = messages[index], f"messages[{index}]"
        extension = Extension(message.extensions, DIALECT)
        losses.foreign(message.extensions, DIALECT, path)
        if message.name:
            losses.dropped(f"{path}.name", "Bedrock has no names of participants")
        role = _wire_role(message, extension, path, losses)
        blocks = writer.write_all(message.parts, path)
        if blocks or _EMPTY in extension.shape:
            turns.add(role, blocks, extension)
    if turns.turns:
        body["messages"] = turns.turns
    return body


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


def _system(message: Message, path: str, writer: BlockWriter, losses: Losses) -> Iterator[Block]:
    """The blocks that may stand among the instructions."""
    losses.foreign(message.extensions, DIALECT, path)
    for block in writer.write_all(message.parts, path):
        if isinstance(block, dict) and not _SYSTEM_BLOCKS.issuperset(block):
            losses.dropped(path, f"Bedrock's instructions cannot hold {next(iter(block))}")
        else:
            yield block


class _Turns:
    """The turns so far, and how many blocks of the last one are results, or marks behind results."""

    __slots__ = ("_results", "turns")

    def __init__(self) -> None:
        self.turns: list[JsonObject] = []
        self._results = 0

    def add(self, role: str, blocks: list[Block], extension: Extension) -> None:
        """Add a message, joining it to the last turn where both have the same role."""
        last = self.turns[-1] if self.turns else None
        if last is None or last["role"] != role or _TURN in extension.shape:
            self.turns.append(merge_back({"role": role, "content": blocks}, extension))
            self._results = len(list(takewhile(_is_result_or_mark, blocks)))
        elif role != "user" or _JOINED in extension.shape:
            last["content"] += blocks
        else:
            self._join(last["content"], blocks)

    def _join(self, turn: list[Block], added: list[Block]) -> None:
        """Add blocks to a user's turn; results go before anything else, as models want them, with their marks."""
        first: list[Block] = []
        rest: list[Block] = []
        here = rest
        for block in added:
            if not _is(block, "cachePoint"):
                here = first if _is(block, "toolResult") else rest
            here.append(block)
        turn[self._results : self._results] = first
        self._results += len(first)
        turn += rest


def _wire_role(message: Message, extension: Extension, path: str, losses: Losses) -> str:
    if message.role == ROLE_ASSISTANT:
        return "assistant"
    if message.role in _ABOVE:
        if _INLINE in extension.shape:
            return "system"
        losses.emulated(path, "an instruction behind the first message is sent as the user's words")
    return "user"


def _is(block: Block, member: str) -> bool:
    return isinstance(block, dict) and member in block


def _is_result_or_mark(block: Block) -> bool:
    return _is(block, "toolResult") or _is(block, "cachePoint")
