"""Keys to rows and back."""

from __future__ import annotations

from collections.abc import Iterable

from services.auth.adapters.tables import KeyRow, SecretRow
from services.auth.domain.api_key import ApiKey, Secret
from services.auth.domain.key import Digest
from services.auth.domain.policy import Grant


def to_row(key: ApiKey, revision: int) -> KeyRow:
    """Return the key's row; its secrets are rows of their own."""
    return KeyRow(
        key_id=key.key_id,
        name=key.name,
        scopes=sorted(key.grant.scopes),
        models=list(key.grant.models),
        environment=key.grant.environment,
        created_at_ms=key.created_at,
        expires_at_ms=key.grant.expires_at,
        revoked_at_ms=key.revoked_at,
        version=key.version,
        request_id=key.request_id or None,
        revision=revision,
    )


def to_secret_rows(key: ApiKey) -> list[SecretRow]:
    """Return one row per secret."""
    return [
        SecretRow(
            digest=secret.digest.value,
            pepper_version=secret.digest.pepper_version,
            key_id=key.key_id,
            valid_until_ms=secret.valid_until,
        )
        for secret in key.secrets
    ]


def from_row(row: KeyRow, secrets: Iterable[SecretRow]) -> ApiKey:
    """Return the key, its current secret first."""
    current_first = sorted(secrets, key=lambda secret: secret.valid_until_ms is not None)
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        grant=Grant(
            scopes=frozenset(row.scopes),
            models=tuple(row.models),
            environment=row.environment,
            expires_at=row.expires_at_ms,
        ),
        created_at=row.created_at_ms,
        secrets=tuple(
            Secret(Digest(each.pepper_version, each.digest), each.valid_until_ms) for each in current_first
        ),
        revoked_at=row.revoked_at_ms,
        version=row.version,
        request_id=row.request_id or "",
    )
