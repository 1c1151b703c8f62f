"""Failures as Ollama tells them, by status and a text, and ours in its shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from services.dialects.codec import WireAnswer
from services.dialects.failure import CREDENTIALS_REFUSED, HTTP_STATUSES, MAX_BODY_BYTES, header_delay, told
from services.dialects.members import JsonObject, decode_json, encode_json
from services.dialects.ollama.wire import DIALECT
from services.runtime.errors import (
    ContextLengthExceeded,
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

_MOST_MESSAGE: Final = 2000

_BY_STATUS: Final[dict[int, type[LlmhubError]]] = {
    401: UpstreamAuthFailed,
    402: UpstreamQuotaExhausted,
    403: UpstreamAuthFailed,
    404: UpstreamRejected,
    408: UpstreamTimeout,
    413: RequestTooLarge,
    429: UpstreamRateLimited,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
}
# Ollama has no codes: these are told apart by wording only.
_TOO_LONG: Final = ("exceeds the context", "exceeds maximum context", "context length", "prompt is too long")
_MISSING: Final = ("try pulling it first", "not found")
_BUSY: Final = ("server busy", "maximum pending requests")
_SPENT: Final = ("usage limit", "upgrade for higher")


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure; never raises."""
    shown = {name.lower(): value for name, value in headers.items()}
    try:
        value = decode_json(body)
    except ValueError:
        value = None
    words = value.get("error") if isinstance(value, dict) else None
    if isinstance(words, dict):
        words = words.get("message")
    message = words if isinstance(words, str) else ""
    delay = header_delay(shown)
    detail = UpstreamDetail(
        http_status=status,
        message=message[:_MOST_MESSAGE],
        request_id=shown.get("x-request-id", ""),
        dialect=DIALECT,
        body=body[:MAX_BODY_BYTES],
        retry_delay_source="" if delay is None else "header",
    )
    kind = _class(status, message.lower())
    said = message[:_MOST_MESSAGE] or f"the provider answered with HTTP status {status}"
    if kind is UpstreamAuthFailed:
        said = CREDENTIALS_REFUSED
    error = kind(said, retry_after=delay, upstream=detail)
    if kind is UpstreamTimeout:
        error.metadata["phase"] = "total"
    return error


def error_in_answer(value: JsonObject) -> LlmhubError | None:
    """The failure in a body or line that came with status 200; None if there is none."""
    if not value.get("error"):
        return None
    status: Any = value.get("status_code")
    known = status if type(status) is int and 400 <= status < 600 else 0
    return decode_error(known, {}, encode_json({"error": value["error"]}))


def _class(status: int, message: str) -> type[LlmhubError]:
    found = _BY_STATUS.get(status)
    if found is None:
        found = UpstreamRejected if 400 <= status < 500 else UpstreamFailed
    if found in {UpstreamRejected, UpstreamFailed}:
        if any(words in message for words in _TOO_LONG):
            return ContextLengthExceeded
        if any(words in message for words in _BUSY):
            return UpstreamOverloaded
        if "model" in message and any(words in message for words in _MISSING):
            return ModelNotFound
    if found is UpstreamRateLimited and any(words in message for words in _SPENT):
        return UpstreamQuotaExhausted
    return found


def encode_error(error: LlmhubError, request_id: str) -> WireAnswer:
    """Write a failure as Ollama would: status and a text."""
    headers = {"content-type": "application/json; charset=utf-8"}
    if request_id:
        headers["x-request-id"] = request_id
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    return WireAnswer(HTTP_STATUSES[error.kind], encode_json({"error": told(error)}), headers)
