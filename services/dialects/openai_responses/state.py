"""Reasoning state: the vendor's own encrypted content, and that of other dialects in an envelope.

A caller hands back whatever stands in `encrypted_content`, so a door can keep there what belongs to another vendor.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from google.protobuf.message import DecodeError

from llmhub.types.v1.content_pb2 import OpaqueState
from services.dialects.members import JsonObject
from services.dialects.openai_responses.wire import DIALECT, ENCRYPTED, is_made

_ENVELOPE: Final = "llmhub1."
_CARRIER: Final = "llmhub1p."
"""Begins the content of a reasoning item that has the state of what stands before it."""
MARKS: Final = (b"llmhub1", b"_hub")
"""What the bytes of an input have in them that holds state or ids of ours."""


def read_state(text: str) -> OpaqueState:
    """The state that encrypted content is; what is in an envelope keeps its origin."""
    return _unpacked(text, _ENVELOPE) or own_state(text)


def own_state(text: str) -> OpaqueState:
    """The state that a provider's encrypted content is, whatever stands in it."""
    return OpaqueState(data=text.encode("utf-8", "surrogatepass"), dialect=DIALECT, kind=ENCRYPTED)


def is_own(state: OpaqueState) -> bool:
    """Whether the state is of this dialect."""
    return state.dialect == DIALECT and state.kind == ENCRYPTED


def write_state(state: OpaqueState) -> str:
    """The encrypted content that the state is, in an envelope if it is of another dialect."""
    if is_own(state):
        return state.data.decode("utf-8", "replace")
    return _packed(state, _ENVELOPE)


def carried_state(item: JsonObject) -> OpaqueState | None:
    """The state that a carrier item holds; None for any other item."""
    text = item.get(ENCRYPTED)
    return _unpacked(text, _CARRIER) if isinstance(text, str) else None


def carrier_item(state: OpaqueState, item_id: str) -> JsonObject:
    """A reasoning item that holds the state of what stands before it, as no other item has a place for it."""
    return {"type": "reasoning", "id": item_id, "summary": [], ENCRYPTED: _packed(state, _CARRIER)}


def without_marks(items: list[Any]) -> list[Any]:
    """Input items without ids of ours, and without the items that only held what a provider does not know."""
    kept: list[Any] = []
    for item in items:
        if isinstance(item, dict):
            encrypted = item.get(ENCRYPTED)
            ours = isinstance(encrypted, str) and _is_packed(encrypted)
            made = is_made(item.get("id"))
            if item.get("type") == "reasoning" and (made or ours):
                continue
            if made:
                item = {name: value for name, value in item.items() if name != "id"}
        kept.append(item)
    return kept


def _is_packed(text: str) -> bool:
    return any(_unpacked(text, prefix) is not None for prefix in (_ENVELOPE, _CARRIER))


def _packed(state: OpaqueState, prefix: str) -> str:
    return prefix + base64.b64encode(state.SerializeToString(deterministic=True)).decode()


def _unpacked(text: str, prefix: str) -> OpaqueState | None:
    if not text.startswith(prefix):
        return None
    try:
        state = OpaqueState.FromString(base64.b64decode(text[len(prefix) :], validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None
    return state if state.dialect else None
