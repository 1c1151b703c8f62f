"""Failures, both ways: google.rpc.Status as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from services.dialects.codec import WireAnswer
from services.dialects.failure import CREDENTIALS_REFUSED, MAX_BODY_BYTES
from services.dialects.gemini.wire import DIALECT
from services.dialects.members import JsonObject, decode_json, encode_json
from services.runtime.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    Kind,
    LlmhubError,
    ModelNotFound,
    RequestTooLarge,
    UpstreamAuthFailed,
    UpstreamDetail,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

_BY_WORD: Final[dict[str, type[LlmhubError]]] = {
    "INVALID_ARGUMENT": UpstreamRejected,
    "FAILED_PRECONDITION": UpstreamRejected,
    "OUT_OF_RANGE": UpstreamRejected,
    "UNAUTHENTICATED": UpstreamAuthFailed,
    "PERMISSION_DENIED": UpstreamAuthFailed,
    "NOT_FOUND": UpstreamRejected,
    "ALREADY_EXISTS": UpstreamRejected,
    "RESOURCE_EXHAUSTED": UpstreamRateLimited,
    "ABORTED": UpstreamFailed,
    "CANCELLED": UpstreamFailed,
    "DATA_LOSS": UpstreamFailed,
    "INTERNAL": UpstreamFailed,
    "UNKNOWN": UpstreamFailed,
    "UNIMPLEMENTED": UpstreamRejected,
    "UNAVAILABLE": UpstreamOverloaded,
    "DEADLINE_EXCEEDED": UpstreamTimeout,
}
_BY_STATUS: Final[dict[int, type[LlmhubError]]] = {
    400: UpstreamRejected,
    401: UpstreamAuthFailed,
    402: UpstreamQuotaExhausted,
    403: UpstreamAuthFailed,
    404: UpstreamRejected,
    408: UpstreamTimeout,
    413: RequestTooLarge,
    429: UpstreamRateLimited,
    499: UpstreamFailed,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
    529: UpstreamOverloaded,
}
_KEY_REASONS: Final = frozenset(
    {
        "API_KEY_INVALID",
        "API_KEY_SERVICE_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "API_KEY_ANDROID_APP_BLOCKED",
        "API_KEY_IOS_APP_BLOCKED",
        "CREDENTIALS_MISSING",
        "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        "CONSUMER_INVALID",
        "CONSUMER_SUSPENDED",
        "SERVICE_DISABLED",
        "BILLING_DISABLED",
        "USER_PROJECT_DENIED",
    }
)
# Google tells these apart by wording only.
_TOO_LONG: Final = (
    "exceeds the maximum number of tokens",
    "input context is too long",
    "token count exceeds",
)
_TOO_LARGE: Final = ("payload size exceeds", "request size exceeds")
_NO_MODEL: Final = re.compile(
    r"(?:models/|publisher model |model )\S*.{0,200}(?:not found|not supported|not exist)", re.IGNORECASE
)
_THEIR_KEY: Final = re.compile(
    r"api[ _]key (?:not valid|expired|not found)|api key was reported", re.IGNORECASE
)
_THEIR_FILE: Final = re.compile(r"permission to access the file|cachedcontent", re.IGNORECASE)
_THEIR_PLACE: Final = re.compile(
    r"user location is not supported|enable billing|billing account", re.IGNORECASE
)
_SECRET: Final = re.compile(
    rb"AIza[0-9A-Za-z_\-]{8,}|ya29\.[0-9A-Za-z_.\-]{8,}|AQ\.[0-9A-Za-z_\-]{16,}|(?<=[?&]key=)[^&\s\"\\]+"
)
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s\Z")
_TYPE: Final = "type.googleapis.com/google.rpc."

_WORDS: Final = {
    Kind.INVALID: (400, "INVALID_ARGUMENT"),
    Kind.UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
    Kind.DENIED: (403, "PERMISSION_DENIED"),
    Kind.MISSING: (404, "NOT_FOUND"),
    Kind.CONFLICT: (409, "ABORTED"),
    Kind.PRECONDITION: (400, "FAILED_PRECONDITION"),
    Kind.TOO_LARGE: (413, "INVALID_ARGUMENT"),
    Kind.EXHAUSTED: (429, "RESOURCE_EXHAUSTED"),
    Kind.UNSUPPORTED: (501, "UNIMPLEMENTED"),
    Kind.UNAVAILABLE: (503, "UNAVAILABLE"),
    Kind.TIMEOUT: (504, "DEADLINE_EXCEEDED"),
    Kind.CANCELLED: (499, "CANCELLED"),
    Kind.BROKEN: (500, "INTERNAL"),
}
_KEY_WORDS: Final = {
    # Google's clients know a wrong key by this status and reason.
    "KEY_INVALID": (400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
    "KEY_EXPIRED": (400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
    "KEY_REVOKED": (400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
    "KEY_MISSING": (403, "PERMISSION_DENIED", "CREDENTIALS_MISSING"),
    "UPSTREAM_FAILED": (500, "INTERNAL", ""),
    "UPSTREAM_PROTOCOL": (500, "INTERNAL", ""),
    "UPSTREAM_AUTH_FAILED": (500, "INTERNAL", ""),
    "STREAM_INTERRUPTED": (500, "INTERNAL", ""),
}


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure. Never raises; `error.upstream` has the provider's own account, keys taken out."""
    body = _SECRET.sub(b"[removed]", body)
    members = _error_object(body)
    shown = {name.lower(): value for name, value in headers.items()}
    code = members.get("code")
    if not 400 <= status < 600 and type(code) is int and 400 <= code < 600:
        status = code
    word, message = _text(members.get("status")), _text(members.get("message"))
    details = [each for each in _list(members.get("details")) if isinstance(each, dict)]
    reason = next((_text(each["reason"]) for each in details if "reason" in each), "")
    delay, source = _delay(details, shown)
    detail = UpstreamDetail(
        http_status=status,
        type=word,
        code=reason,
        message=message,
        request_id=shown.get("x-request-id", ""),
        dialect=DIALECT,
        body=body[:MAX_BODY_BYTES],
        retry_delay_source=source,
    )
    kind = _class(status, word, reason, message, details)
    said = CREDENTIALS_REFUSED if kind is UpstreamAuthFailed else message
    error = kind(
        said or f"the provider answered with HTTP status {status}", retry_after=delay, upstream=detail
    )
    if kind is UpstreamTimeout:
        error.metadata["phase"] = "total"
    return error


def encode_error(error: LlmhubError, request_id: str) -> WireAnswer:
    """Write a failure as Google would: status, body, and the delay in both places that clients look at."""
    value = error_object(error, request_id)
    headers = {"content-type": "application/json; charset=UTF-8"}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(min(max(error.retry_after, 0.0), 1e9)))
    return WireAnswer(value["code"], encode_json({"error": value}), headers)


def error_object(error: LlmhubError, request_id: str) -> JsonObject:
    """The `error` member: code, message, status and details."""
    status, word, reason = _words(error)
    info: JsonObject = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": reason or error.reason,
        "domain": "googleapis.com" if reason else "llmhub",
    }
    if error.metadata:
        info["metadata"] = dict(error.metadata)
    details = [info]
    if error.violations:
        faults = [{"field": v.field, "description": v.message} for v in error.violations]
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": faults})
    if error.retry_after is not None:
        seconds = min(max(error.retry_after, 0.0), 1e9)
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{round(seconds, 3):.10g}s"})
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    return {"code": status, "message": error.message, "status": word, "details": details}


def _words(error: LlmhubError) -> tuple[int, str, str]:
    """Status, word and reason: the provider's own where it was Google and the fault is the caller's."""
    if (known := _KEY_WORDS.get(error.reason)) is not None:
        return known
    status, word = _WORDS[error.kind]
    own = error.upstream
    if own is not None and own.dialect == DIALECT and own.type in _BY_WORD and 400 <= own.http_status < 600:
        return own.http_status, own.type, own.code
    return status, word, ""


def _class(status: int, word: str, reason: str, message: str, details: list[JsonObject]) -> type[LlmhubError]:
    if reason in _KEY_REASONS or _THEIR_KEY.search(message):
        return UpstreamAuthFailed
    found = _BY_WORD.get(word) or _BY_STATUS.get(status)
    if found is None:
        found = UpstreamRejected if 400 <= status < 500 else UpstreamFailed
    if found is UpstreamAuthFailed and status != 401 and _THEIR_FILE.search(message):
        return UpstreamRejected
    if found is UpstreamRateLimited and _is_spent(details):
        return UpstreamQuotaExhausted
    if found is UpstreamRejected:
        return _rejected(status, word, message)
    return found


def _rejected(status: int, word: str, message: str) -> type[LlmhubError]:
    said = message.lower()
    if any(wording in said for wording in _TOO_LONG):
        return ContextLengthExceeded
    if status == 413 or any(wording in said for wording in _TOO_LARGE):
        return RequestTooLarge
    if (word == "NOT_FOUND" or status == 404) and _NO_MODEL.search(message):
        return ModelNotFound
    if word == "FAILED_PRECONDITION" and _THEIR_PLACE.search(message):
        return UpstreamAuthFailed
    if "blocked by" in said and "safety" in said:
        return ContentFiltered
    return UpstreamRejected


def _is_spent(details: list[JsonObject]) -> bool:
    """A quota of a day or of nothing: waiting as for a rate does not help."""
    for each in details:
        for violation in _list(each.get("violations")):
            if isinstance(violation, dict) and (
                "PerDay" in _text(violation.get("quotaId")) or violation.get("quotaValue") == "0"
            ):
                return True
    return False


def _delay(details: list[JsonObject], headers: Mapping[str, str]) -> tuple[float | None, str]:
    """Seconds to wait and where they were found: mostly in the body."""
    for each in details:
        if (match := _DURATION.match(_text(each.get("retryDelay")))) is not None:
            return float(match[1]), "body"
    try:
        delay = float(headers.get("retry-after", ""))
    except ValueError:
        return None, ""
    return (delay, "header") if 0 <= delay < 1e9 else (None, "")


def _error_object(body: bytes) -> JsonObject:
    """The object with the error's members; without SSE, streams have it in a list."""
    try:
        value: Any = decode_json(body)
    except ValueError:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    inner = value.get("error") if isinstance(value, dict) else None
    if isinstance(inner, dict):
        return inner
    return {"message": inner} if isinstance(inner, str) else {}


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
