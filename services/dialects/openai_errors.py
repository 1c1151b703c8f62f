"""Failures of OpenAI-compatible servers, read by type and code, and ours written in OpenAI's shape.

The shape is the same for chat completions and for responses; `dialect` says in which of them a failure was met.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from services.dialects.codec import WireAnswer
from services.dialects.failure import CREDENTIALS_REFUSED, HTTP_STATUSES, MAX_BODY_BYTES, is_conflict
from services.dialects.members import JsonObject, decode_json, encode_json
from services.dialects.openai_error_kinds import classify
from services.dialects.openai_retry import retry_delay
from services.runtime.errors import Kind, LlmhubError, UpstreamDetail

SHARED_BY: Final = frozenset({"openai", "openai-responses"})
"""Dialects whose failures have this shape."""

_MOST_MESSAGE: Final = 2000
_KEPT_HEADERS: Final = ("retry-after", "retry-after-ms", "x-should-retry")
_REQUEST_IDS: Final = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "cf-ray")

_TYPES: Final = {
    Kind.DENIED: "permission_error",
    Kind.EXHAUSTED: "rate_limit_error",
    Kind.UNAVAILABLE: "server_error",
    Kind.TIMEOUT: "server_error",
    Kind.CANCELLED: "server_error",
    Kind.BROKEN: "server_error",
}
_CODES: Final = {
    "KEY_MISSING": "invalid_api_key",
    "KEY_INVALID": "invalid_api_key",
    "KEY_EXPIRED": "invalid_api_key",
    "KEY_REVOKED": "invalid_api_key",
    "RATE_LIMITED": "rate_limit_exceeded",
    "UPSTREAM_RATE_LIMITED": "rate_limit_exceeded",
    "BUDGET_EXHAUSTED": "insufficient_quota",
    "UPSTREAM_QUOTA_EXHAUSTED": "insufficient_quota",
    "CONTENT_FILTERED": "content_filter",
    "PARAMETER_UNSUPPORTED": "unsupported_parameter",
}
_FINAL: Final = frozenset(
    {
        "BUDGET_EXHAUSTED",
        "UPSTREAM_QUOTA_EXHAUSTED",
        "UPSTREAM_AUTH_FAILED",
        "OPERATION_UNSUPPORTED",
        "DEADLINE_EXCEEDED",
        "CANCELLED",
        "REQUEST_ID_CONFLICT",
    }
)
_OWN_FAULTS: Final = frozenset({"UPSTREAM_AUTH_FAILED"})
"""Failures of the operator's account: the provider's words about them are not for the caller."""


def decode_error(status: int, headers: Mapping[str, str], body: bytes, dialect: str) -> LlmhubError:
    """Read a failure; never raises."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        value = decode_json(body)
    except ValueError:
        value = None
    return _build(status, lower, value, body, dialect)


def error_in_answer(value: JsonObject, dialect: str) -> LlmhubError | None:
    """The failure inside a body or frame that came with status 200; None if there is none."""
    error = value.get("error")
    if not error:
        return None
    inner = error if isinstance(error, dict) else {}
    codes: list[Any] = [inner.get(name) for name in ("status_code", "code", "status")]
    status: int = next((code for code in codes if type(code) is int and 400 <= code < 600), 0)
    return _build(status, {}, value, encode_json({"error": error}), dialect)


def _build(status: int, headers: Mapping[str, str], value: Any, body: bytes, dialect: str) -> LlmhubError:
    error = _error_object(value)
    message = _message(error, value)
    delay, source = retry_delay(status, headers, error)
    detail = UpstreamDetail(
        http_status=status,
        type=_word(error.get("type")) or _word(error.get("object")),
        code=_word(error.get("code")) or _word(error.get("status")),
        param=_word(error.get("param")),
        message=message[:_MOST_MESSAGE],
        request_id=next((headers[name] for name in _REQUEST_IDS if headers.get(name)), ""),
        dialect=dialect,
        body=body[:MAX_BODY_BYTES],
        retry_delay_source=source,
        headers={
            name: text
            for name, text in headers.items()
            if name in _KEPT_HEADERS or name.startswith(("x-ratelimit-", "ratelimit"))
        },
    )
    cls = classify(detail, error)
    shown = message[:_MOST_MESSAGE] or f"the provider answered with status {status}"
    if cls.reason in _OWN_FAULTS:
        shown = CREDENTIALS_REFUSED
    return cls(shown, retry_after=delay, upstream=detail)


def _error_object(value: Any) -> JsonObject:
    """The object with the error's members, wherever the vendor puts it."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    detail = value.get("detail")
    # FastAPI wraps what a server raised.
    outer: JsonObject = detail if "error" not in value and isinstance(detail, dict) else value
    error = outer.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {**outer, "message": error}
    return outer


def _message(error: JsonObject, value: Any) -> str:
    for name in ("message", "detail", "error", "msg", "title"):
        found = error.get(name)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, list) and found and isinstance(found[0], dict):
            # FastAPI's list of faults.
            return str(found[0].get("msg") or found[0])
    return value if isinstance(value, str) else ""


def _word(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""


def http_status(error: LlmhubError) -> int:
    """The status that OpenAI's SDK turns into the right exception."""
    kind = Kind.CONFLICT if is_conflict(error) else error.kind
    # SDKs try a 501 again; what a model cannot do it will not be able to do in a second either.
    return HTTP_STATUSES[Kind.INVALID if kind is Kind.UNSUPPORTED else kind]


def encode_error(error: LlmhubError, request_id: str) -> WireAnswer:
    """Write a failure; a provider's own words in this shape are kept, unless they are about our account."""
    own = _own_body(error)
    status = http_status(error)
    if own is not None and error.upstream is not None and 400 <= error.upstream.http_status < 600:
        status = error.upstream.http_status
    headers = {"content-type": "application/json"}
    if request_id:
        headers["x-request-id"] = request_id
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
    if error.reason in _FINAL:
        headers["x-should-retry"] = "false"
    return WireAnswer(status, own or encode_json({"error": error_object(error)}), headers)


def error_object(error: LlmhubError) -> JsonObject:
    """The members of OpenAI's error object."""
    param = error.violations[0].field if error.violations else error.metadata.get("field")
    code = _CODES.get(error.reason, error.reason.lower())
    return {
        "message": error.message,
        "type": "insufficient_quota"
        if code == "insufficient_quota"
        else _TYPES.get(error.kind, "invalid_request_error"),
        "param": param or None,
        "code": code,
    }


def _own_body(error: LlmhubError) -> bytes | None:
    """The provider's body, if it is whole, in this shape and for the caller's eyes."""
    detail = error.upstream
    if detail is None or detail.dialect not in SHARED_BY or error.reason in _OWN_FAULTS:
        return None
    try:
        value = decode_json(detail.body)
    except ValueError:
        return None
    return detail.body if isinstance(value, dict) and isinstance(value.get("error"), dict) else None
