"""Bytes pass as they are, and are understood in passing."""

from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_UNSPECIFIED
from services.dialects.failure import error_message
from services.runtime.errors import UpstreamProtocol
from tests.dialects.bedrock.recorded import codec, one


def test_the_body_stays_as_it_is() -> None:
    """The model is in the path."""
    assert codec.relay_request(b"{ }", "m", ENDPOINT_UNSPECIFIED).body == b"{ }"


def test_the_relay_tap_sees_what_passes() -> None:
    data = one("bedrock/034").answer
    tap = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    assert b"".join(tap.feed(data[at : at + 50]).data for at in range(0, len(data), 50)) == data
    progress = tap.close().progress
    assert progress is not None
    assert (progress.complete, progress.content, progress.usage.output_tokens) == (True, True, 58)
    assert progress.output_characters > 60


def test_a_broken_stream_passes_but_does_not_count_as_whole() -> None:
    data = one("bedrock/034").answer
    cut = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    cut.feed(data[:-5])
    fragment = cut.close().progress
    assert fragment is not None
    assert (fragment.complete, fragment.content) == (False, True)
    assert fragment.HasField("error")
    broken = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    broken.feed(b"x" * 100)
    ended = broken.close().progress
    assert ended is not None
    assert ended.error.reason == error_message(UpstreamProtocol("")).reason


def test_a_whole_answer() -> None:
    whole = codec.relay_answer(one("bedrock/001").answer, ENDPOINT_UNSPECIFIED)
    assert (whole.complete, whole.content, whole.usage.input_tokens) == (True, True, 433)


def test_what_follows_the_end_of_a_stream_is_not_overlooked() -> None:
    tap = codec.relay_tap(ENDPOINT_UNSPECIFIED, hide_usage=False)
    tap.feed(one("bedrock/034").answer)
    tap.feed(b"x" * 100)
    progress = tap.close().progress
    assert progress is not None
    assert (progress.complete, progress.HasField("error")) == (False, True)
