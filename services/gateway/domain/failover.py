"""When another target may be tried."""

from __future__ import annotations

from services.runtime.errors import (
    InternalError,
    LlmhubError,
    ModelNotFound,
    OperationUnsupported,
    ParameterUnsupported,
    ProviderNotConfigured,
    ProviderNotFound,
    ServiceUnavailable,
    StreamInterrupted,
    UpstreamAuthFailed,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_WORTH_ANOTHER_TARGET = (
    # A defect of one adapter need not be one of another.
    InternalError,
    ModelNotFound,
    OperationUnsupported,
    ParameterUnsupported,
    ProviderNotConfigured,
    ProviderNotFound,
    ServiceUnavailable,
    # The provider's stream ended before any content: nothing was released yet.
    StreamInterrupted,
    UpstreamAuthFailed,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
"""Failures of a target, not of the request: another target may do better. A rejected request is rejected once."""


def may_fail_over(error: LlmhubError, *, committed: bool) -> bool:
    """Tell whether the next target may be tried: never once the caller may have seen content."""
    return not committed and isinstance(error, _WORTH_ANOTHER_TARGET)


def after_commit(error: LlmhubError, provider: str, characters: int) -> LlmhubError:
    """Return the error for an answer that broke off after content went out; what ended it stays readable."""
    return StreamInterrupted(
        f"the answer of {provider} broke off after {characters} characters: {error.message}",
        retry_after=error.retry_after,
        upstream=error.upstream,
        provider=provider,
        cause=error.reason,
    )
