"""The life of a call: commit window, failover, ends, and what the books say of each."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from dataclasses import replace

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress, RelayResponse
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import Outcome
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.gateway.domain.call import Ask
from services.gateway.domain.payload import Generate, Relay
from services.gateway.domain.pipeline import Pipeline
from services.gateway.ports import Piece
from services.runtime.context import Principal
from services.runtime.errors import (
    Cancelled,
    DeadlineExceeded,
    LlmhubError,
    ModelNotFound,
    NoTarget,
    RequestIdConflict,
    RequestNotFound,
    ServiceUnavailable,
    ShuttingDown,
    StorageUnavailable,
    StreamInterrupted,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamUnreachable,
)
from services.runtime.offload import LARGE
from tests.support.fakes_gateway import ask, end, opening, pipeline, refused_relay, relayed, text

PAYLOAD = Generate(GenerateRequest(), stream=True)
RELAYED = Relay(Endpoint.ENDPOINT_OPENAI_CHAT, b"{}", stream=True)


async def collect(made: Pipeline, question: Ask) -> list[Piece]:
    async with aclosing(made.run(question)) as pieces:
        return [piece async for piece in pieces]


async def test_a_whole_answer_is_finished_before_its_last_piece_is_out() -> None:
    made, meter, _ = pipeline({"a": [opening(), text("hello"), end()]})
    async with aclosing(made.run(ask(PAYLOAD))) as pieces:
        seen = [len(meter.finishes) async for _ in pieces]
    assert seen == [0, 0, 1]
    assert [what for what, _ in meter.log] == ["intent", "sent", "finish"]
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_OK
    assert finish.usage.measure == Measure.MEASURE_ESTIMATED
    assert finish.usage.output_tokens == 2


async def test_the_providers_own_usage_is_taken_as_it_is() -> None:
    usage = Usage(input_tokens=7, output_tokens=0, measure=Measure.MEASURE_VENDOR)
    made, meter, _ = pipeline({"a": [text("hello"), end(Progress(usage=usage))]})
    await collect(made, ask(PAYLOAD))
    (finish,) = meter.finishes.values()
    assert finish.usage == usage


async def test_usage_without_counts_is_no_usage() -> None:
    nonsense = Usage(measure=Measure.MEASURE_VENDOR, provider_json='{"prompt_tokens":"3"}')
    made, meter, _ = pipeline({"a": [text("hello"), end(Progress(usage=nonsense))]})
    await collect(made, ask(PAYLOAD))
    (finish,) = meter.finishes.values()
    assert finish.usage.measure == Measure.MEASURE_ESTIMATED
    assert (finish.usage.input_tokens, finish.usage.output_tokens) == (100, 2)
    assert finish.usage.provider_json == nonsense.provider_json


@pytest.mark.parametrize("before", [[], [opening()]])
async def test_failover_inside_the_commit_window_shows_only_the_second_answer(before: list[Piece]) -> None:
    made, meter, providers = pipeline(
        {"a": [*before, UpstreamOverloaded("busy", retry_after=3)], "b": [opening(), text("hi"), end()]}
    )
    question = ask(PAYLOAD)
    pieces = await collect(made, question)
    assert len(pieces) == 3
    assert providers.started == ["a", "b"]
    outcomes = [finish.outcome for finish in meter.finishes.values()]
    assert outcomes == [Outcome.OUTCOME_UPSTREAM_ERROR, Outcome.OUTCOME_OK]
    first, second = meter.finishes.values()
    assert (first.intent.attempt, second.intent.attempt) == (1, 2)
    assert first.intent.request_id == second.intent.request_id
    assert (first.usage.input_tokens, first.usage.output_tokens) == (0, 0)
    assert [record.provider for record in question.decision.attempts] == ["a", "b"]


async def test_no_failover_once_content_is_out() -> None:
    made, meter, providers = pipeline({"a": [text("hello"), UpstreamFailed("cut")], "b": [text("x"), end()]})
    out: list[Piece] = []
    with pytest.raises(StreamInterrupted) as caught:
        async with aclosing(made.run(ask(PAYLOAD))) as pieces:
            async for piece in pieces:
                out.append(piece)  # noqa: PERF401  what came before the failure counts
    assert caught.value.metadata["cause"] == "UPSTREAM_FAILED"
    assert len(out) == 1
    assert providers.started == ["a"]
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_UPSTREAM_ERROR
    assert finish.usage.output_tokens == 2


async def test_an_end_without_completion_is_a_failure() -> None:
    made, meter, _ = pipeline({"a": [text("hello")]})
    with pytest.raises(StreamInterrupted):
        await collect(made, ask(PAYLOAD))
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_UPSTREAM_ERROR


async def test_a_rejected_request_is_not_tried_elsewhere() -> None:
    made, _, providers = pipeline({"a": [UpstreamRejected("bad")], "b": [text("x"), end()]})
    with pytest.raises(UpstreamRejected):
        await collect(made, ask(PAYLOAD))
    assert providers.started == ["a"]


async def test_attempts_are_bounded() -> None:
    scripts: dict[str, list[object]] = {name: [UpstreamOverloaded("busy")] for name in "abcd"}
    made, meter, _ = pipeline(scripts, max_attempts=2)  # type: ignore[arg-type]
    with pytest.raises(UpstreamOverloaded):
        await collect(made, ask(PAYLOAD))
    assert len(meter.finishes) == 2


async def test_a_relayed_refusal_goes_through_as_it_is() -> None:
    body = b'{"error":{"message":"no"}}'
    made, meter, _ = pipeline({"a": [refused_relay(UpstreamRejected("no"), body)]})
    (piece,) = await collect(made, ask(RELAYED))
    assert isinstance(piece, RelayResponse)
    assert piece.data == body
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_UPSTREAM_ERROR


async def test_a_relayed_failure_fails_over_first() -> None:
    refusal = refused_relay(UpstreamOverloaded("busy"), b"{}")
    made, _, providers = pipeline({"a": [refusal], "b": [text("x"), end()]})
    pieces = await collect(made, ask(RELAYED))
    assert len(pieces) == 2
    assert providers.started == ["a", "b"]


@pytest.mark.parametrize("before", [[], [relayed(b"data: hello\n\n", content=True)]])
async def test_an_error_inside_a_relayed_stream_is_the_answer_and_nothing_is_added(
    before: list[Piece],
) -> None:
    event = relayed(b"event: error\n\n", error=UpstreamOverloaded("busy"))
    trailer = relayed(b"data: [DONE]\n\n")
    script = [*before, event, trailer, UpstreamFailed("ended its stream early")]
    made, meter, _ = pipeline({"a": script})  # type: ignore[dict-item]
    pieces = await collect(made, ask(RELAYED))
    assert pieces == [*before, event, trailer]
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_UPSTREAM_ERROR
    assert finish.error_reason == ErrorReason.ERROR_REASON_UPSTREAM_OVERLOADED


async def test_an_error_inside_a_relayed_stream_fails_over_before_content() -> None:
    event = relayed(b"event: error\n\n", error=UpstreamOverloaded("busy"))
    made, _, providers = pipeline({"a": [event], "b": [text("x"), end()]})
    assert len(await collect(made, ask(RELAYED))) == 2
    assert providers.started == ["a", "b"]


async def test_a_connection_that_never_came_about_is_not_sent() -> None:
    made, meter, _ = pipeline({"a": [UpstreamUnreachable("refused")]})
    with pytest.raises(UpstreamUnreachable):
        await collect(made, ask(PAYLOAD))
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_NOT_SENT


async def test_a_providers_process_that_nobody_reached_costs_nothing() -> None:
    absent = ServiceUnavailable("nobody there", service="providers", started="false")
    made, meter, _ = pipeline({"a": [absent]})
    with pytest.raises(ServiceUnavailable):
        await collect(made, ask(PAYLOAD))
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_NOT_SENT
    assert finish.usage == Usage(measure=Measure.MEASURE_COUNTED, input_tokens=0, output_tokens=0)


async def test_a_providers_process_that_died_with_the_attempt_is_estimated() -> None:
    made, meter, _ = pipeline({"a": [ServiceUnavailable("gone", service="providers")]})
    with pytest.raises(ServiceUnavailable):
        await collect(made, ask(PAYLOAD))
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_CRASHED
    assert finish.usage == Usage(measure=Measure.MEASURE_ESTIMATED, input_tokens=100, output_tokens=0)


@pytest.mark.parametrize(("size", "beside"), [(400, False), (LARGE, True)])
async def test_a_large_body_is_read_beside_the_loop(size: int, *, beside: bool) -> None:
    readers: list[int] = []

    def payload(_: object) -> Generate:
        readers.append(threading.get_ident())
        return PAYLOAD

    made, _, _ = pipeline({"a": [text("x"), end()]})
    await collect(made, replace(ask(PAYLOAD), payload=payload, input_size=size))
    assert (readers[0] != threading.get_ident()) is beside


async def test_nothing_is_sent_when_it_cannot_be_recorded() -> None:
    made, meter, providers = pipeline({"a": [text("x"), end()]})
    meter.refuse = StorageUnavailable("disk full")
    with pytest.raises(StorageUnavailable):
        await collect(made, ask(PAYLOAD))
    assert providers.started == []
    assert not meter.finishes


async def _leave(made: Pipeline, question: Ask, reached: asyncio.Event) -> None:
    """Start the call in a task, and cancel the task once the provider waits."""
    task = asyncio.create_task(collect(made, question))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await made.calls.drain()


def _stall(reached: asyncio.Event, gate: asyncio.Event) -> object:
    async def wait() -> None:
        reached.set()
        await gate.wait()

    return wait


async def test_a_caller_who_leaves_stops_the_provider_and_is_billed_for_what_came() -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    made, meter, providers = pipeline({"a": [text("hello"), _stall(reached, never)]})  # type: ignore[list-item]
    await _leave(made, ask(PAYLOAD), reached)
    assert providers.closed == ["a"]
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_ABORTED_CLIENT
    assert finish.usage.input_tokens == 100
    assert finish.usage.output_tokens == 2
    assert finish.usage.measure == Measure.MEASURE_ESTIMATED


async def test_where_the_provider_bills_all_the_rest_is_read_and_its_usage_booked() -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    usage = Usage(input_tokens=7, output_tokens=40, measure=Measure.MEASURE_VENDOR)
    script = [text("hello"), _stall(reached, go), text(" world", 11), end(Progress(usage=usage))]
    made, meter, _ = pipeline({"a": script}, reads_on=True)  # type: ignore[dict-item]
    task = asyncio.create_task(collect(made, ask(PAYLOAD)))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not meter.finishes
    go.set()
    await made.calls.drain()
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_ABORTED_CLIENT
    assert finish.usage == usage


async def test_reading_on_has_an_end() -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    script = [text("hello"), _stall(reached, never)]
    made, meter, providers = pipeline({"a": script}, reads_on=True, drain_seconds=0.01)  # type: ignore[dict-item]
    await _leave(made, ask(PAYLOAD), reached)
    assert providers.closed == ["a"]
    (finish,) = meter.finishes.values()
    assert finish.usage.output_tokens == 2


async def test_leaving_while_the_intent_is_written_counts_as_not_sent() -> None:
    made, meter, providers = pipeline({"a": [text("x"), end()]})
    meter.gate = asyncio.Event()
    task = asyncio.create_task(collect(made, ask(PAYLOAD)))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await made.calls.drain()
    assert providers.started == []
    (finish,) = meter.finishes.values()
    assert finish.outcome == Outcome.OUTCOME_NOT_SENT


@pytest.mark.parametrize("by", ["cancel", "deadline", "shutdown"])
async def test_a_call_that_is_ended_says_why(by: str) -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    made, meter, providers = pipeline({"a": [text("hello"), _stall(reached, never)]})  # type: ignore[list-item]
    soon = asyncio.get_running_loop().time() + 0.02 if by == "deadline" else None
    question = ask(PAYLOAD, deadline=soon)
    task = asyncio.create_task(collect(made, question))
    await reached.wait()
    if by == "cancel":
        made.calls.cancel(question.request_id, question.principal)
    elif by == "shutdown":
        made.calls.abort()
    expected: dict[str, type[LlmhubError]] = {
        "cancel": Cancelled,
        "deadline": DeadlineExceeded,
        "shutdown": ShuttingDown,
    }
    with pytest.raises(expected[by]):
        await task
    await made.calls.drain()
    assert providers.closed == ["a"]
    (finish,) = meter.finishes.values()
    wanted = Outcome.OUTCOME_ABORTED_SERVER if by == "shutdown" else Outcome.OUTCOME_ABORTED_CLIENT
    assert finish.outcome == wanted
    assert finish.usage.output_tokens == 2


async def test_another_key_can_neither_cancel_nor_see_a_call() -> None:
    reached, never = asyncio.Event(), asyncio.Event()
    made, _, _ = pipeline({"a": [_stall(reached, never)]})  # type: ignore[list-item]
    question = ask(PAYLOAD)
    task = asyncio.create_task(collect(made, question))
    await reached.wait()
    stranger = Principal(key_id="k2")
    with pytest.raises(RequestNotFound):
        made.calls.cancel(question.request_id, stranger)
    with pytest.raises(RequestNotFound):
        made.calls.decision(question.request_id, stranger)
    made.calls.cancel(question.request_id, question.principal)
    with pytest.raises(Cancelled):
        await task
    assert made.calls.decision(question.request_id, question.principal).attempts[0].provider == "a"


async def test_a_request_id_in_use_is_refused() -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    made, _, _ = pipeline({"a": [_stall(reached, go), text("x"), end()]})  # type: ignore[list-item]
    question = ask(PAYLOAD)
    task = asyncio.create_task(collect(made, question))
    await reached.wait()
    with pytest.raises(RequestIdConflict):
        await collect(made, question)
    go.set()
    assert len(await task) == 2


async def test_the_deadline_bounds_the_providers_total_time() -> None:
    made, _, providers = pipeline({"a": [text("x"), end()]})
    await collect(made, ask(PAYLOAD, deadline=asyncio.get_running_loop().time() + 60))
    (limits,) = providers.limits
    assert 0 < limits.total.seconds <= 60


async def test_unknown_models_and_empty_plans_are_told_apart() -> None:
    made, meter, _ = pipeline({})
    with pytest.raises(ModelNotFound):
        await collect(made, ask(PAYLOAD, model="nope"))
    with pytest.raises(NoTarget):
        await collect(made, ask(PAYLOAD))
    assert not meter.log


async def test_a_draining_process_takes_no_calls() -> None:
    made, _, _ = pipeline({"a": [text("x"), end()]})
    await made.calls.drain()
    with pytest.raises(ShuttingDown):
        await collect(made, ask(PAYLOAD))
