"""Failures as Cohere tells them, by status and a message, and ours in its shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from services.dialects.codec import WireAnswer
from services.dialects.cohere.wire import DIALECT
from services.dialects.failure import CREDENTIALS_REFUSED, HTTP_STATUSES, MAX_BODY_BYTES, header_delay, told
from services.dialects.members import JsonObject, decode_json, encode_json
from services.runtime.errors import (
    Cancelled,
    ContentFiltered,
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
_REQUEST_IDS: Final = ("x-request-id", "x-debug-trace-id", "x-amzn-requestid", "apim-request-id")

_BY_STATUS: Final[dict[int, type[LlmhubError]]] = {
    401: UpstreamAuthFailed,
    402: UpstreamQuotaExhausted,
    403: UpstreamAuthFailed,
    404: UpstreamRejected,
    408: UpstreamTimeout,
    413: RequestTooLarge,
    429: UpstreamRateLimited,
    # Cohere's own: 498 is a blocked input or output, 499 a caller that left.
    498: ContentFiltered,
    499: Cancelled,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
}
# Cohere has no codes: these are told apart by wording only.
_TOO_LONG: Final = ("too many tokens", "size limit exceeded", "exceeds the maximum context", "context length")
_SPENT: Final = ("calls / month", "per month request limit", "payment method", "billing", "spend limit")


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure; never raises."""
    shown = {name.lower(): value for name, value in headers.items()}
    try:
        value = decode_json(body)
    except ValueError:
        value = None
    members: JsonObject = value if isinstance(value, dict) else {}
    message = _text(members.get("message")) or _text(members.get("error"))
    if not message and isinstance(value, str):
        message = value
    delay = header_delay(shown)
    detail = UpstreamDetail(
        http_status=status,
        message=message[:_MOST_MESSAGE],
        request_id=_text(members.get("id")) or next((shown[n] for n in _REQUEST_IDS if n in shown), ""),
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
    """The failure in a body or frame that came with status 200; None if there is none."""
    message = value.get("message")
    if not isinstance(message, str) or not message:
        return None
    return decode_error(
        0, {}, encode_json({"message": message, **({"id": value["id"]} if "id" in value else {})})
    )


def _class(status: int, message: str) -> type[LlmhubError]:
    found = _BY_STATUS.get(status)
    if found is None:
        found = UpstreamRejected if 400 <= status < 500 else UpstreamFailed
    if found is UpstreamRejected:
        if any(words in message for words in _TOO_LONG):
            return ContextLengthExceeded
        if "model" in message and "not found" in message:
            return ModelNotFound
    if found in {UpstreamRejected, UpstreamRateLimited} and any(words in message for words in _SPENT):
        return UpstreamQuotaExhausted
    return found


def encode_error(error: LlmhubError, request_id: str) -> WireAnswer:
    """Write a failure as Cohere would: status, message and id."""
    status = HTTP_STATUSES[error.kind]
    if error.reason == "CONTENT_FILTERED":
        status = 498
    body: JsonObject = {"message": told(error)}
    headers = {"content-type": "application/json"}
    if request_id:
        body["id"] = request_id
        headers["x-request-id"] = request_id
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    return WireAnswer(status, encode_json(body), headers)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
