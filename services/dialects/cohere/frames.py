"""The frames that a stream mostly consists of, read without taking them apart member by member."""

from __future__ import annotations

import msgspec


class Said(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A piece of text or of thinking."""

    text: str | None = None
    thinking: str | None = None


class _Content(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: Said


class _ContentMessage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    message: _Content


class ContentDelta(
    msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="content-delta"
):
    """content-delta."""

    index: int
    delta: _ContentMessage


class _Arguments(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    arguments: str


class _Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    function: _Arguments


class _Calls(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    tool_calls: _Function


class _CallMessage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    message: _Calls


class CallDelta(
    msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="tool-call-delta"
):
    """tool-call-delta."""

    index: int
    delta: _CallMessage


class _Plan(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    tool_plan: str


class _PlanMessage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    message: _Plan


class PlanDelta(
    msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="tool-plan-delta"
):
    """tool-plan-delta."""

    delta: _PlanMessage


HotDelta = ContentDelta | CallDelta | PlanDelta
_decode = msgspec.json.Decoder(HotDelta).decode


def lone_delta(data: bytes) -> bytes | None:
    """The payload, if these bytes are one whole event of a delta and nothing else."""
    if not (data.startswith(b"event: ") and data.endswith(b"\n\n")):
        return None
    end = data.find(b"\n")
    if not data.startswith(b"-delta\ndata: ", end - 6):
        return None
    payload = data[end + 7 : -2]
    return None if b"\n" in payload or b"\r" in payload else payload


def hot_delta(data: bytes) -> HotDelta | None:
    """The delta, if the frame is one and holds nothing else."""
    try:
        frame: HotDelta = _decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if type(frame) is ContentDelta:
        said = frame.delta.message.content
        if (said.text is None) == (said.thinking is None):
            return None
    return frame
