"""The conversation, both ways.

Gemini has two roles. A user's turn may hold tool results and other content; the contract has a role for each. Reading
splits the turn, writing joins what stands together. Hints keep turns apart that were apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from services.dialects.gemini.family import Family
from services.dialects.gemini.ids import CallIds
from services.dialects.gemini.read_parts import Faults, read_part, read_parts
from services.dialects.gemini.wire import DIALECT, elements, merge_back, object_keeping, opens, take_raw
from services.dialects.gemini.write_parts import PartWriter, call_names
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members
from services.runtime.errors import Violation

SUPPLIED_SIGNATURE: Final = "skip_thought_signature_validator"
"""What Google documents for calls that its model did not make itself, or whose signature is lost."""

_ROLES: Final = {"user": ROLE_USER, "model": ROLE_ASSISTANT, "function": ROLE_USER, "tool": ROLE_USER}
_ABOVE: Final = {ROLE_SYSTEM, ROLE_DEVELOPER}

_ROLE: Final = "role"
"""The role as it was spelled, where it is not the usual one; null where there was none."""
_PARTS: Final = "parts"
"""Parts were written as one object, as an empty list, or not at all."""
_TURN: Final = "turn"
"""Tool results began a turn although others stood before them."""
_JOINED: Final = "joined"
"""The message stood in one turn with the one before."""


def read_system(raw: msgspec.Raw, faults: Faults) -> Message | None:
    """Read `systemInstruction`; None if it is no object."""
    if not opens(raw, b"{"):
        return None
    message = Message(role=ROLE_SYSTEM)
    members = Members(object_keeping(raw, "parts"))
    if "role" in members.rest:
        # Clients write any role here, and none is heeded.
        members.hint(_ROLE, members.rest.pop("role"))
    message.parts.extend(_parts(members, "systemInstruction", faults, CallIds()))
    members.save(message.extensions, DIALECT)
    return message


def read_contents(raw: msgspec.Raw, faults: Faults) -> Iterator[Message]:
    """Read `contents`; raise ValueError unless it is an array of objects, or a single one."""
    ids = CallIds()
    before: Role.ValueType | None = None
    single = opens(raw, b"{")
    for index, element in enumerate([raw] if single else elements(raw)):
        path = f"contents[{index}]"
        members = Members(object_keeping(element, "parts"), path, faults)
        word = members.text("role")
        role = ROLE_USER if word is None else _ROLES.get(word)
        if role is None:
            if faults is not None:
                faults.append(Violation(f"{path}.role", "must be user or model"))
            continue
        if word not in {"user", "model"}:
            members.hint(_ROLE, word)
        parts = _parts(members, path, faults, ids)
        for message in _turn(role, parts, members, before):
            before = message.role
            yield message


def write_system(messages: Sequence[Message], writer: PartWriter, losses: Losses) -> JsonObject | None:
    """Write the instructions that stand first; None if they say nothing."""
    if len(messages) == 1 and DIALECT in messages[0].extensions:
        extension = Extension(messages[0].extensions, DIALECT)
        return _content(writer.write_all(messages[0].parts, "messages[0]"), extension)
    parts: list[JsonObject] = []
    for index, message in enumerate(messages):
        losses.foreign(message.extensions, DIALECT, f"messages[{index}]")
        parts.extend(writer.write_all(message.parts, f"messages[{index}]"))
    return {"parts": parts} if parts else None


def write_conversation(
    messages: Sequence[Message], losses: Losses, family: Family, *, native: bool
) -> JsonObject:
    """Write `systemInstruction` and `contents`; a request that came in this dialect is `native`."""
    writer = PartWriter(losses, answer=False, family=family, names=call_names(messages), native=native)
    leading = 0
    while leading < len(messages) and messages[leading].role in _ABOVE:
        leading += 1
    if leading == len(messages) and leading and not native:
        # Gemini wants at least one turn, so the last instruction is said by the user.
        leading -= 1
    body: JsonObject = {}
    if leading:
        system = write_system(messages[:leading], writer, losses)
        if system is not None:
            body["systemInstruction"] = system
    turns: list[JsonObject] = []
    last: Role.ValueType | None = None
    for index in range(leading, len(messages)):
        if _append(turns, messages[index], f"messages[{index}]", writer, losses, last):
            last = messages[index].role
            if last == ROLE_ASSISTANT and family.takes_levels and not native:
                _sign(turns[-1])
    body["contents"] = turns
    return body


def _parts(members: Members, path: str, faults: Faults, ids: CallIds) -> list[Part]:
    raw = take_raw(members, "parts")
    if raw is None:
        members.hint(_PARTS, None)
        return []
    if opens(raw, b"{"):
        members.hint(_PARTS, "{}")
        return [read_part(raw, f"{path}.parts", faults, ids)]
    if not opens(raw, b"["):
        if faults is not None:
            faults.append(Violation(f"{path}.parts", "must be an array of parts"))
        return []
    parts = read_parts(raw, f"{path}.parts", faults, ids)
    if not parts:
        members.hint(_PARTS, "[]")
    return parts


def _turn(
    role: Role.ValueType, parts: list[Part], members: Members, before: Role.ValueType | None
) -> Iterator[Message]:
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
        if start:
            members.hint(_JOINED)
        elif is_result and before == ROLE_TOOL:
            members.hint(_TURN)
        message = Message(role=ROLE_TOOL if is_result else ROLE_USER, parts=parts[start:end])
        members.save(message.extensions, DIALECT)
        members = Members({})
        yield message
        start = end


def _append(
    turns: list[JsonObject],
    message: Message,
    path: str,
    writer: PartWriter,
    losses: Losses,
    last: Role.ValueType | None,
) -> bool:
    """Add a message to the turns; false if there is nothing of it to say."""
    extension = Extension(message.extensions, DIALECT)
    losses.foreign(message.extensions, DIALECT, path)
    if message.name:
        losses.dropped(f"{path}.name", "Gemini has no names of participants")
    if message.role in _ABOVE:
        losses.emulated(path, "an instruction behind the first message is sent as the user's words")
    parts = writer.write_all(message.parts, path)
    if not parts and _PARTS not in extension.shape:
        return False
    # The results of parallel calls must come back in one turn.
    results = message.role == ROLE_TOOL and last == ROLE_TOOL and _TURN not in extension.shape
    if turns and (results or _JOINED in extension.shape) and isinstance(turns[-1].get("parts"), list):
        turns[-1]["parts"].extend(parts)
        return True
    role = "model" if message.role == ROLE_ASSISTANT else "user"
    turns.append(_content(parts, extension, role))
    return True


def _content(parts: list[JsonObject], extension: Extension, role: str | None = None) -> JsonObject:
    content: JsonObject = {}
    role = extension.shape.get(_ROLE, role)
    if role is not None:
        content["role"] = role
    shape = extension.shape.get(_PARTS, "")
    if shape == "{}" and len(parts) == 1:
        content["parts"] = parts[0]
    elif shape is not None or parts:
        content["parts"] = parts
    return merge_back(content, extension)


def _sign(turn: JsonObject) -> None:
    """See that the first call of a model's turn carries a signature: without, models from 3 on refuse the turn."""
    calls = [part for part in turn["parts"] if "functionCall" in part]
    if calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = SUPPLIED_SIGNATURE
