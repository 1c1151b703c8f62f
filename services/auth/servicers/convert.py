"""Messages of the contract to auth's own values and back."""

from __future__ import annotations

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.auth.v1 import key_service_pb2, principal_pb2
from services.auth.domain.api_key import ApiKey, Edit
from services.auth.domain.policy import DEFAULT_SCOPES, Grant
from services.auth.keyring import Caller, Draft
from services.runtime.context import Principal
from services.runtime.errors import RequestInvalid, Violation

EDITABLE = ("name", "scopes", "models", "expires_at")
_LAST_SECOND = 253_402_300_799


def to_proto(key: ApiKey) -> key_service_pb2.Key:
    """Return the key as the contract shows it."""
    message = key_service_pb2.Key(
        key_id=key.key_id,
        name=key.name,
        scopes=sorted(key.grant.scopes),  # type: ignore[arg-type]  # numbers of the enum
        models=key.grant.models,
        environment=key.grant.environment,
        version=key.version,
    )
    message.created_at.FromMilliseconds(key.created_at)
    if key.grant.expires_at is not None:
        message.expires_at.FromMilliseconds(key.grant.expires_at)
    if key.revoked_at is not None:
        message.revoked_at.FromMilliseconds(key.revoked_at)
    return message


def to_principal(key: ApiKey) -> principal_pb2.Principal:
    """Return who calls with the key."""
    message = principal_pb2.Principal(
        key_id=key.key_id,
        name=key.name,
        scopes=sorted(key.grant.scopes),  # type: ignore[arg-type]  # numbers of the enum
        models=key.grant.models,
        environment=key.grant.environment,
        version=key.version,
    )
    if key.grant.expires_at is not None:
        message.expires_at.FromMilliseconds(key.grant.expires_at)
    return message


def caller_of(principal: Principal) -> Caller:
    """Return the caller whom the identity interceptor found."""
    expires_at = None if principal.expires_at is None else round(principal.expires_at * 1000)
    return Caller(
        key_id=principal.key_id,
        grant=Grant(principal.scopes, principal.models, principal.environment, expires_at),
    )


def draft_from(request: key_service_pb2.CreateKeyRequest, now: int) -> Draft:
    """Return the key that is asked for. Raises RequestInvalid."""
    _require_printable("name", [request.name])
    _require_printable("models", request.models)
    return Draft(
        name=request.name,
        grant=Grant(
            scopes=frozenset(int(scope) for scope in request.scopes) or DEFAULT_SCOPES,
            models=tuple(request.models),
            environment=request.environment or "live",
            expires_at=_expiry(request.expires_at, now) if request.HasField("expires_at") else None,
        ),
        request_id=request.request_id.lower(),
    )


def edit_from(key: key_service_pb2.Key, mask: FieldMask, now: int) -> Edit:
    """Return the changes that the mask names; `*` names all. Raises RequestInvalid."""
    paths = EDITABLE if list(mask.paths) == ["*"] else tuple(mask.paths)
    for path in paths:
        if path not in EDITABLE:
            raise _invalid("update_mask", f"{path[:100]} cannot be changed; only {', '.join(EDITABLE)} can")
    if not paths:
        raise _invalid("update_mask", "names no field")
    if "name" in paths and not key.name:
        raise _invalid("key.name", "must not be empty")
    if "scopes" in paths and not key.scopes:
        raise _invalid("key.scopes", "must not be empty")
    _require_printable("key.name", [key.name])
    _require_printable("key.models", key.models)
    return Edit(
        name=key.name if "name" in paths else None,
        scopes=frozenset(int(scope) for scope in key.scopes) if "scopes" in paths else None,
        models=tuple(key.models) if "models" in paths else None,
        sets_expiry="expires_at" in paths,
        expires_at=_expiry(key.expires_at, now)
        if "expires_at" in paths and key.HasField("expires_at")
        else None,
    )


def _expiry(at: Timestamp, now: int) -> int:
    if not 0 <= at.seconds <= _LAST_SECOND:
        raise _invalid("expires_at", "is not a time of this calendar")
    if at.ToMilliseconds() <= now:
        raise _invalid("expires_at", "must lie in the future")
    return at.ToMilliseconds()


def _require_printable(field: str, texts: object) -> None:
    for text in texts:  # type: ignore[attr-defined]
        if not text.isprintable():
            raise _invalid(field, "must not contain control characters")


def _invalid(field: str, message: str) -> RequestInvalid:
    return RequestInvalid(f"{field} {message}", violations=(Violation(field, message),))
