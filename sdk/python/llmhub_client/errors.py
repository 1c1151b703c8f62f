"""What a call can raise: one class per gRPC status code, with the details llmhub sends.

Before the first event of a stream, errors are as those of a whole answer; after it they are StreamBroken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

import betterproto2
import grpc
import grpc.aio

from llmhub_client._generated.google.rpc import (
    BadRequest,
    BadRequestFieldViolation,
    ErrorInfo,
    RetryInfo,
    Status,
)
from llmhub_client.messages import Error, GenerateResponse, ProviderError

_DETAILS_KEY: Final = "grpc-status-details-bin"
_DOMAIN: Final = "llmhub"


class LlmhubError(Exception):
    """A call failed. `str()` gives reason and message, safe to show to the caller."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_delay: timedelta | None = None,
        violations: Mapping[str, str] | None = None,
        provider_error: ProviderError | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}" if reason else message)
        self.message: Final = message
        self.code: Final = code
        """gRPC status code."""
        self.reason: Final = reason
        """Name in the contract's ErrorReason. Empty: the answer is not llmhub's own, but an intermediary's."""
        self.metadata: Final = dict(metadata or {})
        """The varying values of the message; see ErrorReason for their names."""
        self.retry_delay: Final = retry_delay
        """Wait this long before trying again. None: not said."""
        self.violations: Final = dict(violations or {})
        """Path of each field that breaks the contract, and how."""
        self.provider_error: Final = provider_error
        """The provider's own account of the failure, where there is one."""


class InvalidRequest(LlmhubError):
    """The request breaks the contract, or a provider refused it."""


class Unauthenticated(LlmhubError):
    """The API key is missing, unknown, expired or revoked."""


class PermissionDenied(LlmhubError):
    """The API key may not do this."""


class NotFound(LlmhubError):
    """No such model, provider, call or key."""


class AlreadyExists(LlmhubError):
    """A running call has this request id."""


class FailedPrecondition(LlmhubError):
    """The call cannot be made as things are."""


class ResourceExhausted(LlmhubError):
    """A rate limit, quota or budget is used up, at llmhub or at the provider."""


class Unsupported(LlmhubError):
    """The operation does not exist here."""


class Unavailable(LlmhubError):
    """The provider or llmhub cannot serve the call now. It may have reached the provider."""


class ConnectFailed(Unavailable):
    """No connection could be made. Nothing was sent."""


class DeadlineExceeded(LlmhubError):
    """The call's time, or a time limit towards the provider, ran out."""


class Cancelled(LlmhubError):
    """The call was ended by Client.cancel, AnswerStream.cancel or Client.close."""


class InternalError(LlmhubError):
    """llmhub failed in a way that the contract does not foresee."""


class StreamBroken(LlmhubError):
    """An answer broke off after its first event. All else says why."""

    def __init__(self, cause: LlmhubError, partial: GenerateResponse) -> None:
        super().__init__(
            cause.message,
            code=cause.code,
            reason=cause.reason,
            metadata=cause.metadata,
            retry_delay=cause.retry_delay,
            violations=cause.violations,
            provider_error=cause.provider_error,
        )
        self.partial: Final = partial
        """What came. It is a fragment: tool calls in it may be cut in the middle of their arguments."""


_BY_CODE: Final[dict[grpc.StatusCode, type[LlmhubError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
}


@contextmanager
def rpc_errors() -> Iterator[None]:
    """Turn what grpc.aio raises into LlmhubError."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # grpc.aio says it this way too when somebody else has ended the call.
        raise Cancelled("the call was ended here", code=grpc.StatusCode.CANCELLED) from None


def from_rpc_error(error: grpc.aio.AioRpcError) -> LlmhubError:
    """Return the error that a status with its details means."""
    found: dict[type, betterproto2.Message] = {}
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            found.update((type(detail), detail) for detail in _details(value))
    info, retry, bad = found.get(ErrorInfo), found.get(RetryInfo), found.get(BadRequest)
    provider_error = found.get(ProviderError)
    ours = isinstance(info, ErrorInfo) and info.domain == _DOMAIN
    return _BY_CODE.get(error.code(), InternalError)(
        error.details() or "the call failed",
        code=error.code(),
        reason=info.reason if ours and isinstance(info, ErrorInfo) else "",
        metadata=info.metadata if isinstance(info, ErrorInfo) else None,
        retry_delay=retry.retry_delay if isinstance(retry, RetryInfo) else None,
        violations=_violations(bad.field_violations if isinstance(bad, BadRequest) else ()),
        provider_error=provider_error if isinstance(provider_error, ProviderError) else None,
    )


def from_message(error: Error | None) -> LlmhubError:
    """Return the error in a terminal event, which has no status code of its own."""
    error = error or Error(message="the answer is not complete")
    return LlmhubError(
        error.message,
        code=grpc.StatusCode.UNKNOWN,
        reason=error.reason.name or "" if error.reason else "",
        metadata=error.metadata,
        retry_delay=error.retry_delay,
        provider_error=error.provider,
    )


def interrupted(message: str) -> LlmhubError:
    """Return the error for a stream that does not keep to the contract."""
    return InternalError(message, code=grpc.StatusCode.DATA_LOSS, reason="STREAM_INTERRUPTED")


def _details(raw: bytes) -> Iterator[betterproto2.Message]:
    # Whatever is wrong with details, the error they belong to must come through.
    with suppress(Exception):
        for detail in Status.parse(raw).details:
            with suppress(Exception):
                if (message := detail.unpack()) is not None:
                    yield message


def _violations(found: Iterable[BadRequestFieldViolation]) -> dict[str, str]:
    return {violation.field: violation.description for violation in found}
