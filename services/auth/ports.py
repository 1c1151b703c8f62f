"""What auth needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.auth.domain.api_key import ApiKey
from services.auth.domain.key import Digest

Randomness = Callable[[int], bytes]
"""Returns that many random bytes, fit for secrets."""


class Position(NamedTuple):
    """Where a page ends: the creation time and id of its last key."""

    created_at: int
    key_id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys changed since a revision, in the order of their commits, and the revision they lead to."""

    revision: int
    key_ids: tuple[str, ...] = ()


class KeyStore(Protocol):
    """Holds keys and the digests of their secrets, shared by every auth process of an installation.

    Writes are atomic and serialised over all processes. Each write gives the key the next revision, and revisions
    become visible in their order. Raises StorageUnavailable when the storage refuses.
    """

    async def add(self, key: ApiKey) -> ApiKey:
        """Store a new key. Raises RequestIdUsed if one was made under its request id, KeyExists for a taken id."""
        ...

    async def get(self, key_id: str) -> ApiKey:
        """Return a key. Raises KeyNotFound."""
        ...

    async def find(self, digests: Sequence[Digest]) -> ApiKey | None:
        """Return the key that has a secret with one of the digests."""
        ...

    async def page(self, limit: int, after: Position | None) -> list[ApiKey]:
        """Return at most `limit` keys older than the position, newest first."""
        ...

    async def change(self, key_id: str, step: Callable[[ApiKey], ApiKey]) -> ApiKey:
        """Replace a key by what the pure function `step` makes of it and raise its version, in one transaction.

        Returns the key as stored. Nothing is written if `step` raises or returns an equal key. Raises KeyNotFound.
        """
        ...

    async def changes_since(self, revision: int, limit: int) -> Changes:
        """Return at most `limit` keys whose last change is after the revision, oldest change first."""
        ...

    async def revision(self) -> int:
        """Return the newest revision; 0 before the first write."""
        ...

    async def pepper_versions(self) -> frozenset[int]:
        """Return the pepper versions under which digests are stored."""
        ...
