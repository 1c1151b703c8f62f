"""Identifiers: UUIDv7, ordered by time."""

from __future__ import annotations

from uuid_utils import uuid7


def new_id() -> str:
    """Return a UUIDv7 in its canonical text form."""
    return str(uuid7())
