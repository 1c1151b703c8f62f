"""Failures: every kind that the service describes, what callers are told, and how long to wait."""

import json

import pytest

from services.dialects.bedrock.errors import STATUS
from services.dialects.codec import DecodedRequest
from services.dialects.eventstream import encode_frame
from services.dialects.failure import error_message
from services.dialects.fold import fold
from services.runtime.errors import (
    BY_REASON,
    BudgetExhausted,
    ContentFiltered,
    ContextLengthExceeded,
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
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import codec, recordings

CODES = [
    ("ValidationException", 400, UpstreamRejected),
    ("AccessDeniedException", 403, UpstreamAuthFailed),
    ("ExpiredTokenException", 403, UpstreamAuthFailed),
    ("UnrecognizedClientException", 403, UpstreamAuthFailed),
    ("InvalidSignatureException", 403, UpstreamAuthFailed),
    ("MissingAuthenticationTokenException", 403, UpstreamAuthFailed),
    ("ResourceNotFoundException", 404, ModelNotFound),
    ("ModelTimeoutException", 408, UpstreamTimeout),
    ("ModelErrorException", 424, UpstreamFailed),
    ("ModelStreamErrorException", 424, UpstreamFailed),
    ("ThrottlingException", 429, UpstreamRateLimited),
    ("ModelNotReadyException", 429, UpstreamOverloaded),
    ("ServiceQuotaExceededException", 400, UpstreamQuotaExhausted),
    ("InternalServerException", 500, UpstreamFailed),
    ("ServiceUnavailableException", 503, UpstreamOverloaded),
]
MESSAGES = [
    ("The model returned the following errors: Input Tokens Exceeded: x", ContextLengthExceeded),
    ("Input is too long for requested model.", ContextLengthExceeded),
    (
        "The model returned the following errors: prompt is too long: 9 tokens > 8 maximum",
        ContextLengthExceeded,
    ),
    ("The provided model identifier is invalid.", ModelNotFound),
    ("Output blocked by content filtering policy", ContentFiltered),
    ("Malformed input request", UpstreamRejected),
]


def answer(code: str, message: str = "m") -> tuple[dict[str, str], bytes]:
    headers = {"X-Amzn-ErrorType": f"{code}:http://internal.amazon.com/coral/", "x-amzn-RequestId": "r"}
    return headers, json.dumps({"message": message}).encode()


@pytest.mark.parametrize(("code", "status", "expected"), CODES)
def test_every_code(code: str, status: int, expected: type[LlmhubError]) -> None:
    headers, body = answer(code)
    error = codec.decode_error(status, headers, body)
    assert type(error) is expected
    assert error.upstream is not None
    assert (error.upstream.type, error.upstream.http_status) == (code, status)
    assert (error.upstream.message, error.upstream.request_id) == ("m", "r")
    # Without the header the status has to do, and without that the body's own words.
    plain = codec.decode_error(status, {}, b'{"__type":"com.amazon.coral#%b","Message":"m"}' % code.encode())
    assert type(plain) is expected
    assert official.error("Converse", status, headers, body) == (code, "m")


def test_the_service_describes_no_other_codes() -> None:
    operations = [
        official.service().operation_model(name) for name in ("Converse", "ConverseStream", "CountTokens")
    ]
    described = {shape.name for operation in operations for shape in operation.error_shapes}
    assert described <= {code for code, _, _ in CODES}
    assert described <= {*STATUS}


@pytest.mark.parametrize(("message", "expected"), MESSAGES)
def test_words_tell_what_a_code_does_not(message: str, expected: type[LlmhubError]) -> None:
    assert type(codec.decode_error(400, *answer("ValidationException", message))) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, UpstreamRejected),
        (401, UpstreamAuthFailed),
        (403, UpstreamAuthFailed),
        (404, ModelNotFound),
        (408, UpstreamTimeout),
        (413, RequestTooLarge),
        (418, UpstreamRejected),
        (424, UpstreamFailed),
        (429, UpstreamRateLimited),
        (500, UpstreamFailed),
        (503, UpstreamOverloaded),
        (529, UpstreamFailed),
    ],
)
def test_a_status_without_words(status: int, expected: type[LlmhubError]) -> None:
    for body in (b"", b"<html>", b"[]", b'{"message":1}', b"\xff"):
        assert type(codec.decode_error(status, {}, body)) is expected


def test_recorded_failures() -> None:
    failed = [
        each for each in recordings("bedrock.converse", "bedrock.converse-stream") if each.status >= 400
    ]
    kinds = {each.name: type(codec.decode_error(each.status, each.headers, each.answer)) for each in failed}
    assert kinds == {
        "bedrock/019": ModelNotFound,
        "bedrock/020": ContextLengthExceeded,
        "bedrock/021": UpstreamRejected,
        "bedrock/022": UpstreamAuthFailed,
        "bedrock/039": ModelNotFound,
        "bedrock/040": ModelNotFound,
    }


def test_a_daily_quota_is_not_worth_a_retry() -> None:
    error = codec.decode_error(429, *answer("ThrottlingException", "Too many tokens per day, please wait."))
    assert type(error) is UpstreamQuotaExhausted


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"x-amz-retry-after": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], delay: float | None) -> None:
    error = codec.decode_error(429, headers, b"{}")
    assert error.retry_after == delay
    assert error.upstream is not None
    assert error.upstream.retry_delay_source == ("" if delay is None else "header")


def test_credentials_are_not_spoken_of() -> None:
    error = codec.decode_error(403, *answer("UnrecognizedClientException", "token abc is invalid"))
    assert "abc" not in error.message


@pytest.mark.parametrize("reason", sorted(BY_REASON))
def test_every_failure_of_ours_is_one_that_boto3_knows(reason: str) -> None:
    error = BY_REASON[reason]("said", retry_after=1.2)
    written = codec.encode_error(error, "id")
    code, message = official.error("Converse", written.status, dict(written.headers), written.body)
    assert (STATUS[code], message) == (written.status, "said")
    assert written.headers["x-amzn-requestid"] == "id"
    assert written.headers["retry-after"] == "2"


def test_violations_are_named_and_own_codes_kept() -> None:
    invalid = RequestInvalid("no", violations=(Violation("messages", "is required"),))
    written = codec.encode_error(invalid, "")
    assert json.loads(written.body) == {"message": "no (messages: is required)"}
    assert codec.encode_error(BudgetExhausted("x"), "").headers["x-amzn-errortype"].startswith("ServiceQuota")
    own = codec.decode_error(429, *answer("ModelNotReadyException"))
    assert codec.encode_error(own, "").headers["x-amzn-errortype"] == "ModelNotReadyException:"
    refused = codec.decode_error(403, *answer("AccessDeniedException"))
    assert codec.encode_error(refused, "").status != 403


@pytest.mark.parametrize("reason", sorted(BY_REASON))
def test_every_failure_inside_a_stream_is_an_exception_that_boto3_knows(reason: str) -> None:
    (started,) = codec.stream_decoder().feed(encode_frame("messageStart", b'{"role":"assistant"}'))
    (failed,) = codec.stream_decoder().feed(
        encode_frame("throttlingException", b'{"message":"m"}', "exception")
    )
    failed.ClearField("extensions")
    failed.finished.error.CopyFrom(error_message(BY_REASON[reason]("said")))
    encoder = codec.stream_encoder(DecodedRequest(codec.decode_request(b"{}").request))
    data = encoder.encode([started, failed])
    known = official.service().shape_for("ConverseStreamOutput").members
    with pytest.raises(official.EventStreamError) as raised:
        list(official.events("ConverseStream", [data]))
    response = vars(raised.value)["response"]
    assert response["Error"]["Code"] in known
    assert response["Error"]["Message"] == "said"
    decoder = codec.stream_decoder()
    with pytest.raises(LlmhubError):
        fold(decoder.feed(data))


def test_an_error_frame() -> None:
    decoder = codec.stream_decoder()
    header = encode_frame("x", b"", "error")
    assert b":error-code" in header
    (event,) = decoder.feed(header)
    assert not event.finished.complete
    with pytest.raises(UpstreamFailed):
        fold([event])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"{}",
        b'{"output":{}}',
        b'{"output":{"message":{}}}',
        b'{"output":{"message":{"content":1}}}',
        b'{"output":{"message":{"content":[1]}}}',
        b"\xff",
    ],
)
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        codec.decode_response(body)
    with pytest.raises(UpstreamProtocol):
        codec.decode_count_response(body)
