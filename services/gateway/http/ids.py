"""A call's id in the headers in which each vendor's clients look for it; x-request-id is in every answer."""

from __future__ import annotations

from typing import Final

OURS: Final = "x-request-id"
_VENDORS: Final = {"gemini": ()}
_USUAL: Final = ("request-id",)


def headers(dialect: str, request_id: str) -> dict[str, str]:
    """Return the headers that name a call to a caller of this dialect."""
    return {OURS: request_id, **dict.fromkeys(_VENDORS.get(dialect, _USUAL), request_id)}
