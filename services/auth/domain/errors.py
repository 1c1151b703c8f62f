"""Failures of managing keys that are told apart from those of using them."""

from __future__ import annotations

from services.runtime.errors import KeyRevoked, Kind, RequestIdConflict


class TargetRevoked(KeyRevoked):
    """The key that was to be changed is revoked. Same reason as a revoked caller, another status."""

    kind = Kind.PRECONDITION


class RequestIdUsed(RequestIdConflict):
    """A key was made under this request id; its secret cannot be shown again."""


class KeyExists(Exception):
    """The id of a new key is taken. Never told to a caller."""
