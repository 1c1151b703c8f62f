"""A stream is complete or raises; leaving it ends the call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import grpc
import pytest

from llmhub.types.v1.error_pb2 import Error, ErrorReason
from llmhub.types.v1.stream_pb2 import BlockDelta, Finished, StreamEvent
from llmhub_client import (
    AnswerStream,
    Cancelled,
    Client,
    InternalError,
    NotFound,
    StreamBroken,
    text_of,
    user,
)
from llmhub_client.messages import FinishReason, GenerateRequest
from services.runtime.errors import ModelNotFound, StreamInterrupted, UpstreamFailed
from tests.sdk.fake_server import FakeServer, Hang, Step, sent, whole

ASKED = GenerateRequest(model="m", messages=[user("Hello")])
WHOLE = whole("one ", "two ", "three")
ERROR = Error(reason=ErrorReason.ERROR_REASON_UPSTREAM_FAILED, message="the provider failed")


def incomplete(sequence: int) -> StreamEvent:
    return StreamEvent(sequence=sequence, finished=Finished(complete=False, error=ERROR))


def stray(sequence: int) -> StreamEvent:
    return StreamEvent(sequence=sequence, block_delta=BlockDelta(block=7, text="x"))


BROKEN: dict[str, tuple[list[Step], str, grpc.StatusCode]] = {
    "a gap": ([sent(*WHOLE[:3], *WHOLE[4:])], "STREAM_INTERRUPTED", grpc.StatusCode.DATA_LOSS),
    "an event twice": (
        [sent(*WHOLE[:3]), sent(WHOLE[2]), sent(*WHOLE[3:])],
        "STREAM_INTERRUPTED",
        grpc.StatusCode.DATA_LOSS,
    ),
    "no terminal event": ([sent(*WHOLE[:3])], "STREAM_INTERRUPTED", grpc.StatusCode.DATA_LOSS),
    "a block not opened": ([sent(*WHOLE[:3], stray(3))], "STREAM_INTERRUPTED", grpc.StatusCode.DATA_LOSS),
    "no message": (
        [sent(*WHOLE[:3]), b"\x0a\x04\x0a\x02\xff"],
        "STREAM_INTERRUPTED",
        grpc.StatusCode.DATA_LOSS,
    ),
    "incomplete, status well": (
        [sent(*WHOLE[:3]), sent(incomplete(3))],
        "UPSTREAM_FAILED",
        grpc.StatusCode.UNKNOWN,
    ),
    "incomplete, with its status": (
        [sent(*WHOLE[:3]), sent(incomplete(3)), UpstreamFailed("the provider failed")],
        "UPSTREAM_FAILED",
        grpc.StatusCode.UNAVAILABLE,
    ),
    "a status alone": (
        [sent(*WHOLE[:3]), StreamInterrupted("cut")],
        "STREAM_INTERRUPTED",
        grpc.StatusCode.UNAVAILABLE,
    ),
}
PAST_THE_END: dict[str, list[Step]] = {
    "more events": [sent(*WHOLE, StreamEvent(sequence=len(WHOLE)))],
    "an error": [sent(*WHOLE), UpstreamFailed("late")],
}


async def read_events(stream: AnswerStream) -> str:
    text = ""
    async for event in stream:
        if event.block_delta is not None:
            text += event.block_delta.text or ""
    return text


async def read_text(stream: AnswerStream) -> str:
    return "".join([piece async for piece in stream.text()])


async def read_whole(stream: AnswerStream) -> str:
    return text_of(await stream.collect())


READERS = [read_events, read_text, read_whole]


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
@pytest.mark.parametrize("read", READERS)
async def test_a_complete_answer(
    read: Callable[[AnswerStream], asyncio.Future[str]], cut: int, client: Client, fake: FakeServer
) -> None:
    fake.script = [sent(*WHOLE[:cut]), sent(), sent(*WHOLE[cut:])]
    async with client.stream(ASKED) as stream:
        assert await read(stream) == "one two three"
        assert [event async for event in stream] == []
        answer = await stream.collect()
    assert answer.candidates[0].finish is not None
    assert answer.candidates[0].finish.reason is FinishReason.END
    assert answer.response_id == "r1"


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("read", READERS)
async def test_a_broken_answer_never_looks_whole(
    read: Callable[[AnswerStream], asyncio.Future[str]], case: str, client: Client, fake: FakeServer
) -> None:
    fake.script, reason, code = BROKEN[case]
    async with client.stream(ASKED) as stream:
        for _ in range(2):
            with pytest.raises(StreamBroken) as caught:
                await read(stream)
            assert (caught.value.reason, caught.value.code) == (reason, code)
            assert text_of(caught.value.partial) == "one "


@pytest.mark.parametrize("case", PAST_THE_END)
async def test_nothing_may_follow_the_terminal_event(case: str, client: Client, fake: FakeServer) -> None:
    fake.script = PAST_THE_END[case]
    with pytest.raises(StreamBroken):
        await client.stream(ASKED).collect()


async def test_text_that_came_before_the_break_is_given_out(client: Client, fake: FakeServer) -> None:
    fake.script = [sent(*WHOLE[:4]), UpstreamFailed("gone")]
    seen = []
    with pytest.raises(StreamBroken):
        async for piece in client.stream(ASKED).text():
            seen.append(piece)  # noqa: PERF401 - what was seen before the error counts
    assert seen == ["one ", "two "]


async def test_before_the_first_event_errors_are_those_of_a_whole_answer(
    client: Client, fake: FakeServer
) -> None:
    fake.script = [ModelNotFound("no such model", model="m")]
    with pytest.raises(NotFound) as caught:
        await client.stream(ASKED).collect()
    assert caught.value.metadata == {"model": "m"}
    fake.script = []
    with pytest.raises(InternalError, match="without its terminal event"):
        await client.stream(ASKED).collect()


async def test_the_server_dies_in_the_middle(client: Client, fake: FakeServer) -> None:
    fake.script = [sent(*WHOLE[:3]), Hang()]
    with pytest.raises(StreamBroken) as caught:
        async with client.stream(ASKED) as stream:
            async for _ in stream.text():
                await fake.stop()
    assert text_of(caught.value.partial) == "one "


async def test_leaving_early_ends_the_call(client: Client, fake: FakeServer) -> None:
    fake.script = [sent(*WHOLE[:3]), Hang()]
    async with client.stream(ASKED) as stream:
        async for _ in stream.text():
            break
    await asyncio.wait_for(fake.left.wait(), 10)
    with pytest.raises(Cancelled):
        await stream.collect()


async def test_cancel_from_another_task(client: Client, fake: FakeServer) -> None:
    fake.script = [sent(*WHOLE[:3]), Hang()]
    stream = client.stream(ASKED)
    reading = asyncio.create_task(stream.collect())
    await asyncio.wait_for(fake.arrived.wait(), 10)
    stream.cancel()
    with pytest.raises(Cancelled):
        await reading
    await asyncio.wait_for(fake.left.wait(), 10)


async def test_cancelling_the_task_ends_the_call(client: Client, fake: FakeServer) -> None:
    fake.script = [sent(*WHOLE[:3]), Hang()]
    stream = client.stream(ASKED)
    reading = asyncio.create_task(stream.collect())
    await asyncio.wait_for(fake.arrived.wait(), 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(fake.left.wait(), 10)
    with pytest.raises(Cancelled):
        await anext(stream)


async def test_a_time_limit_around_one_event_breaks_the_stream(client: Client, fake: FakeServer) -> None:
    fake.script = [sent(*WHOLE[:3]), Hang()]
    stream = client.stream(ASKED)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await stream.collect()
    with pytest.raises(Cancelled):
        await stream.collect()


async def test_a_stream_that_was_never_read_sends_nothing(client: Client, fake: FakeServer) -> None:
    async with client.stream(ASKED) as stream:
        pass
    with pytest.raises(Cancelled):
        await anext(stream)
    assert fake.calls == []
