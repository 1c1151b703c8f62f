"""Which failures another target may make good: decided for each reason there is."""

from typing import Final

import pytest

from services.gateway.domain.failover import after_commit, may_fail_over
from services.runtime.errors import BY_REASON, LlmhubError, UpstreamFailed

ANOTHER_TARGET: Final = {
    "INTERNAL": True,
    "MODEL_NOT_FOUND": True,
    "OPERATION_UNSUPPORTED": True,
    "PARAMETER_UNSUPPORTED": True,
    "PROVIDER_NOT_CONFIGURED": True,
    "PROVIDER_NOT_FOUND": True,
    "SERVICE_UNAVAILABLE": True,
    "STREAM_INTERRUPTED": True,
    "UPSTREAM_AUTH_FAILED": True,
    "UPSTREAM_FAILED": True,
    "UPSTREAM_OVERLOADED": True,
    "UPSTREAM_PROTOCOL": True,
    "UPSTREAM_QUOTA_EXHAUSTED": True,
    "UPSTREAM_RATE_LIMITED": True,
    "UPSTREAM_TIMEOUT": True,
    "UPSTREAM_UNREACHABLE": True,
    # The request itself is refused, and would be again.
    "CONTENT_FILTERED": False,
    "CONTEXT_LENGTH_EXCEEDED": False,
    "PAGE_TOKEN_INVALID": False,
    "REQUEST_ID_CONFLICT": False,
    "REQUEST_INVALID": False,
    "REQUEST_NOT_FOUND": False,
    "RESPONSE_NOT_FOUND": False,
    "REQUEST_TOO_LARGE": False,
    "UPSTREAM_REJECTED": False,
    # The caller may not, or not now.
    "BUDGET_EXHAUSTED": False,
    "KEY_EXPIRED": False,
    "KEY_INVALID": False,
    "KEY_MISSING": False,
    "KEY_NOT_FOUND": False,
    "KEY_REVOKED": False,
    "MODEL_DENIED": False,
    "RATE_LIMITED": False,
    "SCOPE_DENIED": False,
    # The call is over, or this process cannot make it whatever the target.
    "CANCELLED": False,
    "DEADLINE_EXCEEDED": False,
    "NO_TARGET": False,
    "OVERLOADED": False,
    "SHUTTING_DOWN": False,
    "STORAGE_UNAVAILABLE": False,
}


def test_every_reason_is_decided() -> None:
    assert set(ANOTHER_TARGET) == set(BY_REASON)


@pytest.mark.parametrize("reason", BY_REASON)
def test_what_another_target_may_make_good(reason: str) -> None:
    error = BY_REASON[reason]("no")
    assert may_fail_over(error, committed=False) is ANOTHER_TARGET[reason]
    assert not may_fail_over(error, committed=True)


def test_an_interruption_tells_what_ended_the_answer() -> None:
    error: LlmhubError = after_commit(UpstreamFailed("cut", retry_after=3.0), "openai", 17)
    assert error.reason == "STREAM_INTERRUPTED"
    assert error.metadata == {"provider": "openai", "cause": "UPSTREAM_FAILED"}
    assert error.retry_after == 3.0
    assert "17 characters" in error.message
