"""The frames that make up nearly all of a stream, read without taking them apart member by member."""

from __future__ import annotations

from typing import Final

import msgspec

_NAMED: Final = b"event: response."
_DATA: Final = b"\ndata: "
_EMPTY: Final = b"[]"
_NONE: Final = msgspec.Raw(b"")


class HotDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A delta with no members but the usual ones."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    delta: str
    content_index: int = -1
    summary_index: int = -1
    logprobs: msgspec.Raw = _NONE
    obfuscation: str = ""

    @property
    def place(self) -> tuple[int, int]:
        """Which list of the item the text stands in, and where in it: see Frames."""
        if self.content_index >= 0:
            return (0, self.content_index)
        return (1, self.summary_index) if self.summary_index >= 0 else (2, 0)

    @property
    def listed(self) -> bool | None:
        """Whether it has an empty list of log-probabilities; None if there are some."""
        if self.logprobs is _NONE:
            return False
        return True if bytes(self.logprobs) == _EMPTY else None


_decode = msgspec.json.Decoder(HotDelta).decode


def hot_delta(payload: bytes) -> HotDelta | None:
    """Read a delta; None if it has to be read member by member."""
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def lone_delta(data: bytes) -> tuple[bytes, bytes] | None:
    """Name and payload, if these bytes are one whole delta event and nothing else, as providers mostly send them."""
    if not (
        data.startswith(_NAMED) and data.endswith(b"\n\n") and data.count(b"\n") == 3 and b"\r" not in data
    ):
        return None
    name, found, payload = data[7:-2].partition(_DATA)
    return (name, payload) if found and name.endswith(b".delta") else None
