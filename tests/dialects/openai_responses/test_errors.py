"""Which error each failure is, and what the caller's SDK is shown; the shape is chat's, and tested there."""

import json
from typing import Any

import openai
import pytest

from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec
from services.runtime.errors import BY_REASON, UpstreamProtocol
from tests.dialects.openai_responses import official

codec = ResponsesCodec()

GOLDEN: list[tuple[int, Any, str]] = [
    (400, {"error": {"message": "m", "code": "context_length_exceeded"}}, "CONTEXT_LENGTH_EXCEEDED"),
    (400, {"error": {"message": "m", "code": "model_not_found", "param": "model"}}, "MODEL_NOT_FOUND"),
    (400, {"error": {"message": "m", "code": "unsupported_value"}}, "UPSTREAM_REJECTED"),
    (400, {"error": {"message": "m", "code": "previous_response_not_found"}}, "UPSTREAM_REJECTED"),
    (401, {"error": {"message": "m", "code": "invalid_api_key"}}, "UPSTREAM_AUTH_FAILED"),
    (429, {"error": {"message": "m", "code": "rate_limit_exceeded"}}, "UPSTREAM_RATE_LIMITED"),
    (429, {"error": {"message": "m", "code": "insufficient_quota"}}, "UPSTREAM_QUOTA_EXHAUSTED"),
    (500, {"error": {"message": "m", "code": "server_error"}}, "UPSTREAM_FAILED"),
    (503, {"error": {"message": "m", "code": "server_error"}}, "UPSTREAM_OVERLOADED"),
    (502, "<html>", "UPSTREAM_FAILED"),
]


@pytest.mark.parametrize(("status", "body", "reason"), GOLDEN, ids=str)
def test_each_kind(status: int, body: Any, reason: str) -> None:
    headers = {"retry-after-ms": "1500", "x-request-id": "r"}
    error = codec.decode_error(status, headers, json.dumps(body).encode())
    assert error.reason == reason
    assert error.retry_after == 1.5
    assert error.upstream is not None
    assert error.upstream.dialect == "openai-responses"
    assert error.upstream.request_id == "r"


@pytest.mark.parametrize("reason", sorted(BY_REASON))
def test_each_of_ours_is_an_exception_of_the_sdk(reason: str) -> None:
    answer = codec.encode_error(BY_REASON[reason]("m"), "r")
    raised = official.error(answer.status, dict(answer.headers), answer.body)
    assert isinstance(raised, openai.APIStatusError)
    assert raised.request_id == "r"


def test_chat_and_responses_share_a_provider_s_own_words() -> None:
    body = b'{"error":{"message":"m","type":"t","param":"input","code":"unsupported_value"}}'
    error = OpenAICodec().decode_error(400, {}, body)
    assert codec.encode_error(error, "").body == body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"message": "m", "code": "server_error"}}, "UPSTREAM_FAILED"),
        (
            {"output": [], "status": "failed", "error": {"code": "rate_limit_exceeded"}},
            "UPSTREAM_RATE_LIMITED",
        ),
        ({"output": [], "status": "failed", "error": None}, "UPSTREAM_FAILED"),
    ],
)
def test_a_failure_with_status_200(body: Any, reason: str) -> None:
    with pytest.raises(BY_REASON[reason]):
        codec.decode_response(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":null}', b"<html>", b"[" * 9999])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.decode_response(body)
    with pytest.raises(UpstreamProtocol):
        codec.decode_count_response(body)
