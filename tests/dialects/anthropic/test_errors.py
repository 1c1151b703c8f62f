"""Failures both ways. What no recording shows is written after Anthropic's documentation, and ours."""

import json

import anthropic
import pytest

from services.dialects.anthropic import AnthropicCodec
from services.runtime import errors
from services.runtime.errors import BY_REASON, LlmhubError, UpstreamDetail, Violation
from tests.dialects.anthropic.official import error_of

codec = AnthropicCodec()


def body(word: str, message: str) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": word, "message": message}, "request_id": "req_1"}
    ).encode()


@pytest.mark.parametrize(
    ("status", "word", "message", "expected"),
    [
        (400, "invalid_request_error", "max_tokens: field required", errors.UpstreamRejected),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 213462 tokens > 200000 maximum",
            errors.ContextLengthExceeded,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            errors.ContextLengthExceeded,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            errors.UpstreamQuotaExhausted,
        ),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            errors.UpstreamQuotaExhausted,
        ),
        (400, "invalid_request_error", "Output blocked by content filtering policy", errors.ContentFiltered),
        (401, "authentication_error", "invalid x-api-key", errors.UpstreamAuthFailed),
        (402, "billing_error", "payment required", errors.UpstreamQuotaExhausted),
        (403, "permission_error", "not allowed", errors.UpstreamAuthFailed),
        (404, "not_found_error", "model: claude-9", errors.ModelNotFound),
        (404, "not_found_error", "file not found", errors.UpstreamRejected),
        (413, "request_too_large", "Request exceeds the maximum size", errors.RequestTooLarge),
        (429, "rate_limit_error", "slow down", errors.UpstreamRateLimited),
        (500, "api_error", "Internal server error", errors.UpstreamFailed),
        (504, "timeout_error", "timed out", errors.UpstreamTimeout),
        (529, "overloaded_error", "Overloaded", errors.UpstreamOverloaded),
    ],
)
def test_documented_errors(status: int, word: str, message: str, expected: type[LlmhubError]) -> None:
    error = codec.decode_error(status, {"Request-Id": "req_h", "Retry-After": "7"}, body(word, message))
    assert type(error) is expected
    assert error.upstream is not None
    assert (error.upstream.type, error.upstream.message) == (word, message)
    assert error.upstream.request_id == "req_h"
    assert (error.retry_after, error.upstream.retry_delay_source) == (7.0, "header")
    written = codec.encode_error(error, "req_1")
    if expected is errors.UpstreamAuthFailed:
        assert written.status == 500
        assert b"x-api-key" not in written.body
    else:
        assert written.status == status
        assert written.body == codec.encode_error(error, "req_1").body
        assert json.loads(written.body) == json.loads(body(word, message))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.UpstreamRejected),
        (401, errors.UpstreamAuthFailed),
        (408, errors.UpstreamTimeout),
        (413, errors.RequestTooLarge),
        (418, errors.UpstreamRejected),
        (429, errors.UpstreamRateLimited),
        (500, errors.UpstreamFailed),
        (502, errors.UpstreamFailed),
        (503, errors.UpstreamOverloaded),
        (529, errors.UpstreamOverloaded),
    ],
)
@pytest.mark.parametrize(
    "junk", [b"", b"<html>413</html>", b"\xff\xfe", b"[]", b'{"error":"text"}', b'{"error":[]}']
)
def test_bodies_that_are_no_error_objects(status: int, expected: type[LlmhubError], junk: bytes) -> None:
    error = codec.decode_error(status, {}, junk)
    assert type(error) is expected
    assert error.upstream is not None
    assert error.upstream.body == junk
    assert error.message


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_delay_that_is_none(value: str) -> None:
    assert codec.decode_error(429, {"retry-after": value}, b"").retry_after is None


def test_a_delay_in_milliseconds() -> None:
    assert codec.decode_error(429, {"retry-after-ms": "250", "retry-after": "1"}, b"").retry_after == 0.25


def test_rate_limits_are_kept() -> None:
    headers = {"anthropic-ratelimit-requests-remaining": "0", "date": "now", "x-api-key": "secret"}
    error = codec.decode_error(429, headers, b"")
    assert error.upstream is not None
    assert error.upstream.headers == {"anthropic-ratelimit-requests-remaining": "0"}


@pytest.mark.parametrize(
    ("error", "status", "word", "raised"),
    [
        (errors.RequestInvalid("bad"), 400, "invalid_request_error", anthropic.BadRequestError),
        (errors.KeyMissing("no key"), 401, "authentication_error", anthropic.AuthenticationError),
        (errors.ScopeDenied("no"), 403, "permission_error", anthropic.PermissionDeniedError),
        (errors.ModelNotFound("model: x"), 404, "not_found_error", anthropic.NotFoundError),
        (errors.RequestIdConflict("twice"), 409, "invalid_request_error", anthropic.ConflictError),
        (errors.RequestTooLarge("big"), 413, "request_too_large", anthropic.RequestTooLargeError),
        (errors.RateLimited("slow"), 429, "rate_limit_error", anthropic.RateLimitError),
        (errors.InternalError("oops"), 500, "api_error", anthropic.InternalServerError),
        (errors.UpstreamTimeout("late"), 504, "timeout_error", anthropic.DeadlineExceededError),
        (errors.UpstreamOverloaded("busy"), 529, "overloaded_error", anthropic.OverloadedError),
    ],
)
def test_the_sdk_raises_its_own_exception(
    error: LlmhubError, status: int, word: str, raised: type[anthropic.APIStatusError]
) -> None:
    written = codec.encode_error(error, "0199-id")
    assert written.status == status
    exception = error_of(written.status, dict(written.headers), written.body)
    assert isinstance(exception, raised)
    assert exception.request_id == "0199-id"
    assert isinstance(exception.body, dict)
    assert exception.body["error"] == {"type": word, "message": error.message}


def test_every_error_has_a_form() -> None:
    for kind in BY_REASON.values():
        written = codec.encode_error(kind("what happened", retry_after=1.5), "id")
        assert 400 <= written.status <= 529
        assert json.loads(written.body)["error"]["message"]
        assert written.headers["x-should-retry"] in {"true", "false"}
        assert written.headers.get("retry-after") in {None, "2"}


def test_violations_are_told() -> None:
    error = errors.RequestInvalid(
        "the request is wrong", violations=(Violation("max_tokens", "is required"),)
    )
    assert json.loads(codec.encode_error(error, "").body)["error"]["message"] == (
        "the request is wrong (max_tokens: is required)"
    )


def test_other_dialects_words_do_not_leak() -> None:
    upstream = UpstreamDetail(type="insufficient_quota", dialect="openai")
    error = errors.UpstreamQuotaExhausted("no quota", upstream=upstream)
    written = codec.encode_error(error, "id")
    assert (written.status, json.loads(written.body)["error"]["type"]) == (402, "billing_error")
    assert written.headers["x-should-retry"] == "false"
