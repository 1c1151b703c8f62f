"""Generated clients on native channels, asynchronous and synchronous, through the edge."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from llmhub.auth.v1.key_service_pb2 import CreateKeyRequest, ListKeysRequest, RevokeKeyRequest
from llmhub.auth.v1.key_service_pb2_grpc import KeyServiceStub
from llmhub.completion.v1.completion_service_pb2 import (
    CancelRequest,
    CountTokensRequest,
    GenerateStreamRequest,
    GetDecisionRequest,
)
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from llmhub.embedding.v1.embedding_service_pb2 import EmbeddingInput, EmbedRequest
from llmhub.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from llmhub.model.v1.model_service_pb2 import ListModelsRequest
from llmhub.model.v1.model_service_pb2_grpc import ModelServiceStub
from llmhub.route.v1.route_service_pb2 import ExplainRequest
from llmhub.route.v1.route_service_pb2_grpc import RouteServiceStub
from llmhub.types.v1.content_pb2 import Message, Part, Role, ToolCall, ToolResult
from llmhub.types.v1.usage_pb2 import Measure
from tests.support.contract import facts, fold, picture, question, tool, user
from tests.support.doors import grpc_error
from tests.support.exchanges import Exchange, named, random_pieces, recorded
from tests.support.facts import add_charged_beside, ask_anthropic, ask_openai
from tests.support.faults import Gate, answer, events
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.outcome import Outcome
from tests.support.replay import Replay
from tests.support.sdks import anthropic_direct, openai_direct

pytestmark = [
    pytest.mark.usefixtures("clean_wire"),
    # The recorded models are old; the SDK says so.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

KEY = (("authorization", f"Bearer {ADMIN_KEY}"),)
SECONDS = 20.0
ANSWERS = [
    each
    for each in recorded("openai.chat", "anthropic.messages")
    if each.status == 200 and each.provider in {"openai", "anthropic"}
]


@pytest.fixture
async def channel(mesh: Mesh) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(mesh.target) as channel:
        yield channel


@pytest.fixture(scope="module")
def sync_stub(mesh: Mesh) -> Iterator[Any]:
    with grpc.insecure_channel(mesh.target) as channel:
        yield CompletionServiceStub(cast(Any, channel))


def play(replay: Replay, exchange: Exchange) -> str:
    """Have the recording answered, and return its model in llmhub's naming."""
    replay.answer(exchange.provider, exchange.model, exchange.program(random_pieces(exchange.answer, 3)))
    return f"{exchange.provider}/{exchange.model}"


def expected_of(exchange: Exchange, replay: Replay) -> Any:
    """Return what the provider's own SDK makes of the recording."""
    if exchange.dialect == "openai":
        with openai_direct(replay) as client:
            return ask_openai(client, exchange.model, stream=exchange.streaming)
    with anthropic_direct(replay) as claude:
        found = ask_anthropic(claude, exchange.model, stream=exchange.streaming)
    add_charged_beside(found, exchange.answer)
    return found


@pytest.mark.parametrize("exchange", ANSWERS, ids=str)
async def test_the_same_facts_as_the_sdk(
    exchange: Exchange, channel: grpc.aio.Channel, replay: Replay
) -> None:
    model = play(replay, exchange)
    stub = CompletionServiceStub(channel)
    if exchange.streaming:
        call = stub.GenerateStream(
            GenerateStreamRequest(request=question(model)), metadata=KEY, timeout=SECONDS
        )
        got = fold([event async for message in call for event in message.events])
    else:
        whole = await stub.Generate(question(model), metadata=KEY, timeout=SECONDS)
        assert whole.usage.measure == Measure.MEASURE_VENDOR
        assert whole.model == model
        got = facts(whole)
    assert got == expected_of(exchange, replay)


def test_sync_client(sync_stub: Any, replay: Replay) -> None:
    for name in ("openai/018", "anthropic/051"):
        exchange = named(name)
        got = sync_stub.Generate(question(play(replay, exchange)), metadata=KEY, timeout=SECONDS)
        assert facts(got) == expected_of(exchange, replay)
    for name in ("openai/010", "anthropic/025"):
        exchange = named(name)
        asked = GenerateStreamRequest(request=question(play(replay, exchange)))
        call = sync_stub.GenerateStream(asked, metadata=KEY, timeout=SECONDS)
        got = fold([event for message in call for event in message.events])
        assert got == expected_of(exchange, replay)
        assert len(got.calls) > 1


def test_sync_client_gets_details(sync_stub: Any, replay: Replay) -> None:
    refusal = {"error": {"message": "slow", "type": "requests", "code": None, "param": None}}
    replay.answer("openai", "grpc-429", answer(429, refusal, {"retry-after": "7"}))
    with pytest.raises(grpc.RpcError) as caught:
        sync_stub.Generate(question("openai/grpc-429"), metadata=KEY, timeout=SECONDS)
    out = Outcome()
    grpc_error(caught.value, out)
    assert (out.error, out.reason, out.retry_after) == ("RESOURCE_EXHAUSTED", "UPSTREAM_RATE_LIMITED", 7.0)


async def test_tools_and_pictures_go_to_both_dialects(channel: grpc.aio.Channel, replay: Replay) -> None:
    stub = CompletionServiceStub(channel)
    call = Part(tool_call=ToolCall(id="call_1", name="look", arguments='{"city":"Bern"}'))
    result = Part(tool_result=ToolResult(call_id="call_1", name="look", parts=[Part(text="a river")]))
    for name in ("openai/024", "anthropic/044"):
        exchange = named(name)
        asked = question(
            play(replay, exchange),
            user(Part(text="Where is this?"), picture()),
            Message(role=Role.ROLE_ASSISTANT, parts=[call]),
            Message(role=Role.ROLE_TOOL, parts=[result]),
        )
        asked.tools.append(tool())
        got = await stub.Generate(asked, metadata=KEY, timeout=SECONDS)
        assert facts(got).called
        sent = replay.journal.of(exchange.model)[-1].body
        for piece in (b"iVBORw0KGgo", b"look", b"Bern", b"a river", b"call_1", b'"required"'):
            assert piece in sent


async def test_a_stream_arrives_while_it_is_made(channel: grpc.aio.Channel, replay: Replay) -> None:
    gate = Gate()
    exchange = named("openai/026")
    pieces = exchange.answer.split(b"\n\n")
    head, tail = b"\n\n".join(pieces[:4]) + b"\n\n", b"\n\n".join(pieces[4:])
    replay.answer("openai", "gated", (*events([head])[:-1], gate, *events([tail])[1:]))
    asked = GenerateStreamRequest(request=question("openai/gated"))
    call = CompletionServiceStub(channel).GenerateStream(asked, metadata=KEY, timeout=SECONDS)
    early = [await anext(aiter(call))]
    while not any(event.block_delta.text for message in early for event in message.events):
        early.append(await anext(aiter(call)))
    gate.open()
    rest = [message async for message in call]
    assert fold([event for message in (*early, *rest) for event in message.events]).truncated


async def test_cancel_and_decision_by_request_id(channel: grpc.aio.Channel, replay: Replay) -> None:
    gate = Gate()
    request_id = str(uuid.uuid4())
    replay.answer("openai", "endless", (gate,))
    stub = CompletionServiceStub(channel)
    running = stub.Generate(question("openai/endless", request_id=request_id), metadata=KEY, timeout=SECONDS)
    arrival = await asyncio.to_thread(replay.journal.wait, lambda each: each.model == "endless")
    await stub.Cancel(CancelRequest(request_id=request_id), metadata=KEY, timeout=SECONDS)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running
    assert caught.value.code() == grpc.StatusCode.CANCELLED
    replay.journal.wait(lambda each: each.number == arrival.number and each.left_at is not None)
    decided = await stub.GetDecision(GetDecisionRequest(request_id=request_id), metadata=KEY, timeout=SECONDS)
    assert decided.decision.attempts[0].provider == "openai"
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await stub.Cancel(CancelRequest(request_id=str(uuid.uuid4())), metadata=KEY, timeout=SECONDS)
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND


async def test_embed_and_count(channel: grpc.aio.Channel, replay: Replay) -> None:
    vectors = named("openai/037")
    asked = EmbedRequest(
        model=play(replay, vectors), inputs=[EmbeddingInput(text="a"), EmbeddingInput(text="b")]
    )
    got = await EmbeddingServiceStub(channel).Embed(asked, metadata=KEY, timeout=SECONDS)
    assert got.embeddings
    assert got.usage.input_tokens > 0
    counted = named("anthropic/001")
    count = CountTokensRequest(request=question(play(replay, counted)))
    answered = await CompletionServiceStub(channel).CountTokens(count, metadata=KEY, timeout=SECONDS)
    assert f'"input_tokens":{answered.input_tokens}' in counted.answer.decode().replace(" ", "")


async def test_catalogue_routing_and_keys(channel: grpc.aio.Channel) -> None:
    models = await ModelServiceStub(channel).ListModels(ListModelsRequest(page_size=1000), metadata=KEY)
    assert "pair-0" in {model.id for model in models.models}
    explained = await RouteServiceStub(channel).Explain(ExplainRequest(model="pair-0"), metadata=KEY)
    assert [entry.provider for entry in explained.decision.considered] == ["openai", "anthropic"]
    keys = KeyServiceStub(channel)
    made = await keys.CreateKey(CreateKeyRequest(name="made by a test"), metadata=KEY)
    listed = await keys.ListKeys(ListKeysRequest(), metadata=KEY)
    assert made.key.key_id in {key.key_id for key in listed.keys}
    await keys.RevokeKey(RevokeKeyRequest(key_id=made.key.key_id), metadata=KEY)


async def test_internal_services_have_no_route(channel: grpc.aio.Channel) -> None:
    for path in (
        "/llmhub.auth.v1.AuthService/VerifyKey",
        "/llmhub.provider.v1.ProviderService/Generate",
        "/llmhub.usage.v1.MeteringService/IngestUsage",
        "/llmhub.route.v1.RouteService/Plan",
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await cast(Any, channel.unary_unary(path))(b"", metadata=KEY, timeout=SECONDS)
        assert caught.value.code() in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}
