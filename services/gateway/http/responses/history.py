"""What a request goes on from, and its body with that in front or without what is the door's own business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.dialects.openai_responses import stored
from services.dialects.raw_json import raw_members
from services.gateway.domain.kept import KeptResponse

_ENCODE = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class History:
    """The responses before a request, oldest first."""

    responses: Sequence[KeptResponse] = ()

    @property
    def keeper(self) -> str:
        """The provider that keeps the last one too, with all before it, and to whom it can be named; empty: nobody."""
        return self.responses[-1].provider if self.responses else ""

    def before(self, body: bytes) -> bytes:
        """Return a request's body with all of it before its own input, and what it says about keeping taken out."""
        items = []
        for kept in self.responses:
            items += msgspec.json.decode(kept.input_items)
            items += stored.output_items(msgspec.json.decode(kept.response))
        continued = stored.continued(body, items)
        store = raw_members(body).get("store")
        # The provider keeps it no longer than the caller wants.
        return continued if store is None else _ENCODE({**raw_members(continued), "store": store})


def in_foreground(body: bytes) -> bytes:
    """Return a body whose answer is waited for: the background is this door's."""
    members = raw_members(body)
    return _ENCODE({name: value for name, value in members.items() if name not in {"background", "stream"}})


def without_input(body: bytes) -> bytes:
    """Return a body for reading all but its input."""
    return _ENCODE({**raw_members(body), "input": ""})
