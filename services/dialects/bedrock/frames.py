"""The payloads that make up nearly all of a stream, read without taking them apart member by member."""

from __future__ import annotations

import msgspec


class ToolDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input: str


class ReasoningDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class Delta(
    msgspec.Struct,
    forbid_unknown_fields=True,
    gc=False,
    rename={"tool_use": "toolUse", "reasoning": "reasoningContent"},
):
    """Exactly one of these."""

    text: str | None = None
    tool_use: ToolDelta | None = None
    reasoning: ReasoningDelta | None = None

    def several(self) -> bool:
        """Tell a delta of more than one kind, which none is."""
        return (self.text is None) + (self.tool_use is None) + (self.reasoning is None) < 2


class HotDelta(
    msgspec.Struct,
    forbid_unknown_fields=True,
    gc=False,
    rename={"index": "contentBlockIndex", "padding": "p"},
):
    """A contentBlockDelta with exactly the members that are always there, and the padding."""

    index: int
    delta: Delta
    padding: str = ""


_decode = msgspec.json.Decoder(HotDelta).decode


def hot_delta(data: bytes) -> HotDelta | None:
    """Read a delta; None if it has to be read member by member."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
