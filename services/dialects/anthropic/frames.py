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
