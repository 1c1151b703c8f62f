"""The client against the product, through its edge."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from llmhub.completion.v1 import completion_service_pb2 as pb
from llmhub.types.v1.stream_pb2 import StreamEvent
from llmhub_client import (
    Cancelled,
    Client,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StreamBroken,
    Unauthenticated,
    Unsupported,
    text_of,
    user,
)
from llmhub_client.messages import (
    CreateKeyRequest,
    Dimension,
    EmbeddingInput,
    EmbedRequest,
    FunctionTool,
    GenerateRequest,
    Key,
    ProviderState,
    ReasoningOptions,
    Scope,
    Tool,
    UsageFilter,
)
from services.dialects.fold import fold
from tests.support.exchanges import Exchange, random_pieces, recorded
from tests.support.faults import answer
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

SCHEMA = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
STREAMS = [
    each
    for each in recorded("openai.chat", "anthropic.messages")
    if each.status == 200 and each.streaming and each.provider in {"openai", "anthropic"}
]


def asked(model: str = "sim/echo", text: str = "one two three", **metadata: str) -> GenerateRequest:
    return GenerateRequest(
        request_id=str(uuid.uuid4()), model=model, messages=[user(text)], metadata=dict(metadata)
    )


@pytest.fixture
async def replayed(mesh: Mesh) -> AsyncIterator[Client]:
    async with Client(mesh.base_url, ADMIN_KEY, timeout=20) as client:
        yield client


async def test_a_whole_answer(real: Client) -> None:
    request = asked()
    got = await real.generate(request)
    assert text_of(got) == "one two three"
    assert (got.model, got.request_id) == ("sim/echo", request.request_id)
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens) == (3, 3)


async def test_the_stream_folds_into_the_whole_answer(real: Client) -> None:
    for model in ("sim/echo", "sim/tools"):
        request = asked(model)
        request.tools = [Tool(function=FunctionTool(name="look", parameters_json=SCHEMA))]
        request.reasoning = ReasoningOptions(effort="low")
        whole = await real.generate(request)
        folded = await real.stream(request).collect()
        assert len(whole.candidates[0].parts) == 2
        assert folded.candidates == whole.candidates
        assert (folded.model, folded.usage) == (whole.model, whole.usage)


async def test_text_comes_in_pieces(real: Client) -> None:
    async with real.stream(asked()) as stream:
        assert [piece async for piece in stream.text()] == ["one ", "two ", "three"]


@pytest.mark.usefixtures("clean_wire")
@pytest.mark.parametrize("exchange", STREAMS, ids=str)
async def test_recorded_streams_fold_as_in_the_server(
    exchange: Exchange, replayed: Client, replay: Replay
) -> None:
    pieces = random_pieces(exchange.answer, 3)
    replay.answer(exchange.provider, exchange.model, exchange.program(pieces))
    stream = replayed.stream(asked(f"{exchange.provider}/{exchange.model}"))
    events = [StreamEvent.FromString(bytes(event)) async for event in stream]
    got = pb.GenerateResponse.FromString(bytes(await stream.collect()))
    expected = fold(events)
    expected.request_id, expected.model = got.request_id, got.model
    assert got == expected


async def test_a_failing_provider(replayed: Client, replay: Replay) -> None:
    refusal = {"error": {"message": "slow", "type": "requests", "code": "slow_down", "param": None}}
    replay.answer("openai", "sdk-429", answer(429, refusal, {"retry-after": "7"}))
    for attempt in (replayed.generate, lambda request: replayed.stream(request).collect()):
        with pytest.raises(ResourceExhausted) as caught:
            await attempt(asked("openai/sdk-429"))
        error = caught.value
        assert error.reason == "UPSTREAM_RATE_LIMITED"
        assert error.retry_delay is not None
        assert error.retry_delay.total_seconds() == 7
        assert error.provider_error is not None
        assert (error.provider_error.http_status, error.provider_error.code) == (429, "slow_down")


async def test_an_answer_that_breaks_off(real: Client) -> None:
    request = asked(sim_words="9", sim_fail="overloaded", sim_fail_after="4")
    with pytest.raises(StreamBroken) as caught:
        await real.stream(request).collect()
    assert caught.value.reason == "STREAM_INTERRUPTED"
    assert text_of(caught.value.partial) == "word0 word1 word2 word3 "


async def test_refusals_have_their_classes(real: Client, simulator: Mesh) -> None:
    with pytest.raises(NotFound) as missing:
        await real.generate(asked("acme/none"))
    assert missing.value.reason == "MODEL_NOT_FOUND"
    with pytest.raises(InvalidRequest) as invalid:
        await real.generate(GenerateRequest(model="sim/echo"))
    assert invalid.value.violations
    async with Client(simulator.base_url, "wrong") as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.generate(asked())
        with pytest.raises(Unauthenticated):
            await stranger.stream(asked()).collect()


async def test_cancel_by_request_id(real: Client) -> None:
    request = asked(sim_words="1000", sim_delay_ms="50")
    async with real.stream(request) as stream:
        await anext(stream)
        await real.cancel(request.request_id)
        with pytest.raises(StreamBroken) as caught:
            await stream.collect()
    assert caught.value.reason == "CANCELLED"
    with pytest.raises(NotFound):
        await real.cancel(str(uuid.uuid4()))


async def test_cancel_before_anything_was_said(real: Client) -> None:
    request = asked(sim_delay_ms="15000")
    answering = asyncio.create_task(real.generate(request))
    async with asyncio.timeout(10):
        while True:
            try:
                await real.cancel(request.request_id)
                break
            except NotFound:  # the call is on its way
                await asyncio.sleep(0)
    with pytest.raises(Cancelled):
        await answering


async def test_embeddings_and_counts(real: Client) -> None:
    inputs = [EmbeddingInput(text="a"), EmbeddingInput(text="b")]
    got = await real.embed(EmbedRequest(model="sim/echo", inputs=inputs, dimensions=3))
    assert [len(each.floats.values) for each in got.embeddings if each.floats is not None] == [3, 3]
    assert (await real.count_tokens(asked())).input_tokens == 3


async def test_catalogue(real: Client) -> None:
    models = [model.id async for model in real.list_models(page_size=1)]
    assert "sim/echo" in models
    assert len(models) == len(set(models)) > 1
    assert models == [model.id async for model in real.list_models(provider="sim")]
    assert (await real.get_model("sim/echo")).available
    providers = [provider async for provider in real.list_providers()]
    assert [(each.name, each.state) for each in providers] == [("sim", ProviderState.READY)]
    assert (await real.get_provider("sim")).dialect == "sim"
    assert (await real.explain("sim/echo")).considered[0].rank == 0
    with pytest.raises(NotFound):
        await real.get_provider("acme")


async def test_decision_and_usage(real: Client) -> None:
    requests = [asked() for _ in range(3)]
    for request in requests:
        await real.generate(request)
    decision = await real.get_decision(requests[0].request_id)
    assert decision.attempts[0].provider == "sim"
    async with asyncio.timeout(15):
        for request in requests:
            where = UsageFilter(request_id=request.request_id)
            # Usage is shipped in batches; there is nothing to wait on but the books themselves.
            while not (records := [record async for record in real.list_usage(where)]):
                await asyncio.sleep(0.05)
            (record,) = records
            assert (record.provider, record.model, record.door) == ("sim", "echo", "grpc")
    listed = [record.event_id async for record in real.list_usage(page_size=1)]
    assert len(listed) == len(set(listed)) >= 3
    (total,) = [each async for each in real.aggregate_usage([Dimension.PROVIDER])]
    assert (total.provider, total.attempts >= 3) == ("sim", True)


async def test_keys(real: Client, simulator: Mesh) -> None:
    made = await real.create_key(CreateKeyRequest(name="first", scopes=[Scope.INFERENCE]))
    assert made.key is not None
    key_id = made.key.key_id
    assert key_id in [key.key_id async for key in real.list_keys(page_size=1)]
    async with Client(simulator.base_url, made.secret) as other:
        assert text_of(await other.generate(asked())) == "one two three"
        with pytest.raises(PermissionDenied):
            await other.get_key(key_id)
    renamed = await real.update_key(Key(key_id=key_id, name="second"), ["name"])
    assert (renamed.name, renamed.scopes) == ("second", [Scope.INFERENCE])
    assert (await real.rotate_key(key_id)).secret not in {"", made.secret}
    assert (await real.revoke_key(key_id)).revoked_at is not None
    assert (await real.get_key(key_id)).revoked_at is not None


async def test_what_no_provider_can_do_is_unsupported(replayed: Client) -> None:
    with pytest.raises(Unsupported):
        await replayed.embed(EmbedRequest(model="anthropic/any", inputs=[EmbeddingInput(text="a")]))
