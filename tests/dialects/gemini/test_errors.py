"""Failures both ways. What no recording shows is written after Google's documentation, and ours."""

import json
from typing import Any

import pytest
from google.genai import errors as sdk_errors

from services.dialects.gemini import Framing, GeminiCodec
from services.runtime import errors
from services.runtime.errors import BY_REASON, LlmhubError, UpstreamDetail, Violation
from tests.dialects.gemini.official import error_of
from tests.dialects.gemini.recorded import FAILED
from tests.support.exchanges import Exchange

codec = GeminiCodec()
KEY = "AIza" + "Sy" + "0" * 33
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
NO_KEY = "API key not valid. Please pass a valid API key."
NO_FILE = "You do not have permission to access the File abc or it may not exist."


def body(code: int, word: str, message: str, *details: dict[str, Any]) -> bytes:
    error = {"code": code, "message": message, "status": word, "details": list(details)}
    return json.dumps({"error": error}).encode()


def typed(name: str, **members: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{name}", **members}


def quota(quota_id: str, value: str = "10") -> dict[str, Any]:
    return typed("QuotaFailure", violations=[{"quotaId": quota_id, "quotaValue": value}])


@pytest.mark.parametrize(
    ("status", "word", "message", "details", "expected"),
    [
        (400, "INVALID_ARGUMENT", "Invalid value at 'x'", [], errors.UpstreamRejected),
        (400, "INVALID_ARGUMENT", TOO_LONG, [], errors.ContextLengthExceeded),
        (400, "INVALID_ARGUMENT", NO_KEY, [], errors.UpstreamAuthFailed),
        (
            400,
            "INVALID_ARGUMENT",
            "?",
            [typed("ErrorInfo", reason="API_KEY_INVALID")],
            errors.UpstreamAuthFailed,
        ),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew it.", [], errors.UpstreamAuthFailed),
        (
            400,
            "INVALID_ARGUMENT",
            "Request payload size exceeds the limit: 20971520 bytes.",
            [],
            errors.RequestTooLarge,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            [],
            errors.UpstreamAuthFailed,
        ),
        (400, "FAILED_PRECONDITION", "Precondition check failed.", [], errors.UpstreamRejected),
        (401, "UNAUTHENTICATED", "Request had invalid credentials.", [], errors.UpstreamAuthFailed),
        (403, "PERMISSION_DENIED", "Permission denied on resource project x.", [], errors.UpstreamAuthFailed),
        (403, "PERMISSION_DENIED", NO_FILE, [], errors.UpstreamRejected),
        (404, "NOT_FOUND", "models/m is not found for API version v1beta", [], errors.ModelNotFound),
        (
            404,
            "NOT_FOUND",
            "Publisher Model `x/y` was not found or you have no access",
            [],
            errors.ModelNotFound,
        ),
        (404, "NOT_FOUND", "Requested entity was not found.", [], errors.UpstreamRejected),
        (409, "ABORTED", "conflict", [], errors.UpstreamFailed),
        (413, "", "too large", [], errors.RequestTooLarge),
        (429, "RESOURCE_EXHAUSTED", "quota", [quota("TokensPerModelPerMinute")], errors.UpstreamRateLimited),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "quota",
            [quota("RequestsPerDayPerModel")],
            errors.UpstreamQuotaExhausted,
        ),
        (429, "RESOURCE_EXHAUSTED", "quota", [quota("PerMinute", "0")], errors.UpstreamQuotaExhausted),
        (499, "CANCELLED", "cancelled", [], errors.UpstreamFailed),
        (500, "INTERNAL", "An internal error has occurred.", [], errors.UpstreamFailed),
        (501, "UNIMPLEMENTED", "no such method", [], errors.UpstreamRejected),
        (503, "UNAVAILABLE", "The model is overloaded.", [], errors.UpstreamOverloaded),
        (504, "DEADLINE_EXCEEDED", "took too long", [], errors.UpstreamTimeout),
        (418, "TEAPOT", "?", [], errors.UpstreamRejected),
        (599, "", "?", [], errors.UpstreamFailed),
    ],
)
def test_every_kind(
    status: int, word: str, message: str, details: list[dict[str, Any]], expected: type[LlmhubError]
) -> None:
    error = codec.decode_error(status, {}, body(status, word, message, *details))
    assert type(error) is expected
    assert error.upstream is not None
    assert (error.upstream.http_status, error.upstream.type) == (status, word)
    assert error.upstream.message == message
    if expected is errors.UpstreamAuthFailed:
        assert error.message == "the provider refused llmhub's credentials"
    else:
        assert error.message == message
    in_array = codec.decode_error(status, {}, b"[" + body(status, word, message, *details) + b"]")
    assert (type(in_array), in_array.message) == (expected, error.message)


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_recorded_failures_come_back_as_they_were(exchange: Exchange) -> None:
    error = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    written = codec.encode_error(error, "")
    told, again = json.loads(exchange.answer)["error"], json.loads(written.body)["error"]
    assert written.status == exchange.status
    assert {name: again[name] for name in ("code", "message", "status")} == {
        name: told[name] for name in ("code", "message", "status")
    }


def test_the_recorded_delay_stands_in_the_body() -> None:
    (exchange,) = (each for each in FAILED if each.status == 429)
    error = codec.decode_error(429, dict(exchange.headers), exchange.answer)
    assert type(error) is errors.UpstreamRateLimited
    assert error.retry_after == 48
    assert error.upstream is not None
    assert error.upstream.retry_delay_source == "body"
    written = codec.encode_error(error, "r1")
    assert written.headers["retry-after"] == "48"
    details = json.loads(written.body)["error"]["details"]
    assert typed("RetryInfo", retryDelay="48s") in details
    assert typed("RequestInfo", requestId="r1") in details


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("0.5s", 0.5), ("34.074824224s", 34.074824224), ("-1s", None), ("soon", None), ("1m", None)],
)
def test_retry_delays(delay: str, seconds: float | None) -> None:
    info = typed("RetryInfo", retryDelay=delay)
    assert codec.decode_error(503, {}, body(503, "UNAVAILABLE", "x", info)).retry_after == seconds


def test_a_delay_in_a_header_is_read_too() -> None:
    error = codec.decode_error(503, {"Retry-After": "7"}, b"busy")
    assert (error.retry_after, type(error)) == (7, errors.UpstreamOverloaded)
    assert error.upstream is not None
    assert error.upstream.retry_delay_source == "header"


@pytest.mark.parametrize(
    "text",
    [
        f"Consumer 'api_key:{KEY}' has been suspended.",
        f"https://generativelanguage.googleapis.com/v1beta/models?key={KEY} failed",
        "?key=short-and-odd failed",
        "token ya29.a0AfH6SMBx-0123456789 expired",
    ],
)
def test_keys_in_messages_go_nowhere(text: str) -> None:
    for status, word in ((403, "PERMISSION_DENIED"), (400, "INVALID_ARGUMENT"), (500, "INTERNAL")):
        error = codec.decode_error(status, {}, body(status, word, text))
        assert error.upstream is not None
        written = codec.encode_error(error, "r").body.decode()
        for shown in (error.message, error.upstream.message, error.upstream.body.decode(), written):
            for secret in (KEY, "short-and-odd", "ya29.a0"):
                assert secret not in shown


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b"[1]", b'{"error":"text"}', b"\xff", b'{"error":{"code":"x"}}']
)
def test_bodies_that_are_none(data: bytes) -> None:
    error = codec.decode_error(502, {}, data)
    assert type(error) is errors.UpstreamFailed
    assert error.message
    assert codec.encode_error(error, "").status == 500


@pytest.mark.parametrize("reason", sorted(BY_REASON))
def test_the_sdk_reads_every_failure(reason: str) -> None:
    error = BY_REASON[reason](
        "what happened", retry_after=1.25, violations=(Violation("contents", "is required"),)
    )
    written = codec.encode_error(error, "r1")
    raised = error_of(written.status, dict(written.headers), written.body)
    value = json.loads(written.body)["error"]
    assert (raised.code, raised.status, raised.message) == (value["code"], value["status"], "what happened")
    assert isinstance(raised, sdk_errors.ClientError if written.status < 500 else sdk_errors.ServerError)
    assert typed("RetryInfo", retryDelay="1.25s") in value["details"]
    violations = [{"field": "contents", "description": "is required"}]
    assert typed("BadRequest", fieldViolations=violations) in value["details"]


@pytest.mark.parametrize(
    ("reason", "status", "word"),
    [
        ("KEY_INVALID", 400, "INVALID_ARGUMENT"),
        ("KEY_MISSING", 403, "PERMISSION_DENIED"),
        ("MODEL_NOT_FOUND", 404, "NOT_FOUND"),
        ("RATE_LIMITED", 429, "RESOURCE_EXHAUSTED"),
        ("UPSTREAM_OVERLOADED", 503, "UNAVAILABLE"),
        ("UPSTREAM_AUTH_FAILED", 500, "INTERNAL"),
        ("DEADLINE_EXCEEDED", 504, "DEADLINE_EXCEEDED"),
        ("REQUEST_INVALID", 400, "INVALID_ARGUMENT"),
    ],
)
def test_statuses(reason: str, status: int, word: str) -> None:
    written = codec.encode_error(BY_REASON[reason]("x"), "")
    assert (written.status, json.loads(written.body)["error"]["status"]) == (status, word)


def test_a_stream_that_is_an_array_fails_as_one() -> None:
    error = errors.RateLimited("slow down", retry_after=2.0)
    array = GeminiCodec(framing=Framing.ARRAY).encode_error(error, "r1")
    plain = codec.encode_error(error, "r1")
    assert json.loads(array.body) == [json.loads(plain.body)]
    assert (array.status, array.headers) == (plain.status, plain.headers)
    assert error_of(array.status, dict(array.headers), array.body).message == "slow down"


def test_another_vendors_words_are_not_taken_for_googles() -> None:
    detail = UpstreamDetail(dialect="openai", http_status=409, type="INVALID_ARGUMENT")
    written = codec.encode_error(errors.UpstreamRejected("x", upstream=detail), "")
    assert written.status == 400
