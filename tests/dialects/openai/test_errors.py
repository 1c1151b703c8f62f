"""Which error each failure is, how long to wait, and what the caller's SDK is shown."""

import json
from typing import Any

import openai
import pytest

from services.dialects.openai import OpenAICodec
from services.dialects.openai_retry import duration
from services.runtime import errors
from services.runtime.errors import BY_REASON, Kind, LlmhubError, Violation
from tests.dialects.openai import official

codec = OpenAICodec()

GOLDEN: list[tuple[int, Any, str]] = [
    (
        400,
        {"error": {"message": "m", "type": "invalid_request_error", "code": "context_length_exceeded"}},
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    (
        400,
        {"error": {"message": "This model's maximum context length is 8192 tokens."}},
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    (
        400,
        {"object": "error", "message": "the request exceeds the available context size", "code": 400},
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    (422, {"error": {"message": "Prompt is too long"}}, "CONTEXT_LENGTH_EXCEEDED"),
    (
        400,
        {"error": {"message": "m", "type": "exceed_context_size_error", "n_ctx": 8}},
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    (
        400,
        {"error": {"message": "bad", "type": "invalid_request_error", "code": "unsupported_value"}},
        "UPSTREAM_REJECTED",
    ),
    (
        400,
        {
            "error": {
                "message": "m",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        "CONTENT_FILTERED",
    ),
    (
        400,
        {"error": {"message": "m", "code": "tool_use_failed", "failed_generation": "x"}},
        "UPSTREAM_FAILED",
    ),
    (
        400,
        {"code": "invalid-argument", "error": "Incorrect API key provided: ab***cd"},
        "UPSTREAM_AUTH_FAILED",
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "m",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            }
        ],
        "UPSTREAM_AUTH_FAILED",
    ),
    (
        401,
        {"error": {"message": "m", "type": "invalid_request_error", "code": "invalid_api_key"}},
        "UPSTREAM_AUTH_FAILED",
    ),
    (401, {"detail": "Unauthorized"}, "UPSTREAM_AUTH_FAILED"),
    (
        402,
        {"error": {"message": "Insufficient Balance", "type": "unknown_error"}},
        "UPSTREAM_QUOTA_EXHAUSTED",
    ),
    (403, {"error": {"message": "m"}}, "UPSTREAM_AUTH_FAILED"),
    (
        403,
        {"error": {"message": "m", "code": 403, "metadata": {"reasons": ["x"], "flagged_input": "y"}}},
        "CONTENT_FILTERED",
    ),
    (
        404,
        {"error": {"message": "m", "type": "invalid_request_error", "code": "model_not_found"}},
        "MODEL_NOT_FOUND",
    ),
    (404, {"error": {"code": "DeploymentNotFound", "message": "m"}}, "MODEL_NOT_FOUND"),
    (
        404,
        {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}},
        "MODEL_NOT_FOUND",
    ),
    (404, None, "UPSTREAM_REJECTED"),
    (408, None, "UPSTREAM_TIMEOUT"),
    (409, {"error": {"message": "m"}}, "UPSTREAM_FAILED"),
    (413, {"error": {"message": "m", "type": "tokens", "code": "rate_limit_exceeded"}}, "REQUEST_TOO_LARGE"),
    (413, None, "REQUEST_TOO_LARGE"),
    (
        422,
        {
            "detail": [
                {"loc": ["body", "x"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}
            ]
        },
        "UPSTREAM_REJECTED",
    ),
    (
        429,
        {"error": {"message": "m", "type": "tokens", "code": "rate_limit_exceeded"}},
        "UPSTREAM_RATE_LIMITED",
    ),
    (
        429,
        {"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}},
        "UPSTREAM_QUOTA_EXHAUSTED",
    ),
    (
        429,
        {"error": {"message": "m", "type": "insufficient_quota", "code": None}},
        "UPSTREAM_QUOTA_EXHAUSTED",
    ),
    (
        429,
        {"object": "error", "message": "m", "type": "rate_limited", "code": "1300"},
        "UPSTREAM_RATE_LIMITED",
    ),
    (429, None, "UPSTREAM_RATE_LIMITED"),
    (498, None, "UPSTREAM_OVERLOADED"),
    (500, {"error": {"message": "m", "type": "server_error"}}, "UPSTREAM_FAILED"),
    (502, None, "UPSTREAM_FAILED"),
    (503, {"error": {"message": "m"}}, "UPSTREAM_OVERLOADED"),
    (504, None, "UPSTREAM_TIMEOUT"),
    (520, None, "UPSTREAM_FAILED"),
    (529, None, "UPSTREAM_OVERLOADED"),
]


@pytest.mark.parametrize(("status", "body", "reason"), GOLDEN, ids=str)
def test_golden(status: int, body: Any, reason: str) -> None:
    data = b"<html>gateway</html>" if body is None else json.dumps(body).encode()
    error = codec.decode_error(status, {"X-Request-ID": "req_1"}, data)
    assert error.reason == reason
    assert error.message
    assert error.upstream is not None
    assert (error.upstream.http_status, error.upstream.request_id) == (status, "req_1")
    assert error.upstream.body == data


def test_members_are_read() -> None:
    body = b'{"error":{"message":"no","type":"t","param":"n","code":7}}'
    detail = codec.decode_error(400, {}, body).upstream
    assert detail is not None
    assert (detail.message, detail.type, detail.param, detail.code) == ("no", "t", "n", "7")
    assert detail.dialect == "openai"


@pytest.mark.parametrize(
    ("headers", "body", "delay", "source"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, {}, 1.5, "header"),
        ({"Retry-After": "9"}, {}, 9.0, "header"),
        (
            {"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            {},
            10.0,
            "header",
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, {}, None, ""),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "12ms"}, {}, 0.012, "header"),
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "12ms",
                "x-ratelimit-remaining-tokens": "5",
            },
            {},
            360.0,
            "header",
        ),
        ({"x-ratelimit-reset": "1790000000000"}, {}, None, ""),
        ({}, {"error": {"details": [{"retryDelay": "34.5s"}]}}, 34.5, "body"),
        ({"retry-after": "soon"}, {}, None, ""),
        ({"retry-after": "-1"}, {}, None, ""),
        ({"retry-after": "nan"}, {}, None, ""),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], body: Any, delay: float | None, source: str) -> None:
    error = codec.decode_error(429, headers, json.dumps(body).encode())
    assert error.retry_after == delay
    assert error.upstream is not None
    assert error.upstream.retry_delay_source == source


def test_durations() -> None:
    assert [duration(text) for text in ("12ms", "6m0s", "1h2m3.5s", "2", "", "x", "1s2", "1y")] == [
        0.012,
        360.0,
        3723.5,
        2.0,
        None,
        None,
        None,
        None,
    ]


def test_a_reset_is_a_delay_only_when_the_rate_was_the_failure() -> None:
    assert codec.decode_error(500, {"x-ratelimit-reset-requests": "5s"}, b"").retry_after is None


@pytest.mark.parametrize("cls", BY_REASON.values(), ids=lambda cls: cls.reason)
def test_every_error_of_ours_becomes_an_exception_of_the_sdk(cls: type[LlmhubError]) -> None:
    answer = codec.encode_error(cls("what happened", retry_after=2.5), "id-1")
    raised = official.error(answer.status, dict(answer.headers), answer.body)
    assert raised.request_id == "id-1"
    assert "what happened" in str(raised)
    assert raised.code
    assert raised.type
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["retry-after-ms"] == "2500"
    expected = {
        Kind.INVALID: openai.BadRequestError,
        Kind.UNAUTHENTICATED: openai.AuthenticationError,
        Kind.DENIED: openai.PermissionDeniedError,
        Kind.MISSING: openai.NotFoundError,
        Kind.CONFLICT: openai.ConflictError,
        Kind.EXHAUSTED: openai.RateLimitError,
        Kind.UNAVAILABLE: openai.InternalServerError,
        Kind.TIMEOUT: openai.InternalServerError,
        Kind.BROKEN: openai.InternalServerError,
    }.get(cls.kind, openai.APIStatusError)
    assert isinstance(raised, expected)


def test_what_does_not_pass_with_time_is_not_tried_again() -> None:
    for final in (errors.UpstreamQuotaExhausted, errors.BudgetExhausted, errors.UpstreamAuthFailed):
        assert codec.encode_error(final("m"), "").headers["x-should-retry"] == "false"
    for passing in (errors.UpstreamRateLimited, errors.UpstreamOverloaded, errors.ShuttingDown):
        assert "x-should-retry" not in codec.encode_error(passing("m"), "").headers


def test_the_place_of_a_fault_is_told() -> None:
    error = errors.RequestInvalid("messages: wrong", violations=(Violation("messages", "wrong"),))
    assert json.loads(codec.encode_error(error, "").body)["error"] == {
        "message": "messages: wrong",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "request_invalid",
    }


def test_an_error_in_a_whole_answer_is_raised() -> None:
    with pytest.raises(errors.UpstreamRateLimited):
        codec.decode_response(b'{"error":{"message":"m","code":429}}')
    with pytest.raises(errors.UpstreamFailed):
        codec.decode_response(b'{"id":"x","choices":[],"error":{"message":"m"}}')
