"""The chunks that make up nearly all of a stream, read without taking them apart member by member."""

from __future__ import annotations

from typing import Final

import msgspec

from services.dialects.members import JsonObject

_NOTHING: Final = msgspec.Raw(b"")


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str
    thought: bool = False


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: list[_Part]
    role: str


class _Candidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Content
    index: int | None = None
    groundingMetadata: dict[str, msgspec.Raw] | None = None  # noqa: N815 - Gemini's own name


class _Chunk(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    candidates: list[_Candidate]
    usageMetadata: msgspec.Raw = _NOTHING  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815
    createTime: str | None = None  # noqa: N815


class HotChunk(msgspec.Struct, gc=False):
    """One piece of text of the first candidate, and the totals."""

    text: str
    thought: bool
    numbered: bool
    grounded: bool
    """It has grounding metadata, with nothing in them yet."""
    usage: msgspec.Raw | None
    index: int = 0


class _Same(msgspec.Struct, gc=False):
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815
    createTime: str | None = None  # noqa: N815


_decode_same = msgspec.json.Decoder(_Same).decode
_decode = msgspec.json.Decoder(_Chunk).decode


def same_in(data: bytes) -> JsonObject:
    """What the first chunk says that the others mostly repeat."""
    try:
        return msgspec.structs.asdict(_decode_same(data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def hot_chunk(data: bytes, same: JsonObject) -> HotChunk | None:
    """Read a chunk; None if it has to be read member by member."""
    try:
        chunk = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(chunk.candidates) != 1:
        return None
    candidate = chunk.candidates[0]
    if len(candidate.content.parts) != 1 or candidate.index or candidate.content.role != "model":
        return None
    if candidate.groundingMetadata:
        return None
    if (
        chunk.responseId != same.get("responseId")
        or chunk.modelVersion != same.get("modelVersion")
        or chunk.createTime != same.get("createTime")
    ):
        return None
    part = candidate.content.parts[0]
    usage = chunk.usageMetadata
    return HotChunk(
        text=part.text,
        thought=part.thought,
        numbered=candidate.index is not None,
        grounded=candidate.groundingMetadata is not None,
        usage=None if usage is _NOTHING else usage,
    )
