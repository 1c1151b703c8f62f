"""The one place where LlmhubError meets gRPC: status codes, google.rpc.Status and llmhub.types.v1.Error."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from llmhub.types.v1 import error_pb2
from services.runtime.errors import (
    BY_REASON,
    Cancelled,
    DeadlineExceeded,
    InternalError,
    Kind,
    LlmhubError,
    OperationUnsupported,
    Overloaded,
    ServiceUnavailable,
    ShuttingDown,
    UpstreamDetail,
    Violation,
)

DOMAIN: Final = "llmhub"
DETAILS_KEY: Final = "grpc-status-details-bin"
NOT_STARTED: Final = "x-llmhub-not-started"
"""Header for the edge, which sends such a call to another process and never shows the header to a caller."""
MAX_BODY_BYTES: Final = 4_096
MAX_MESSAGE_BYTES: Final = 2_048
MAX_METADATA_BYTES: Final = 7 * 1024
"""Of 8 KiB that clients accept, what an error may fill; the rest is for other trailers and their overhead."""

_MAX_VALUE_BYTES: Final = 256
_MAX_VALUES: Final = 16
_MAX_VIOLATIONS: Final = 50
_REASON_PREFIX: Final = "ERROR_REASON_"
_LONGEST_DELAY: Final = 10.0**9

CODES: Final[dict[Kind, grpc.StatusCode]] = {
    # Not RESOURCE_EXHAUSTED: clients and the edge would take it for a limit that passes with time.
    Kind.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.MISSING: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.ALREADY_EXISTS,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.CANCELLED: grpc.StatusCode.CANCELLED,
    Kind.BROKEN: grpc.StatusCode.INTERNAL,
}

# What a status means that none of our servers wrote. Its text stays out: it names addresses and internals.
_FOREIGN: Final[dict[grpc.StatusCode, tuple[type[LlmhubError], str]]] = {
    grpc.StatusCode.UNAVAILABLE: (ServiceUnavailable, "a service of the mesh cannot be reached"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (DeadlineExceeded, "the deadline passed"),
    grpc.StatusCode.CANCELLED: (Cancelled, "the call was cancelled"),
    grpc.StatusCode.UNIMPLEMENTED: (OperationUnsupported, "the operation does not exist here"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Overloaded, "a service of the mesh has no room for this call"),
}
_UNKNOWN: Final = (InternalError, "a service of the mesh failed")
# For a reason that this version does not know, by number of the code.
_STAND_INS: Final = {
    CODES[cls.kind].value[0]: cls
    for cls in (
        Cancelled,
        DeadlineExceeded,
        InternalError,
        OperationUnsupported,
        Overloaded,
        ServiceUnavailable,
    )
}


class _StatusParts(NamedTuple):
    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


class RpcStatus(_StatusParts, grpc.Status):
    """What `abort_with_status` takes: code, text and the trailing metadata that carries the details."""


def code_of(error: LlmhubError) -> grpc.StatusCode:
    """The gRPC code of an error."""
    return CODES[error.kind]


def to_status(error: LlmhubError) -> status_pb2.Status:
    """The error as a Status of at most MAX_METADATA_BYTES on the wire; body, then texts, are cut to fit."""
    body = min(MAX_BODY_BYTES, len(error.upstream.body) if error.upstream is not None else 0)
    text = MAX_MESSAGE_BYTES
    status = _build(error, text, body)
    while (excess := metadata_size(status) - MAX_METADATA_BYTES) > 0:
        # The body goes first: it is the largest, and its message is a member of its own.
        if body:
            body = max(0, body - excess * 3 // 4 - 4)
        else:
            text //= 2
        status = _build(error, text, body)
    return status


def to_rpc_status(error: LlmhubError) -> RpcStatus:
    """The error as `abort_with_status` takes it.

    A delay is also in the trailer `retry-after`, in seconds; NOT_STARTED says that another process may take the call.
    """
    status = to_status(error)
    metadata: tuple[tuple[str, str | bytes], ...] = ((DETAILS_KEY, status.SerializeToString()),)
    if error.retry_after is not None:
        metadata += (("retry-after", str(math.ceil(_bounded(error.retry_after)))),)
    if is_not_started(error):
        metadata += ((NOT_STARTED, "1"),)
    return RpcStatus(code_of(error), status.message, metadata)


def is_not_started(error: LlmhubError) -> bool:
    """Whether nothing at all was done for the call, so that sending it again cannot cost anything twice."""
    return isinstance(error, ShuttingDown) and error.metadata.get("started") == "false"


def from_status(status: status_pb2.Status) -> LlmhubError | None:
    """The error that `to_status` wrote; None for a Status that is not llmhub's."""
    reason: str | None = None
    metadata: dict[str, str] = {}
    retry_after: float | None = None
    violations: tuple[Violation, ...] = ()
    upstream: UpstreamDetail | None = None
    for detail in status.details:
        name = detail.TypeName()
        if name == "google.rpc.ErrorInfo":
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            if info.domain == DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
        elif name == "google.rpc.RetryInfo":
            retry_after = _seconds(error_details_pb2.RetryInfo.FromString(detail.value).retry_delay)
        elif name == "google.rpc.BadRequest":
            found = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            violations = tuple(Violation(each.field, each.description) for each in found)
        elif name == "llmhub.types.v1.ProviderError":
            upstream = _from_provider_error(error_pb2.ProviderError.FromString(detail.value))
    if reason is None:
        return None
    cls = BY_REASON.get(reason) or _STAND_INS.get(status.code, InternalError)
    error = cls(status.message, retry_after=retry_after, violations=violations, upstream=upstream)
    error.metadata = metadata
    return error


def from_rpc_error(error: grpc.aio.AioRpcError, service: str = "") -> LlmhubError:
    """What a failed call means: the callee's own error, or one by code if no llmhub server wrote it.

    `service` names the callee in the metadata of the latter.
    """
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                ours = from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
            if ours is not None:
                return ours
    cls, message = _FOREIGN.get(error.code(), _UNKNOWN)
    return cls(message, service=service) if service else cls(message)


def to_message(error: LlmhubError) -> error_pb2.Error:
    """The error as a member of a message."""
    message = error_pb2.Error(
        reason=error_pb2.ErrorReason.Value(_REASON_PREFIX + error.reason),
        message=_cut(error.message, MAX_MESSAGE_BYTES),
        metadata=_values(error, _MAX_VALUE_BYTES),
    )
    if error.retry_after is not None:
        message.retry_delay.CopyFrom(_duration(error.retry_after))
    if error.upstream is not None:
        message.provider.CopyFrom(_provider_error(error.upstream, MAX_MESSAGE_BYTES, MAX_BODY_BYTES))
    return message


def from_message(message: error_pb2.Error) -> LlmhubError:
    """The error that `to_message` wrote; a reason of a newer llmhub becomes INTERNAL."""
    name = ""
    if message.reason in error_pb2.ErrorReason.values():
        name = error_pb2.ErrorReason.Name(message.reason)
    error = BY_REASON.get(name.removeprefix(_REASON_PREFIX), InternalError)(
        message.message,
        retry_after=_seconds(message.retry_delay) if message.HasField("retry_delay") else None,
        upstream=_from_provider_error(message.provider) if message.HasField("provider") else None,
    )
    error.metadata = dict(message.metadata)
    return error


def metadata_size(status: status_pb2.Status) -> int:
    """Bytes of `grpc-message` and of the details on the wire, encoded as HTTP/2 peers send them."""
    # gRPC percent-encodes the percent sign and whatever is not printable ASCII.
    text = sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in status.message.encode())
    return text + (status.ByteSize() + 2) // 3 * 4


def _build(error: LlmhubError, text: int, body: int) -> status_pb2.Status:
    """The Status with no text over `text` bytes and no body over `body` bytes."""
    short = min(text, _MAX_VALUE_BYTES)
    status = status_pb2.Status(code=code_of(error).value[0], message=_cut(error.message, text))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_values(error, short))
    status.details.add().Pack(info)
    if error.retry_after is not None:
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after)))
    if error.violations:
        faults = error_details_pb2.BadRequest()
        for violation in error.violations[:_MAX_VIOLATIONS]:
            faults.field_violations.add(
                field=_cut(violation.field, short), description=_cut(violation.message, short)
            )
        status.details.add().Pack(faults)
    if error.upstream is not None:
        status.details.add().Pack(_provider_error(error.upstream, text, body))
    return status


def _provider_error(upstream: UpstreamDetail, text: int, body: int) -> error_pb2.ProviderError:
    short = min(text, _MAX_VALUE_BYTES)
    return error_pb2.ProviderError(
        provider=_cut(upstream.provider, short),
        model=_cut(upstream.model, short),
        http_status=upstream.http_status,
        type=_cut(upstream.type, short),
        code=_cut(upstream.code, short),
        param=_cut(upstream.param, short),
        message=_cut(upstream.message, text),
        request_id=_cut(upstream.request_id, short),
        dialect=_cut(upstream.dialect, short),
        body=upstream.body[:body],
        events_delivered=upstream.events_delivered,
        retry_delay_source=_cut(upstream.retry_delay_source, short),
    )


def _from_provider_error(message: error_pb2.ProviderError) -> UpstreamDetail:
    return UpstreamDetail(
        provider=message.provider,
        model=message.model,
        http_status=message.http_status,
        type=message.type,
        code=message.code,
        param=message.param,
        message=message.message,
        request_id=message.request_id,
        dialect=message.dialect,
        body=message.body,
        events_delivered=message.events_delivered,
        retry_delay_source=message.retry_delay_source,
    )


def _values(error: LlmhubError, limit: int) -> dict[str, str]:
    first = list(error.metadata.items())[:_MAX_VALUES]
    return {_cut(key, limit): _cut(value, limit) for key, value in first}


def _cut(text: str, limit: int) -> str:
    """The text as valid UTF-8 of at most `limit` bytes, never ending inside a character."""
    raw = text.encode("utf-8", "replace")
    return raw[:limit].decode("utf-8", "ignore")


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_DELAY) if not math.isnan(seconds) else 0.0


def _duration(seconds: float) -> Duration:
    nanos = round(_bounded(seconds) * 1_000_000_000)
    return Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)


def _seconds(duration: Duration) -> float:
    # One division of integers gives the nearest float, so that what was sent comes back equal.
    return (duration.seconds * 1_000_000_000 + duration.nanos) / 1_000_000_000
