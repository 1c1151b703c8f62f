"""Keys to rows and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

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


def from_rows(rows: Sequence[Row[Any]]) -> ApiKey:
    """Return the key of `queries.BY_ID` or `BY_DIGEST`, its current secret first."""
    secrets = [
        Secret(Digest(row.pepper_version, row.digest), row.valid_until_ms)
        for row in rows
        if row.digest is not None
    ]
    secrets.sort(key=lambda secret: secret.valid_until is not None)
    return from_row(rows[0], tuple(secrets))


def from_row(row: Row[Any], secrets: tuple[Secret, ...] = ()) -> ApiKey:
    """Return the key of one row."""
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
        secrets=secrets,
        revoked_at=row.revoked_at_ms,
        version=row.version,
        request_id=row.request_id or "",
    )
