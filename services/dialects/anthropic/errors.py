"""Failures, both ways."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from services.dialects.anthropic.wire import DIALECT
from services.dialects.codec import WireAnswer
from services.dialects.failure import CREDENTIALS_REFUSED, MAX_BODY_BYTES, header_delay, is_conflict, told
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

_BY_TYPE: Final[dict[str, type[LlmhubError]]] = {
    "invalid_request_error": UpstreamRejected,
    "authentication_error": UpstreamAuthFailed,
    "billing_error": UpstreamQuotaExhausted,
    "permission_error": UpstreamAuthFailed,
    "not_found_error": UpstreamRejected,
    "request_too_large": RequestTooLarge,
    "rate_limit_error": UpstreamRateLimited,
    "api_error": UpstreamFailed,
    "timeout_error": UpstreamTimeout,
    "overloaded_error": UpstreamOverloaded,
}
_BY_STATUS: Final[dict[int, type[LlmhubError]]] = {
    400: UpstreamRejected,
    401: UpstreamAuthFailed,
    402: UpstreamQuotaExhausted,
    403: UpstreamAuthFailed,
    404: UpstreamRejected,
    409: UpstreamFailed,
    408: UpstreamTimeout,
    413: RequestTooLarge,
    429: UpstreamRateLimited,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
    529: UpstreamOverloaded,
}
# Anthropic tells these apart by wording only.
_TOO_LONG: Final = ("prompt is too long", "exceed context limit", "exceeds the context window")
_NO_CREDIT: Final = ("credit balance is too low", "api usage limits", "spend limit")
_FILTERED: Final = ("blocked by content filtering policy",)

_STATUS: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPE_BY_KIND: Final = {
    Kind.INVALID: "invalid_request_error",
    Kind.UNAUTHENTICATED: "authentication_error",
    Kind.DENIED: "permission_error",
    Kind.MISSING: "not_found_error",
    Kind.CONFLICT: "invalid_request_error",
    Kind.PRECONDITION: "api_error",
    Kind.TOO_LARGE: "request_too_large",
    Kind.EXHAUSTED: "rate_limit_error",
    Kind.UNSUPPORTED: "invalid_request_error",
    Kind.UNAVAILABLE: "api_error",
    Kind.TIMEOUT: "timeout_error",
    Kind.CANCELLED: "api_error",
    Kind.BROKEN: "api_error",
}
_TYPE_BY_REASON: Final = {
    "BUDGET_EXHAUSTED": "billing_error",
    "UPSTREAM_QUOTA_EXHAUSTED": "billing_error",
    "UPSTREAM_OVERLOADED": "overloaded_error",
    "OVERLOADED": "overloaded_error",
    "NO_TARGET": "overloaded_error",
    "SHUTTING_DOWN": "overloaded_error",
}
_NEVER_RETRY: Final = {"UPSTREAM_AUTH_FAILED", "PROVIDER_NOT_CONFIGURED", "CANCELLED", "INTERNAL"}
_RETRYABLE: Final = {"rate_limit_error", "api_error", "timeout_error", "overloaded_error"}


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure. Never raises; `error.upstream` has the provider's own account."""
    shown = {name.lower(): value for name, value in headers.items()}
    parsed = _object(body)
    inner = parsed.get("error")
    members: JsonObject = inner if type(inner) is dict else {}
    word, message = _text(members.get("type")), _text(members.get("message"))
    if not message and type(inner) is str:
        message = inner
    delay = header_delay(shown, "retry-after-ms")
    detail = UpstreamDetail(
        http_status=status,
        type=word,
        message=message,
        request_id=shown.get("request-id") or _text(parsed.get("request_id")),
        dialect=DIALECT,
        body=body[:MAX_BODY_BYTES],
        retry_delay_source="" if delay is None else "header",
        headers={name: shown[name] for name in shown if name.startswith("anthropic-ratelimit-")},
    )
    kind = _class(status, word, message)
    said = CREDENTIALS_REFUSED if kind is UpstreamAuthFailed else message
    said = said or f"the provider answered with HTTP status {status}"
    error = kind(said, retry_after=delay, upstream=detail)
    if kind is UpstreamTimeout:
        error.metadata["phase"] = "total"
    return error


def encode_error(error: LlmhubError, request_id: str) -> WireAnswer:
    """Write a failure as Anthropic would: status, body, and the headers its clients read."""
    word = error_type(error)
    status = _STATUS[word]
    if error.kind is Kind.CONFLICT or is_conflict(error):
        status = 409
    retry = word in _RETRYABLE and error.reason not in _NEVER_RETRY
    headers = {"content-type": "application/json", "x-should-retry": "true" if retry else "false"}
    body: JsonObject = {"type": "error", "error": error_object(error)}
    if request_id:
        headers["request-id"] = request_id
        body["request_id"] = request_id
    if error.retry_after is not None and retry:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    return WireAnswer(status, encode_json(body), headers)


def error_object(error: LlmhubError) -> JsonObject:
    """The `error` member: type and message."""
    return {"type": error_type(error), "message": told(error)}


def error_type(error: LlmhubError) -> str:
    """Anthropic's word for a failure: the provider's own where it was Anthropic and the fault is the caller's."""
    own = error.upstream.type if error.upstream is not None and error.upstream.dialect == DIALECT else ""
    if own in _STATUS and _BY_TYPE[own] is not UpstreamAuthFailed:
        return own
    return _TYPE_BY_REASON.get(error.reason) or _TYPE_BY_KIND[error.kind]


def _class(status: int, word: str, message: str) -> type[LlmhubError]:
    found = _BY_TYPE.get(word) or _BY_STATUS.get(status)
    if found is None:
        found = UpstreamRejected if 400 <= status < 500 else UpstreamFailed
    if found is UpstreamRejected:
        return _rejected(status, word, message.lower())
    return found


def _rejected(status: int, word: str, message: str) -> type[LlmhubError]:
    if any(wording in message for wording in _TOO_LONG):
        return ContextLengthExceeded
    if any(wording in message for wording in _NO_CREDIT):
        return UpstreamQuotaExhausted
    if any(wording in message for wording in _FILTERED):
        return ContentFiltered
    if (word == "not_found_error" or status == 404) and message.startswith("model:"):
        return ModelNotFound
    return UpstreamRejected


def _object(body: bytes) -> JsonObject:
    try:
        value = decode_json(body)
    except ValueError:
        return {}
    return value if type(value) is dict else {}


def _text(value: Any) -> str:
    return value if type(value) is str else ""
