"""Bedrock's JSON: names, paths, and values that have another form here."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import quote

import msgspec

from llmhub.types.v1.content_pb2 import OpaqueState
from services.dialects.members import JsonObject
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
