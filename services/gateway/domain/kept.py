"""A response that is kept for its caller: what the Responses API can be asked about later."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """One response of one key. Times in seconds since 1970."""

    key_id: str
    response_id: str
    request_id: str
    """Of the call that makes or made it, by which it is cancelled."""
    provider: str
    """Who keeps the same response under the same id, so that it can be named to him; empty: nobody."""
    previous_id: str
    created_at: int
    expires_at: int
    ends_at: int | None
    """Until when a response in the background runs at the longest; None once it has ended."""
    response: bytes
    """The response object as the caller got it, JSON."""
    input_items: bytes
    """The items of its own input, without those of the responses before it: a JSON array."""

    @property
    def size(self) -> int:
        """Bytes of what it says."""
        return len(self.response) + len(self.input_items)
