"""One API key as a value, and the steps of its life. Times are milliseconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.auth.domain.errors import TargetRevoked
from services.auth.domain.key import Digest
from services.auth.domain.policy import Grant
from services.runtime.errors import KeyExpired, KeyInvalid, KeyRevoked, OperationUnsupported

BOOTSTRAP_ID: Final = "bootstrap000"
"""The id of the one key whose secret is set by configuration."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a key; `valid_until` is set once a newer one has replaced it."""

    digest: Digest
    valid_until: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key with the digests of its secrets, the newest first: one, or two since the last rotation."""

    key_id: str
    name: str
    grant: Grant
    created_at: int
    secrets: tuple[Secret, ...]
    revoked_at: int | None = None
    version: int = 1
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """What UpdateKey changes: None leaves a field as it is; `sets_expiry` tells "never" from "as it is"."""

    name: str | None = None
    scopes: frozenset[int] | None = None
    models: tuple[str, ...] | None = None
    sets_expiry: bool = False
    expires_at: int | None = None

    def applied_to(self, key: ApiKey) -> ApiKey:
        """Return the key with the changes."""
        return replace(
            key,
            name=key.name if self.name is None else self.name,
            grant=replace(
                key.grant,
                scopes=key.grant.scopes if self.scopes is None else self.scopes,
                models=key.grant.models if self.models is None else self.models,
                expires_at=self.expires_at if self.sets_expiry else key.grant.expires_at,
            ),
        )


def admit(key: ApiKey, presented: Sequence[Digest], now: int) -> Secret:
    """Return the secret that was presented. Raises KeyInvalid, KeyRevoked or KeyExpired if it may not be used."""
    secret = next((each for each in key.secrets if any(each.digest.matches(one) for one in presented)), None)
    if secret is None:
        raise KeyInvalid("the API key is unknown")
    if key.revoked_at is not None:
        raise KeyRevoked("the API key was revoked", key_id=key.key_id)
    if key.grant.expires_at is not None and now >= key.grant.expires_at:
        raise KeyExpired("the API key has expired", key_id=key.key_id)
    if secret.valid_until is not None and now >= secret.valid_until:
        raise KeyExpired("the API key was rotated and this secret has expired", key_id=key.key_id)
    return secret


def rotated(key: ApiKey, digest: Digest, old_valid_until: int) -> ApiKey:
    """Return the key with a new secret; only the secret that was current lives on, until `old_valid_until`."""
    require_changeable(key)
    current = next(each for each in key.secrets if each.valid_until is None)
    return replace(key, secrets=(Secret(digest), replace(current, valid_until=old_valid_until)))


def revoked(key: ApiKey, now: int) -> ApiKey:
    """Return the key, ended for good; an ended one stays as it is."""
    return key if key.revoked_at is not None else replace(key, revoked_at=now)


def require_changeable(key: ApiKey) -> None:
    """Raise for a revoked key, and for the bootstrap key, whose rights and secret are set by configuration."""
    if key.revoked_at is not None:
        raise TargetRevoked("the key is revoked", key_id=key.key_id)
    if key.key_id == BOOTSTRAP_ID:
        raise OperationUnsupported(
            "the bootstrap key is set by configuration: change LLMHUB_BOOTSTRAP_KEY instead",
            key_id=key.key_id,
        )
