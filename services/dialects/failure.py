"""What dialects share about failures: their form inside messages (llmhub.types.v1.Error), and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from google.protobuf.duration_pb2 import Duration

from llmhub.types.v1.error_pb2 import Error, ErrorReason, ProviderError
from services.runtime.errors import (
    BY_REASON,
    InternalError,
    Kind,
    LlmhubError,
    UpstreamDetail,
    UpstreamFailed,
)

MAX_BODY_BYTES: Final = 4096
"""How much of a provider's body is kept."""
CREDENTIALS_REFUSED: Final = "the provider refused llmhub's credentials"
"""All that callers are told of failures of the operator's account."""
HTTP_STATUSES: Final = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.DENIED: 403,
    Kind.MISSING: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 400,
    Kind.TOO_LARGE: 413,
    Kind.EXHAUSTED: 429,
    Kind.UNSUPPORTED: 501,
    Kind.UNAVAILABLE: 503,
    Kind.TIMEOUT: 504,
    Kind.CANCELLED: 499,
    Kind.BROKEN: 500,
}
"""The usual status of each kind, for dialects whose vendor has no words of its own."""
_CONFLICT: Final = 409
_PREFIX: Final = "ERROR_REASON_"
_LONGEST_DELAY: Final = 1e9


def error_message(error: LlmhubError) -> Error:
    """Write an error into a message; the provider's body is cut at 4,096 bytes."""
    message = Error(
        reason=ErrorReason.Value(_PREFIX + error.reason), message=error.message, metadata=error.metadata
    )
    if error.retry_after is not None:
        message.retry_delay.CopyFrom(_duration(error.retry_after))
    if error.upstream is not None:
        detail = error.upstream
        message.provider.CopyFrom(
            ProviderError(
                provider=detail.provider,
                model=detail.model,
                http_status=detail.http_status,
                type=detail.type,
                code=detail.code,
                param=detail.param,
                message=detail.message,
                request_id=detail.request_id,
                dialect=detail.dialect,
                body=detail.body[:MAX_BODY_BYTES],
                events_delivered=detail.events_delivered,
                retry_delay_source=detail.retry_delay_source,
            )
        )
    return message


def message_error(message: Error) -> LlmhubError:
    """Read an error out of a message; an unknown reason becomes INTERNAL."""
    name = ""
    if message.reason in ErrorReason.values():
        name = ErrorReason.Name(message.reason).removeprefix(_PREFIX)
    upstream = None
    if message.HasField("provider"):
        detail = message.provider
        upstream = UpstreamDetail(
            provider=detail.provider,
            model=detail.model,
            http_status=detail.http_status,
            type=detail.type,
            code=detail.code,
            param=detail.param,
            message=detail.message,
            request_id=detail.request_id,
            dialect=detail.dialect,
            body=detail.body,
            events_delivered=detail.events_delivered,
            retry_delay_source=detail.retry_delay_source,
        )
    delay = None
    if message.HasField("retry_delay"):
        delay = message.retry_delay.seconds + message.retry_delay.nanos / 1e9
    error = BY_REASON.get(name, InternalError)(message.message, retry_after=delay, upstream=upstream)
    error.metadata = dict(message.metadata)
    return error


def is_conflict(error: LlmhubError) -> bool:
    """Whether a provider said 409: something else was going on there, and clients know to try again."""
    return (
        error.upstream is not None
        and error.upstream.http_status == _CONFLICT
        and isinstance(error, UpstreamFailed)
    )


def told(error: LlmhubError) -> str:
    """What a caller is told where a failure is one text: the message, and the faults that it does not name."""
    faults = [f"{each.field}: {each.message}" for each in error.violations if each.field]
    if faults and not any(fault in error.message for fault in faults):
        return f"{error.message} ({'; '.join(faults)})"
    return error.message


def header_delay(headers: Mapping[str, str], *in_milliseconds: str) -> float | None:
    """Seconds to wait, by the first header that says so; retry-after comes last, and dates are not understood."""
    for name, unit in (*((name, 1000.0) for name in in_milliseconds), ("retry-after", 1.0)):
        try:
            delay = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(delay) and delay >= 0:
            return delay
    return None


def _duration(seconds: float) -> Duration:
    bounded = min(max(seconds, 0.0), _LONGEST_DELAY)
    whole = int(bounded)
    return Duration(seconds=whole, nanos=int((bounded - whole) * 1e9))
