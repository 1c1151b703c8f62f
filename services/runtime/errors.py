"""The one hierarchy of failures that a caller may be told about; imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """What sort of failure it is: decides the gRPC code and the HTTP status, once each."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    MISSING = "missing"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    TOO_LARGE = "too_large"
    EXHAUSTED = "exhausted"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request: the field's path and what is wrong with it."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class UpstreamDetail:
    """A provider's own account of a failure; the same members as llmhub.types.v1.ProviderError."""

    provider: str = ""
    model: str = ""
    http_status: int = 0
    type: str = ""
    code: str = ""
    param: str = ""
    message: str = ""
    request_id: str = ""
    dialect: str = ""
    body: bytes = b""
    events_delivered: int = 0
    retry_delay_source: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class LlmhubError(Exception):
    """Anything a caller may be told. Subclasses fix the kind and the reason.

    `message` and `metadata` are shown to the caller: no secret, no internals. `retry_after` is in seconds.
    """

    kind: ClassVar[Kind] = Kind.BROKEN
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        violations: tuple[Violation, ...] = (),
        upstream: UpstreamDetail | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.violations = violations
        self.upstream = upstream
        self.metadata = metadata


class RequestInvalid(LlmhubError):
    """The request breaks the contract; violations say where."""

    kind = Kind.INVALID
    reason = "REQUEST_INVALID"


class RequestTooLarge(LlmhubError):
    """The body is over the limit."""

    kind = Kind.TOO_LARGE
    reason = "REQUEST_TOO_LARGE"


class ContextLengthExceeded(LlmhubError):
    """The prompt does not fit the model's context."""

    kind = Kind.INVALID
    reason = "CONTEXT_LENGTH_EXCEEDED"


class ParameterUnsupported(LlmhubError):
    """The target cannot do what is asked, and policy says refuse."""

    kind = Kind.INVALID
    reason = "PARAMETER_UNSUPPORTED"


class ModelNotFound(LlmhubError):
    """No such model or alias."""

    kind = Kind.MISSING
    reason = "MODEL_NOT_FOUND"


class ProviderNotFound(LlmhubError):
    """No such provider."""

    kind = Kind.MISSING
    reason = "PROVIDER_NOT_FOUND"


class ProviderNotConfigured(LlmhubError):
    """The provider's credentials are not set."""

    kind = Kind.PRECONDITION
    reason = "PROVIDER_NOT_CONFIGURED"


class KeyMissing(LlmhubError):
    """No API key was sent."""

    kind = Kind.UNAUTHENTICATED
    reason = "KEY_MISSING"


class KeyInvalid(LlmhubError):
    """The API key is malformed or unknown."""

    kind = Kind.UNAUTHENTICATED
    reason = "KEY_INVALID"


class KeyExpired(LlmhubError):
    """The API key has expired."""

    kind = Kind.UNAUTHENTICATED
    reason = "KEY_EXPIRED"


class KeyRevoked(LlmhubError):
    """The API key was revoked; as a target of a change it can no longer be used."""

    kind = Kind.UNAUTHENTICATED
    reason = "KEY_REVOKED"


class ScopeDenied(LlmhubError):
    """The key lacks a scope."""

    kind = Kind.DENIED
    reason = "SCOPE_DENIED"


class ModelDenied(LlmhubError):
    """The key may not use this model."""

    kind = Kind.DENIED
    reason = "MODEL_DENIED"


class RateLimited(LlmhubError):
    """A limit of llmhub's own."""

    kind = Kind.EXHAUSTED
    reason = "RATE_LIMITED"


class BudgetExhausted(LlmhubError):
    """A budget is spent."""

    kind = Kind.EXHAUSTED
    reason = "BUDGET_EXHAUSTED"


class UpstreamRateLimited(LlmhubError):
    """The provider limits the rate."""

    kind = Kind.EXHAUSTED
    reason = "UPSTREAM_RATE_LIMITED"


class UpstreamQuotaExhausted(LlmhubError):
    """The provider account's quota or balance is spent; trying again does not help."""

    kind = Kind.EXHAUSTED
    reason = "UPSTREAM_QUOTA_EXHAUSTED"


class UpstreamOverloaded(LlmhubError):
    """The provider is overloaded."""

    kind = Kind.UNAVAILABLE
    reason = "UPSTREAM_OVERLOADED"


class UpstreamFailed(LlmhubError):
    """The provider failed on its side."""

    kind = Kind.UNAVAILABLE
    reason = "UPSTREAM_FAILED"


class UpstreamUnreachable(LlmhubError):
    """No connection to the provider came about."""

    kind = Kind.UNAVAILABLE
    reason = "UPSTREAM_UNREACHABLE"


class UpstreamTimeout(LlmhubError):
    """A time limit towards the provider passed; metadata["phase"] says which."""

    kind = Kind.TIMEOUT
    reason = "UPSTREAM_TIMEOUT"


class UpstreamAuthFailed(LlmhubError):
    """The provider refused llmhub's credentials: the operator's fault, not the caller's."""

    kind = Kind.UNAVAILABLE
    reason = "UPSTREAM_AUTH_FAILED"


class UpstreamRejected(LlmhubError):
    """The provider refused the request as wrong."""

    kind = Kind.INVALID
    reason = "UPSTREAM_REJECTED"


class UpstreamProtocol(LlmhubError):
    """The provider's answer could not be understood."""

    kind = Kind.UNAVAILABLE
    reason = "UPSTREAM_PROTOCOL"


class ContentFiltered(LlmhubError):
    """The provider's content filter refused the prompt."""

    kind = Kind.INVALID
    reason = "CONTENT_FILTERED"


class StreamInterrupted(LlmhubError):
    """The answer broke off after content was delivered."""

    kind = Kind.UNAVAILABLE
    reason = "STREAM_INTERRUPTED"


class NoTarget(LlmhubError):
    """No target of the alias can serve this call now."""

    kind = Kind.UNAVAILABLE
    reason = "NO_TARGET"


class DeadlineExceeded(LlmhubError):
    """The caller's deadline passed."""

    kind = Kind.TIMEOUT
    reason = "DEADLINE_EXCEEDED"


class Cancelled(LlmhubError):
    """The caller, or a Cancel, ended the call."""

    kind = Kind.CANCELLED
    reason = "CANCELLED"


class RequestNotFound(LlmhubError):
    """No running or recent call has this request id."""

    kind = Kind.MISSING
    reason = "REQUEST_NOT_FOUND"


class ResponseNotFound(LlmhubError):
    """No response with this id is kept for this key."""

    kind = Kind.MISSING
    reason = "RESPONSE_NOT_FOUND"


class RequestIdConflict(LlmhubError):
    """A running call has this request id already."""

    kind = Kind.CONFLICT
    reason = "REQUEST_ID_CONFLICT"


class PageTokenInvalid(LlmhubError):
    """The page token was not given by this server for this query."""

    kind = Kind.INVALID
    reason = "PAGE_TOKEN_INVALID"


class KeyNotFound(LlmhubError):
    """No such key."""

    kind = Kind.MISSING
    reason = "KEY_NOT_FOUND"


class ShuttingDown(LlmhubError):
    """The process is draining; another one takes the call.

    With `started="false"` nothing was done for the call: whoever stands before this process may send it to another.
    """

    kind = Kind.UNAVAILABLE
    reason = "SHUTTING_DOWN"


class Overloaded(LlmhubError):
    """llmhub itself has no room."""

    kind = Kind.EXHAUSTED
    reason = "OVERLOADED"


class StorageUnavailable(LlmhubError):
    """Local disk or database refuses writes, so the call could not be metered and was not sent."""

    kind = Kind.UNAVAILABLE
    reason = "STORAGE_UNAVAILABLE"


class OperationUnsupported(LlmhubError):
    """The operation does not exist here."""

    kind = Kind.UNSUPPORTED
    reason = "OPERATION_UNSUPPORTED"


class ServiceUnavailable(LlmhubError):
    """A service of the mesh cannot be reached."""

    kind = Kind.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"


class InternalError(LlmhubError):
    """A defect of llmhub; the log has more under the request id."""

    kind = Kind.BROKEN
    reason = "INTERNAL"


def _subclasses() -> dict[str, type[LlmhubError]]:
    return {cls.reason: cls for cls in LlmhubError.__subclasses__()}


BY_REASON: dict[str, type[LlmhubError]] = _subclasses()
"""Every error class by its reason, for rebuilding an error that crossed a process boundary."""
