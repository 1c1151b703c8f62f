"""An error keeps its meaning over a process boundary, whatever is in it."""

import string

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from llmhub.types.v1 import error_pb2
from services.runtime.errors import (
    BY_REASON,
    Cancelled,
    DeadlineExceeded,
    InternalError,
    Kind,
    LlmhubError,
    OperationUnsupported,
    RequestInvalid,
    ServiceUnavailable,
    UpstreamDetail,
    UpstreamFailed,
    Violation,
)
from services.runtime.status import (
    CODES,
    DETAILS_KEY,
    MAX_BODY_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_METADATA_BYTES,
    code_of,
    from_message,
    from_rpc_error,
    from_status,
    metadata_size,
    to_message,
    to_rpc_status,
    to_status,
)

SHORT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DETAILS = st.builds(
    UpstreamDetail,
    provider=SHORT,
    model=SHORT,
    http_status=st.integers(0, 599),
    type=SHORT,
    code=SHORT,
    param=SHORT,
    message=SHORT,
    request_id=SHORT,
    dialect=SHORT,
    body=st.binary(max_size=200),
    events_delivered=st.integers(0, 2**60),
    retry_delay_source=st.sampled_from(["", "header", "body"]),
)


@st.composite
def errors(draw: st.DrawFn, text: st.SearchStrategy[str] = SHORT) -> LlmhubError:
    error = draw(st.sampled_from(list(BY_REASON.values())))(
        draw(text),
        retry_after=draw(st.none() | st.integers(0, 10**9).map(lambda ms: ms / 1000)),
        violations=tuple(draw(st.lists(st.builds(Violation, field=SHORT, message=SHORT), max_size=5))),
        upstream=draw(st.none() | DETAILS),
    )
    # Keys of the constructor's own arguments are legal keys on the wire.
    keys = st.sampled_from(["message", "retry_after", "violations", "self"]) | SHORT
    error.metadata = draw(st.dictionaries(keys, SHORT, max_size=4))
    return error


def members(error: LlmhubError) -> tuple[object, ...]:
    return type(error), error.message, error.retry_after, error.violations, error.upstream, error.metadata


@given(errors())
def test_an_error_survives_a_status(error: LlmhubError) -> None:
    back = from_status(to_status(error))
    assert back is not None
    assert members(back) == members(error)


@given(errors())
def test_an_error_survives_a_message(error: LlmhubError) -> None:
    back = from_message(error_pb2.Error.FromString(to_message(error).SerializeToString()))
    error.violations = ()  # a message has no place for them
    assert members(back) == members(error)


@given(errors())
def test_an_error_survives_a_failed_call(error: LlmhubError) -> None:
    assert members(from_rpc_error(failed(*to_rpc_status(error)))) == members(error)


@given(
    errors(st.text(max_size=4000) | st.text("%\u00e4\U0001f600", min_size=1500, max_size=3000)),
    st.integers(0, 6000),
    st.integers(0, 300),
)
@example(UpstreamFailed("x" * 9000), 9000, 300)
@example(UpstreamFailed("\ud800" * 9000), 9000, 300)
def test_metadata_always_fits(error: LlmhubError, body: int, violations: int) -> None:
    error.upstream = UpstreamDetail(body=b"\xff" * body, message=error.message, headers={"a": "b" * body})
    error.violations = (Violation("f" * 300, error.message),) * violations
    error.metadata = {f"{n}": error.message for n in range(violations)}
    code, details, trailers = to_rpc_status(error)
    status = to_status(error)
    assert metadata_size(status) <= MAX_METADATA_BYTES < 8192 - 512
    assert dict(trailers)[DETAILS_KEY] == status.SerializeToString()
    assert details == status.message
    assert code.value[0] == status.code
    back = from_status(status)
    assert back is not None
    assert type(back) is type(error)


def test_every_delay_of_whole_milliseconds_comes_back_equal() -> None:
    for delay in (milliseconds / 1000 for milliseconds in range(20_000)):
        assert from_message(to_message(UpstreamFailed("", retry_after=delay))).retry_after == delay


def test_a_body_is_cut_before_the_message() -> None:
    error = UpstreamFailed("m" * 3000, upstream=UpstreamDetail(body=b"b" * 9000))
    back = from_status(to_status(error))
    assert back is not None
    assert back.upstream is not None
    assert len(back.message) == MAX_MESSAGE_BYTES
    assert 1500 < len(back.upstream.body) < MAX_BODY_BYTES
    alone = from_status(to_status(UpstreamFailed("short", upstream=UpstreamDetail(body=b"b" * 9000))))
    assert alone is not None
    assert alone.upstream is not None
    assert len(alone.upstream.body) == MAX_BODY_BYTES


def test_cuts_keep_characters_whole() -> None:
    assert to_message(UpstreamFailed("\u20ac" * 1000)).message == "\u20ac" * (MAX_MESSAGE_BYTES // 3)


def test_every_reason_has_a_class_and_every_class_a_reason() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert set(BY_REASON) == names - {"UNSPECIFIED"}


def test_every_kind_has_a_code() -> None:
    assert set(CODES) == set(Kind)
    assert all(to_status(cls("x")).code == code_of(cls("x")).value[0] for cls in BY_REASON.values())


def test_details_are_the_standard_ones() -> None:
    error = RequestInvalid("no", retry_after=1.5, violations=(Violation("a.b", "is wrong"),), limit="3")
    info, retry, bad = to_status(error).details
    read_info = error_details_pb2.ErrorInfo.FromString(info.value)
    assert (read_info.reason, read_info.domain, dict(read_info.metadata)) == (
        "REQUEST_INVALID",
        "llmhub",
        {"limit": "3"},
    )
    assert error_details_pb2.RetryInfo.FromString(retry.value).retry_delay.ToMilliseconds() == 1500
    assert error_details_pb2.BadRequest.FromString(bad.value).field_violations[0].field == "a.b"
    assert to_rpc_status(error).trailing_metadata[1] == ("retry-after", "2")


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.CANCELLED, Cancelled),
        (grpc.StatusCode.UNIMPLEMENTED, OperationUnsupported),
        (grpc.StatusCode.UNKNOWN, InternalError),
        (grpc.StatusCode.UNAUTHENTICATED, InternalError),
    ],
)
def test_a_foreign_error_is_told_by_its_code_without_its_text(
    code: grpc.StatusCode, cls: type[LlmhubError]
) -> None:
    for trailers in ((), ((DETAILS_KEY, b"\xffgarbage"),), ((DETAILS_KEY, foreign_status()),)):
        error = from_rpc_error(failed(code, "connect to ipv4:10.0.0.1:5", trailers), "auth")
        assert type(error) is cls
        assert "10.0.0.1" not in error.message
        assert error.metadata == {"service": "auth"}


def test_a_reason_of_a_newer_llmhub_keeps_its_code() -> None:
    status = to_status(ServiceUnavailable("later"))
    newer = error_details_pb2.ErrorInfo(reason="FROM_THE_FUTURE", domain="llmhub", metadata={"a": "b"})
    status.details[0].Pack(newer)
    error = from_status(status)
    assert error is not None
    assert (error.kind, error.message, error.metadata) == (Kind.UNAVAILABLE, "later", {"a": "b"})
    assert type(from_message(error_pb2.Error(reason=9999, message="x"))) is InternalError  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), -1.0, 1e300])
def test_any_delay_can_be_sent(delay: float) -> None:
    assert to_status(UpstreamFailed("x", retry_after=delay)).details
    assert set(to_rpc_status(UpstreamFailed("x", retry_after=delay)).trailing_metadata[1][1]) <= set(
        string.digits
    )


def foreign_status() -> bytes:
    status = status_pb2.Status(code=14, message="theirs")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="X", domain="example.test"))
    return status.SerializeToString()


def failed(
    code: grpc.StatusCode, details: str, trailers: tuple[tuple[str, str | bytes], ...]
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)
