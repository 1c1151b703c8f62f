"""The frames that make up nearly all of a stream, read without taking them apart member by member."""

from __future__ import annotations

from typing import Final

import msgspec

MADE_UP: Final = '{"$shape":{"made":1}}'
"""Extension of an event that no frame of the provider's had."""


class TextDelta(msgspec.Struct, tag="text_delta", tag_field="type", forbid_unknown_fields=True, gc=False):
    text: str


class ThinkingDelta(
    msgspec.Struct, tag="thinking_delta", tag_field="type", forbid_unknown_fields=True, gc=False
):
    thinking: str


class InputDelta(
    msgspec.Struct, tag="input_json_delta", tag_field="type", forbid_unknown_fields=True, gc=False
):
    partial_json: str


class SignatureDelta(
    msgspec.Struct, tag="signature_delta", tag_field="type", forbid_unknown_fields=True, gc=False
):
    signature: str


class HotDelta(
    msgspec.Struct, tag="content_block_delta", tag_field="type", forbid_unknown_fields=True, gc=False
):
    """A delta with exactly the members that are always there."""

    index: int
    delta: TextDelta | ThinkingDelta | InputDelta | SignatureDelta


_decode = msgspec.json.Decoder(HotDelta).decode


def hot_delta(data: bytes) -> HotDelta | None:
    """Read a delta; None if it has to be read member by member."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_LONE_DELTA: Final = b"event: content_block_delta\ndata: "
_LONE_DELTA_BYTES: Final = len(_LONE_DELTA)


def lone_delta(data: bytes) -> bytes | None:
    """The payload, if these bytes are one whole delta event and nothing else, as providers mostly send them."""
    if (
        data.startswith(_LONE_DELTA)
        and data.endswith(b"\n\n")
        and data.count(b"\n") == 3
        and b"\r" not in data
    ):
        return data[_LONE_DELTA_BYTES:-2]
    return None


class Delta(msgspec.Struct, gc=False):
    """As much of a delta as a meter wants to know."""

    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    content: str | None = ""


class _DeltaFrame(msgspec.Struct, gc=False):
    delta: Delta


_decode_size = msgspec.json.Decoder(_DeltaFrame).decode


def delta_size(data: bytes) -> int:
    """Characters of text, thinking or arguments in a delta frame; raise ValueError for what is none."""
    try:
        delta = _decode_size(data).delta
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return len(delta.text) + len(delta.thinking) + len(delta.partial_json) + len(delta.content or "")
