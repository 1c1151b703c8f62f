"""Failures that were never recorded, read by their adapter and told at every door."""

from __future__ import annotations

from typing import Final

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding, fold
from services.runtime.errors import LlmhubError
from tests.dialects.test_whole_and_stream import CODECS, DOORS
from tests.dialects.written.cases import BROKEN, FILTERED, SAID

STATUSES: Final = {500: "UPSTREAM_FAILED", 503: "UPSTREAM_OVERLOADED", 529: "UPSTREAM_OVERLOADED"}


def read(dialect: str, stream: bytes) -> list[StreamEvent]:
    decoder = CODECS[dialect].stream_decoder()
    return decoder.feed(stream) + decoder.close()


def crossed(door: str, events: list[StreamEvent]) -> list[StreamEvent]:
    request = DecodedRequest(GenerateRequest(model="m"), stream=True, include_usage=True)
    return read(door, CODECS[door].stream_encoder(request).encode(events))


@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}"], ids=["empty", "page", "object"])
def test_statuses_without_words(dialect: str, status: int, body: bytes) -> None:
    error = CODECS[dialect].decode_error(status, {}, body)
    assert error.reason in {STATUSES[status], "UPSTREAM_FAILED" if status != 503 else "UPSTREAM_OVERLOADED"}
    for door in DOORS:
        assert CODECS[door].encode_error(error, "id").status >= 500


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_fails(name: str) -> None:
    dialect, stream, reason = BROKEN[name]
    events = read(dialect, stream)
    finished = events[-1].finished
    assert not finished.complete
    assert ErrorReason.Name(finished.error.reason) == f"ERROR_REASON_{reason}"
    for door in DOORS:
        told = crossed(door, events)
        folding = Folding()
        for event in told:
            folding.add(event)
        assert folding.fragment().candidates[0].parts[0].text == SAID, door
        with pytest.raises(LlmhubError):
            fold(told)


@pytest.mark.parametrize("name", FILTERED)
def test_a_stream_that_is_stopped(name: str) -> None:
    dialect, stream, finish = FILTERED[name]
    events = read(dialect, stream)
    (candidate,) = fold(events).candidates
    assert candidate.parts[0].text == SAID
    assert FinishReason.Name(candidate.finish.reason) == f"FINISH_REASON_{finish}"
    for door in DOORS:
        (there,) = fold(crossed(door, events)).candidates
        assert "".join(part.text for part in there.parts) == SAID
        if (finish, door) != ("REFUSAL", "openai-responses"):
            assert there.finish.reason != FinishReason.FINISH_REASON_END, door
