"""An extension cannot name state that a provider keeps for all keys, nor change how an answer is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from llmhub.completion.v1.completion_service_pb2 import CountTokensRequest, GenerateStreamRequest
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from tests.support.contract import question
from tests.support.exchanges import named
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

pytestmark = pytest.mark.usefixtures("clean_wire")

KEY = (("authorization", f"Bearer {ADMIN_KEY}"),)
CHAT = named("groq/008")


@pytest.fixture
async def stub(mesh: Mesh) -> AsyncIterator[CompletionServiceStub]:
    async with grpc.aio.insecure_channel(mesh.target) as channel:
        yield CompletionServiceStub(channel)


@pytest.mark.parametrize(
    "said",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "c"}},
        {"background": True},
        {"stream": True},
    ],
    ids=str,
)
async def test_state_and_form_are_refused(
    stub: CompletionServiceStub, replay: Replay, said: dict[str, object]
) -> None:
    mark = replay.journal.mark()
    request = question(f"{CHAT.provider}/{CHAT.model}")
    request.extensions["openai-responses"] = json.dumps(said)
    stream = stub.GenerateStream(GenerateStreamRequest(request=request), metadata=KEY, timeout=20)
    counted = stub.CountTokens(CountTokensRequest(request=request), metadata=KEY, timeout=20)
    for call in (stub.Generate(request, metadata=KEY, timeout=20), stream.read(), counted):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "extensions[openai-responses]" in str(refused.value.details())
    assert replay.journal.since(mark) == []


async def test_other_members_go_on(stub: CompletionServiceStub, replay: Replay) -> None:
    replay.answer(CHAT.provider, CHAT.model, CHAT.program())
    mark = replay.journal.mark()
    request = question(f"{CHAT.provider}/{CHAT.model}")
    request.extensions["openai"] = json.dumps({"service_tier": "auto", "stream": None})
    await stub.Generate(request, metadata=KEY, timeout=20)
    (arrival,) = replay.journal.since(mark)
    assert arrival.json["service_tier"] == "auto"
