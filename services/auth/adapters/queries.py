"""The reads, built once: building a statement costs more than running it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select, tuple_

from services.auth.adapters.tables import AuthTable

_KEYS: Final = AuthTable.metadata.tables["auth_key"]
_SECRETS: Final = AuthTable.metadata.tables["auth_secret"]
_REVISIONS: Final = AuthTable.metadata.tables["auth_revision"]

_WITH_SECRETS: Final = select(
    _KEYS, _SECRETS.c.digest, _SECRETS.c.pepper_version, _SECRETS.c.valid_until_ms
).outerjoin_from(_KEYS, _SECRETS)

BY_ID: Final = _WITH_SECRETS.where(_KEYS.c.key_id == bindparam("key_id"))
"""One row per secret; a key without any gives one row."""

BY_DIGEST: Final = _WITH_SECRETS.where(
    _KEYS.c.key_id.in_(
        select(_SECRETS.c.key_id).where(_SECRETS.c.digest.in_(bindparam("digests", expanding=True)))
    )
)

BY_REQUEST_ID: Final = select(_KEYS.c.key_id).where(_KEYS.c.request_id == bindparam("request_id"))

FIRST_PAGE: Final = (
    select(_KEYS).order_by(_KEYS.c.created_at_ms.desc(), _KEYS.c.key_id.desc()).limit(bindparam("limit"))
)
LATER_PAGE: Final = FIRST_PAGE.where(
    tuple_(_KEYS.c.created_at_ms, _KEYS.c.key_id) < tuple_(bindparam("created_at"), bindparam("key_id"))
)

CHANGED: Final = (
    select(_KEYS.c.key_id, _KEYS.c.revision)
    .where(_KEYS.c.revision > bindparam("revision"))
    .order_by(_KEYS.c.revision)
    .limit(bindparam("limit"))
)
REVISION: Final = select(_REVISIONS.c.value)
PEPPER_VERSIONS: Final = select(_SECRETS.c.pepper_version).distinct()
