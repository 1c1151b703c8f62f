"""Parts of Gemini's contents to parts of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM, Part
from services.dialects.gemini.ids import CallIds
from services.dialects.gemini.media import read_file, read_inline
from services.dialects.gemini.wire import (
    DIALECT,
    canonical,
    elements,
    object_keeping,
    opens,
    put_back,
    raw_text,
    save_spelling,
    signature_state,
    take_raw,
)
from services.dialects.members import Members, decode_json, json_text
from services.dialects.text_tools import TEXT_SUFFIX, name_call, text_input
from services.runtime.errors import Violation

Faults = list[Violation] | None

SAID: Final = "said"
"""Hint of a tool result: under which member its text stood, and whether as JSON."""
SILENT: Final = "silent"
"""Hint of a tool result: it had no response."""
ANONYMOUS: Final = "anonymous"
"""Hint of a tool result: it named no call."""
SPOKEN: Final = frozenset({"output", "result", "error"})
"""Members of a tool's response that hold what the tool said, if they stand alone."""

_KINDS: Final = (
    "text",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)


def read_parts(raw: msgspec.Raw, path: str, faults: Faults, ids: CallIds) -> list[Part]:
    """Read a list of parts; raise ValueError unless it is an array of objects."""
    return [
        read_part(element, f"{path}[{index}]", faults, ids) for index, element in enumerate(elements(raw))
    ]


def read_part(raw: msgspec.Raw, path: str, faults: Faults, ids: CallIds) -> Part:
    """Read one part; raise ValueError if it is no object."""
    block = object_keeping(raw, "functionCall", "functionResponse")
    spelled: list[str] = []
    canonical(block, spelled)
    kinds = [name for name in _KINDS if block.get(name) is not None]
    members = Members(block, path, faults)
    part = Part()
    signature = members.text("thoughtSignature")
    if signature is not None:
        part.state.CopyFrom(signature_state(signature))
    reader = _READERS.get(kinds[0]) if len(kinds) == 1 else None
    if reader is None or not reader(members, part, spelled, ids):
        return _opaque(raw, kinds[0] if kinds else "", part)
    save_spelling(members, spelled)
    members.save(part.extensions, DIALECT)
    return part


def _opaque(raw: msgspec.Raw, kind: str, read: Part) -> Part:
    """Carry a part as it is, but for its signature, which is bound to where it came from."""
    part = Part()
    part.opaque.dialect = DIALECT
    part.opaque.type = kind
    if not read.HasField("state"):
        part.opaque.json = raw_text(raw)
        return part
    part.state.CopyFrom(read.state)
    block = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    name = "thoughtSignature" if "thoughtSignature" in block else "thought_signature"
    if name != "thoughtSignature":
        hinted = Members({})
        save_spelling(hinted, ["thoughtSignature"])
        hinted.save(part.extensions, DIALECT)
    del block[name]
    part.opaque.json = json_text(block)
    return part


def _text(members: Members, part: Part, _: list[str], __: CallIds) -> bool:
    text = members.text("text")
    if text is None:
        return False
    if members.rest.get("thought") is True:
        del members.rest["thought"]
        part.reasoning.text = text
        part.reasoning.SetInParent()
    else:
        part.text = text
    return True


def _inline_data(members: Members, part: Part, spelled: list[str], _: CallIds) -> bool:
    return read_inline(members, part.media, spelled)


def _file_data(members: Members, part: Part, spelled: list[str], _: CallIds) -> bool:
    return read_file(members, part.media, spelled)


def _function_call(members: Members, part: Part, spelled: list[str], ids: CallIds) -> bool:
    raw = take_raw(members, "functionCall")
    if raw is None or not opens(raw, b"{"):
        return False
    inner = Members(canonical(object_keeping(raw, "args"), spelled, "functionCall."))
    call = part.tool_call
    name = inner.word("name") or ""
    name_call(call, name)
    arguments = take_raw(inner, "args")
    call.arguments = raw_text(arguments) if arguments is not None else ""
    given = inner.word("id")
    call.id = ids.call(name, given)
    call.id_generated = given is None
    if call.kind == TOOL_KIND_CUSTOM:
        call.arguments = text_input(call.arguments)
    put_back(members, "functionCall", inner.rest)
    return True


def _function_response(members: Members, part: Part, spelled: list[str], ids: CallIds) -> bool:
    raw = take_raw(members, "functionResponse")
    if raw is None or not opens(raw, b"{"):
        return False
    inner = Members(canonical(object_keeping(raw, "response", "parts"), spelled, "functionResponse."))
    result = part.tool_result
    result.SetInParent()
    name = inner.word("name") or ""
    given = inner.word("id")
    result.call_id = ids.answer(name, given)
    result.name = name.removesuffix(TEXT_SUFFIX)
    if result.name != name:
        members.hint("custom")
    if given is None:
        members.hint(ANONYMOUS)
    _said(members, inner, part)
    media = take_raw(inner, "parts")
    if media is not None and opens(media, b"["):
        result.parts.extend(read_parts(media, "", None, ids))
    elif media is not None:
        inner.rest["parts"] = media
    put_back(members, "functionResponse", inner.rest)
    return True


def _said(members: Members, inner: Members, part: Part) -> None:
    """Take `response`: what stands alone under a known name is what the tool said, else the object is."""
    raw = take_raw(inner, "response")
    if raw is None or not opens(raw, b"{"):
        members.hint(SILENT)
        if raw is not None:
            inner.rest["response"] = raw
        return
    values: dict[str, msgspec.Raw] = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    text = raw_text(raw)
    if len(values) == 1 and (name := next(iter(values))) in SPOKEN:
        value: Any = decode_json(values[name])
        is_text = type(value) is str
        text = value if is_text else raw_text(values[name])
        members.hint(SAID, [name, not is_text])
        if name == "error":
            part.tool_result.is_error = True
    else:
        members.hint(SAID, ["", True])
    part.tool_result.parts.add().text = text


_Reader = Callable[[Members, Part, list[str], CallIds], bool]
_READERS: Final[dict[str, _Reader]] = {
    "text": _text,
    "inlineData": _inline_data,
    "fileData": _file_data,
    "functionCall": _function_call,
    "functionResponse": _function_response,
}
