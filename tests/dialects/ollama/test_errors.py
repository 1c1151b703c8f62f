"""Every kind of failure that Ollama tells, and ours in its shape. No recording has one: cases of ours."""

import json

import pytest

from services.dialects.ollama import OllamaCodec
from services.runtime.errors import (
    ContextLengthExceeded,
    KeyInvalid,
    LlmhubError,
    ModelNotFound,
    RequestInvalid,
    RequestTooLarge,
    UpstreamAuthFailed,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    Violation,
)

codec = OllamaCodec()


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, '"llama3" does not support thinking', UpstreamRejected),
        (400, "the input length exceeds the context length", ContextLengthExceeded),
        (401, "unauthorized", UpstreamAuthFailed),
        (403, "this model requires a subscription", UpstreamAuthFailed),
        (404, "model 'llama9' not found", ModelNotFound),
        (404, 'model "llama9" not found, try pulling it first', ModelNotFound),
        (404, "404 page", UpstreamRejected),
        (413, "", RequestTooLarge),
        (429, "too many requests", UpstreamRateLimited),
        (429, "you've reached your hourly usage limit, upgrade for higher limits", UpstreamQuotaExhausted),
        (500, "model requires more system memory (8.0 GiB) than is available", UpstreamFailed),
        (500, "prompt is too long: exceeds the context window", ContextLengthExceeded),
        (502, "bad gateway", UpstreamFailed),
        (503, "server busy, please try again.  maximum pending requests exceeded", UpstreamOverloaded),
        (504, "timeout", UpstreamTimeout),
    ],
)
def test_kinds(status: int, message: str, kind: type[LlmhubError]) -> None:
    body = json.dumps({"error": message}).encode()
    error = codec.decode_error(status, {"Retry-After": "7"}, body)
    assert type(error) is kind
    assert error.retry_after == 7
    assert error.upstream is not None
    detail = error.upstream
    assert (detail.http_status, detail.message, detail.dialect) == (status, message, "ollama")
    assert (detail.body, detail.retry_delay_source) == (body, "header")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":1}', b"\xff", b"[" * 9999])
def test_any_body_is_a_failure(body: bytes) -> None:
    error = codec.decode_error(500, {"retry-after": "-1"}, body)
    assert type(error) is UpstreamFailed
    assert error.message
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestInvalid("bad", violations=(Violation("p", "must be a number"),)), 400),
        (KeyInvalid("no"), 401),
        (ModelNotFound("no"), 404),
        (UpstreamRateLimited("slow", retry_after=1.2), 429),
        (UpstreamOverloaded("busy"), 503),
        (LlmhubError("broken"), 500),
    ],
)
def test_ours_in_its_shape(error: LlmhubError, status: int) -> None:
    answer = codec.encode_error(error, "r-2")
    body = json.loads(answer.body)
    assert answer.status == status
    assert set(body) == {"error"}
    assert all(each.message in body["error"] for each in error.violations)
    assert answer.headers.get("retry-after") == ("2" if error.retry_after else None)
    assert answer.headers["x-request-id"] == "r-2"


def test_an_error_in_an_answer_with_status_200() -> None:
    for body, kind in (
        (b'{"error":"model \'x\' not found"}', ModelNotFound),
        (b'{"error":"slow down","status_code":429}', UpstreamRateLimited),
        (b'{"error":{"message":"odd"}}', UpstreamFailed),
        (b'{"message":1}', UpstreamProtocol),
        (b"{}", UpstreamProtocol),
        (b"[]", UpstreamProtocol),
        (b"{", UpstreamProtocol),
    ):
        with pytest.raises(kind) as caught:
            codec.decode_response(body)
        assert type(caught.value) is kind
    with pytest.raises(ModelNotFound):
        codec.decode_embed_response(b'{"error":"model \'x\' not found"}')
    for junk in (b"[]", b"{}", b'{"embeddings":[1]}', b'{"embedding":["a"]}'):
        with pytest.raises(UpstreamProtocol):
            codec.decode_embed_response(junk)
