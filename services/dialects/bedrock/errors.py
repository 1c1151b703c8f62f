"""Failures, both ways: HTTP answers, and exceptions inside a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from services.dialects.bedrock.wire import DIALECT
from services.dialects.codec import WireAnswer
from services.dialects.eventstream import Frame
from services.dialects.failure import CREDENTIALS_REFUSED, MAX_BODY_BYTES, header_delay, told
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
    "ValidationException": UpstreamRejected,
    "ConflictException": UpstreamRejected,
    "SerializationException": UpstreamRejected,
    "AccessDeniedException": UpstreamAuthFailed,
    "ExpiredTokenException": UpstreamAuthFailed,
    "UnrecognizedClientException": UpstreamAuthFailed,
    "InvalidSignatureException": UpstreamAuthFailed,
    "SignatureDoesNotMatch": UpstreamAuthFailed,
    "IncompleteSignatureException": UpstreamAuthFailed,
    "MissingAuthenticationTokenException": UpstreamAuthFailed,
    "InvalidClientTokenId": UpstreamAuthFailed,
    "NotAuthorized": UpstreamAuthFailed,
    "OptInRequired": UpstreamAuthFailed,
    "RequestExpired": UpstreamAuthFailed,
    "ResourceNotFoundException": ModelNotFound,
    "RequestEntityTooLargeException": RequestTooLarge,
    "ServiceQuotaExceededException": UpstreamQuotaExhausted,
    "ThrottlingException": UpstreamRateLimited,
    "TooManyRequestsException": UpstreamRateLimited,
    "ModelNotReadyException": UpstreamOverloaded,
    "ServiceUnavailableException": UpstreamOverloaded,
    "ModelTimeoutException": UpstreamTimeout,
    "ModelErrorException": UpstreamFailed,
    "ModelStreamErrorException": UpstreamFailed,
    "InternalServerException": UpstreamFailed,
    "InternalFailure": UpstreamFailed,
}
_BY_STATUS: Final[dict[int, type[LlmhubError]]] = {
    400: UpstreamRejected,
    401: UpstreamAuthFailed,
    402: UpstreamQuotaExhausted,
    403: UpstreamAuthFailed,
    404: ModelNotFound,
    408: UpstreamTimeout,
    413: RequestTooLarge,
    424: UpstreamFailed,
    429: UpstreamRateLimited,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
}
# Bedrock, and the models behind it, tell these apart by wording only.
_TOO_LONG: Final = (
    "input tokens exceeded",
    "input is too long",
    "prompt is too long",
    "exceed context limit",
    "exceeds the context window",
    "maximum context length",
    "too many input tokens",
)
_NO_MODEL: Final = ("model identifier is invalid", "could not resolve the foundation model")
_FILTERED: Final = ("blocked by content filtering policy", "blocked by our content filters")
_PER_DAY: Final = ("tokens per day", "requests per day")

STATUS: Final = {
    "ValidationException": 400,
    "ServiceQuotaExceededException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
"""The service's own failures and their HTTP status."""
_TYPE_BY_KIND: Final = {
    Kind.INVALID: "ValidationException",
    Kind.UNAUTHENTICATED: "AccessDeniedException",
    Kind.DENIED: "AccessDeniedException",
    Kind.MISSING: "ResourceNotFoundException",
    Kind.CONFLICT: "ValidationException",
    Kind.PRECONDITION: "InternalServerException",
    Kind.TOO_LARGE: "ValidationException",
    Kind.EXHAUSTED: "ThrottlingException",
    Kind.UNSUPPORTED: "ValidationException",
    Kind.UNAVAILABLE: "ServiceUnavailableException",
    Kind.TIMEOUT: "ModelTimeoutException",
    Kind.CANCELLED: "InternalServerException",
    Kind.BROKEN: "InternalServerException",
}
_TYPE_BY_REASON: Final = {
    "BUDGET_EXHAUSTED": "ServiceQuotaExceededException",
    "UPSTREAM_QUOTA_EXHAUSTED": "ServiceQuotaExceededException",
}
_IN_STREAMS: Final = {
    "InternalServerException",
    "ModelStreamErrorException",
    "ValidationException",
    "ThrottlingException",
    "ServiceUnavailableException",
}


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure. Never raises; `error.upstream` has the provider's own account."""
    shown = {name.lower(): value for name, value in headers.items()}
    parsed = _object(body)
    word = error_name(
        shown.get("x-amzn-errortype") or _text(parsed.get("__type")) or _text(parsed.get("code"))
    )
    message = _text(parsed.get("message")) or _text(parsed.get("Message"))
    delay = header_delay(shown, "x-amz-retry-after", "retry-after-ms")
    detail = UpstreamDetail(
        http_status=status,
        type=word,
        message=message,
        request_id=shown.get("x-amzn-requestid", ""),
        dialect=DIALECT,
        body=body[:MAX_BODY_BYTES],
        retry_delay_source="" if delay is None else "header",
    )
    kind = _class(status, word, message.lower())
    said = CREDENTIALS_REFUSED if kind is UpstreamAuthFailed else message
    said = said or f"the provider answered with HTTP status {status}"
    error = kind(said, retry_after=delay, upstream=detail)
    if kind is UpstreamTimeout:
        error.metadata["phase"] = "total"
    return error


def frame_error(frame: Frame) -> LlmhubError:
    """Read an exception or error frame of a stream; its names begin with a small letter."""
    word = frame.name[:1].upper() + frame.name[1:]
    body = frame.payload or encode_json({"message": frame.message})
    return error_of(STATUS.get(word, 200), {"x-amzn-errortype": word}, body)


def error_name(text: str) -> str:
    """The name of a failure without the namespace before it or the address behind it."""
    return text.partition(":")[0].rpartition("#")[2].strip()


def encode_error(error: LlmhubError, request_id: str) -> WireAnswer:
    """Write a failure as Bedrock would: the kind is in a header, the body has words only."""
    word = error_type(error)
    headers = {"content-type": "application/json", "x-amzn-errortype": f"{word}:"}
    if request_id:
        headers["x-amzn-requestid"] = request_id
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    return WireAnswer(STATUS[word], encode_json(error_object(error)), headers)


def error_object(error: LlmhubError) -> JsonObject:
    """The body of a failure."""
    return {"message": told(error)}


def error_type(error: LlmhubError) -> str:
    """Bedrock's name for a failure: the provider's own where it was Bedrock and the fault is the caller's."""
    own = error.upstream.type if error.upstream is not None and error.upstream.dialect == DIALECT else ""
    if own in STATUS and _BY_TYPE[own] is not UpstreamAuthFailed:
        return own
    return _TYPE_BY_REASON.get(error.reason) or _TYPE_BY_KIND[error.kind]


def stream_error_type(error: LlmhubError) -> str:
    """The exception's name inside a stream, which knows a few only."""
    word = error_type(error)
    if word not in _IN_STREAMS:
        word = "ValidationException" if STATUS[word] < 408 else "ModelStreamErrorException"
    return word[:1].lower() + word[1:]


def _class(status: int, word: str, message: str) -> type[LlmhubError]:
    found = _BY_TYPE.get(word) or _BY_STATUS.get(status)
    if found is None:
        found = UpstreamRejected if 400 <= status < 500 else UpstreamFailed
    if found is UpstreamRejected:
        return _rejected(message)
    if found is UpstreamRateLimited and any(wording in message for wording in _PER_DAY):
        return UpstreamQuotaExhausted
    return found


def _rejected(message: str) -> type[LlmhubError]:
    for wordings, kind in (
        (_TOO_LONG, ContextLengthExceeded),
        (_NO_MODEL, ModelNotFound),
        (_FILTERED, ContentFiltered),
    ):
        if any(wording in message for wording in wordings):
            return kind
    return UpstreamRejected


def _object(body: bytes) -> JsonObject:
    try:
        value = decode_json(body)
    except ValueError:
        return {}
    return value if type(value) is dict else {}


def _text(value: Any) -> str:
    return value if type(value) is str else ""
