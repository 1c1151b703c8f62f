"""Every kind of failure that Cohere tells, and ours in its shape. No recording has one: cases of ours."""

import json

import pytest

from services.dialects.cohere import CohereCodec
from services.runtime.errors import (
    Cancelled,
    ContentFiltered,
    ContextLengthExceeded,
    DeadlineExceeded,
    KeyInvalid,
    LlmhubError,
    ModelNotFound,
    RequestInvalid,
    RequestTooLarge,
    UpstreamAuthFailed,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    Violation,
)

codec = CohereCodec()


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: message must be at least 1 token long", UpstreamRejected),
        (
            400,
            "too many tokens: size limit exceeded by 11326 tokens. Try using shorter inputs",
            ContextLengthExceeded,
        ),
        (401, "invalid api token", UpstreamAuthFailed),
        (402, "Please add or update your payment method to continue", UpstreamQuotaExhausted),
        (403, "forbidden", UpstreamAuthFailed),
        (404, "model 'command-z' not found, make sure the correct model ID was used", ModelNotFound),
        (404, "no such endpoint", UpstreamRejected),
        (413, "", RequestTooLarge),
        (422, "json: cannot unmarshal string", UpstreamRejected),
        (429, "You are using a Trial key, which is limited to 40 API calls / minute.", UpstreamRateLimited),
        (
            429,
            "You are using a Trial key, which is limited to 1000 API calls / month.",
            UpstreamQuotaExhausted,
        ),
        (498, "blocked output: please rephrase", ContentFiltered),
        (499, "request cancelled by user", Cancelled),
        (500, "internal server error, this has been reported to our developers", UpstreamFailed),
        (501, "not implemented", UpstreamFailed),
        (503, "service unavailable", UpstreamOverloaded),
        (504, "gateway timeout", UpstreamTimeout),
        (418, "", UpstreamRejected),
        (530, "", UpstreamFailed),
    ],
)
def test_kinds(status: int, message: str, kind: type[LlmhubError]) -> None:
    body = json.dumps({"message": message, "id": "r-1"}).encode()
    error = codec.decode_error(status, {"Retry-After": "7"}, body)
    assert type(error) is kind
    assert error.retry_after == 7
    assert error.upstream is not None
    detail = error.upstream
    assert (detail.http_status, detail.message, detail.request_id) == (status, message, "r-1")
    assert (detail.dialect, detail.body, detail.retry_delay_source) == ("cohere", body, "header")
    assert ("token" not in error.message) or kind is not UpstreamAuthFailed


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b'{"message":1}', b"\xff", b"[" * 9999])
def test_any_body_is_a_failure(body: bytes) -> None:
    error = codec.decode_error(502, {"x-request-id": "h", "retry-after": "soon"}, body)
    assert type(error) is UpstreamFailed
    assert error.message
    assert error.upstream is not None
    assert (error.upstream.request_id, error.retry_after) == ("h", None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestInvalid("bad", violations=(Violation("p", "must be a number"),)), 400),
        (KeyInvalid("no"), 401),
        (ModelNotFound("no"), 404),
        (UpstreamRateLimited("slow", retry_after=1.2), 429),
        (ContentFiltered("no"), 498),
        (Cancelled("left"), 499),
        (UpstreamOverloaded("busy"), 503),
        (DeadlineExceeded("late"), 504),
        (LlmhubError("broken"), 500),
    ],
)
def test_ours_in_its_shape(error: LlmhubError, status: int) -> None:
    answer = codec.encode_error(error, "r-2")
    body = json.loads(answer.body)
    assert answer.status == status
    assert set(body) == {"message", "id"}
    assert body["id"] == answer.headers["x-request-id"] == "r-2"
    assert all(each.message in body["message"] for each in error.violations)
    assert answer.headers.get("retry-after") == ("2" if error.retry_after else None)
    again = codec.decode_error(answer.status, answer.headers, answer.body)
    assert again.upstream is not None
    assert again.upstream.message == body["message"]
