"""Bedrock's JSON: names, paths, and values that have another form here."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final
from urllib.parse import quote

import msgspec

from llmhub.types.v1.content_pb2 import OpaqueState
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.dialects.raw_json import merge_deep
from services.runtime.errors import RequestInvalid, Violation

DIALECT: Final = "bedrock"

SIGNATURE: Final = "signature"
REDACTED: Final = "redactedContent"

FORMAT_TOOL_SUFFIX: Final = "__llmhub_json"
"""Marks the function whose arguments stand for a structured answer."""

MADE_UP: Final = '{"$shape":{"made":1}}'
"""Extension of an event that no frame of the provider's had."""

Block = JsonObject | msgspec.Raw

_LONGEST_NAME: Final = 64
_QUIET: Final = "="
_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_-]")
_GEOGRAPHY: Final = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|sa|me|af|il|mx|in|kr|global)\.(?=[^.]+\.)")


def model_path(model: str, action: str) -> str:
    """The path of an action on a model; ids and ARNs are one segment, quoted as AWS quotes."""
    if not model.strip("."):
        raise RequestInvalid("not a model id", violations=(Violation("model", "is no model id"),))
    return f"/model/{quote(model, safe='')}/{action}"


def base_model(model: str) -> str:
    """The model behind a cross-region inference profile; tokens can be counted for that one only."""
    return _GEOGRAPHY.sub("", model)


def own_state(state: OpaqueState, kind: str) -> bytes | None:
    """A state that this dialect made, or None."""
    return state.data if state.dialect == DIALECT and state.kind == kind else None


def made_state(data: bytes, kind: str) -> OpaqueState:
    """A state of this dialect."""
    return OpaqueState(data=data, dialect=DIALECT, kind=kind)


def tool_use_id(call_id: str) -> str:
    """An id that Bedrock accepts; the same for the call and for its result."""
    fitting = _NOT_IN_IDS.sub("_", call_id)
    if len(fitting) <= _LONGEST_NAME:
        return fitting or "_"
    return f"{fitting[:31]}_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def format_tool_name(name: str) -> str:
    """Name of the function that stands for a structured answer of this name."""
    fitting = _NOT_IN_NAMES.sub("_", name)[: _LONGEST_NAME - len(FORMAT_TOOL_SUFFIX)]
    return (fitting or "answer") + FORMAT_TOOL_SUFFIX


def caller_json(text: str, field: str) -> tuple[msgspec.Raw, Any]:
    """JSON text that a caller wrote into a field, and its value; raise RequestInvalid for anything else."""
    try:
        return msgspec.Raw(text), decode_json(text)
    except ValueError:
        fault = "must be the text of a JSON value"
        raise RequestInvalid(f"{field} {fault}", violations=(Violation(field, fault),)) from None


def take_raw(members: Members, name: str) -> msgspec.Raw | None:
    """Take a member that was left as text; None if it is missing, and if it is null, which stays."""
    raw = members.rest.get(name)
    if type(raw) is not msgspec.Raw or bytes(memoryview(raw)[:5]) == b"null":
        return None
    del members.rest[name]
    return raw


def quiet(members: Members, name: str) -> None:
    """Keep a member that says nothing (an empty value, a default) as a hint, for a round trip only."""
    members.hint(_QUIET + name, members.rest.pop(name))


def take_word(members: Members, name: str) -> str:
    """Take a string for a field that has no presence: an empty one becomes a hint."""
    word = members.text(name)
    if word == "":
        members.hint(_QUIET + name, "")
    return word or ""


def merge_back(into: JsonObject, extension: Extension) -> JsonObject:
    """Add what the extension carries and `into` does not have, hinted members included; return `into`."""
    for key, value in extension.shape.items():
        if key.startswith(_QUIET):
            into.setdefault(key[1:], value)
    return merge_deep(into, extension.members)
