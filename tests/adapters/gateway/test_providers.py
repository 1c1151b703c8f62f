"""Attempts over a wire that may not be there: what was never sent is told from what may have been."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc.aio
import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.provider.v1.provider_service_pb2_grpc import (
    ProviderServiceServicer,
    add_ProviderServiceServicer_to_server,
)
from llmhub.route.v1.route_service_pb2 import Target
from services.gateway.adapters.providers import StubProviders
from services.gateway.domain.payload import Generate, Payload, Relay
from services.gateway.ports import Piece
from services.runtime.channels import open_channel
from services.runtime.errors import ServiceUnavailable
from services.runtime.service import Channels

PAYLOADS = pytest.mark.parametrize(
    "payload",
    [
        Generate(GenerateRequest(), stream=False),
        Generate(GenerateRequest(), stream=True),
        Relay(pb.Endpoint.ENDPOINT_OPENAI_CHAT, b"{}", stream=True),
    ],
    ids=["whole", "stream", "relay"],
)


class Silent(ProviderServiceServicer):
    """Takes attempts and never answers."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()

    async def _wait(self) -> None:
        self.taken.set()
        await asyncio.Event().wait()

    async def Generate(self, request: Any, context: Any) -> pb.GenerateResponse:
        await self._wait()
        return pb.GenerateResponse()

    async def GenerateStream(self, request: Any, context: Any) -> AsyncIterator[pb.GenerateStreamResponse]:
        await self._wait()
        yield pb.GenerateStreamResponse()

    async def Relay(self, request: Any, context: Any) -> AsyncIterator[pb.RelayResponse]:
        await self._wait()
        yield pb.RelayResponse()

    async def CountTokens(self, request: Any, context: Any) -> pb.CountTokensResponse:
        raise NotImplementedError

    async def Embed(self, request: Any, context: Any) -> pb.EmbedResponse:
        raise NotImplementedError

    async def Check(self, request: Any, context: Any) -> pb.CheckResponse:
        raise NotImplementedError


@pytest.fixture
async def address() -> AsyncIterator[str]:
    with TemporaryDirectory(prefix="lh") as folder:
        yield f"unix:{Path(folder) / 's'}"


async def started(address: str, servicer: ProviderServiceServicer) -> grpc.aio.Server:
    server = grpc.aio.server()
    add_ProviderServiceServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    return server


class OneChannel(Channels):
    """Everything is behind one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def to(self, service: str) -> grpc.aio.Channel:
        return self._channel

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        return self._channel


async def attempt(providers: StubProviders, payload: Payload) -> list[Piece]:
    target = Target(provider="p", model="m")
    async with aclosing(providers.attempt(target, "a", "r", payload, pb.TimeLimits())) as pieces:
        return [piece async for piece in pieces]


@PAYLOADS
async def test_nothing_is_sent_where_nobody_listens(address: str, payload: Payload) -> None:
    async with open_channel(address) as channel:
        providers = StubProviders(OneChannel(channel))
        for _ in range(2):
            with pytest.raises(ServiceUnavailable) as refused:
                await asyncio.wait_for(attempt(providers, payload), 10)
            assert refused.value.metadata == {"service": "providers", "started": "false"}


@PAYLOADS
async def test_what_was_sent_to_a_process_that_dies_may_have_begun(address: str, payload: Payload) -> None:
    servicer = Silent()
    server = await started(address, servicer)
    async with open_channel(address) as channel:
        running = asyncio.create_task(attempt(StubProviders(OneChannel(channel)), payload))
        await asyncio.wait_for(servicer.taken.wait(), 10)
        await server.stop(None)
        with pytest.raises(ServiceUnavailable) as broken:
            await asyncio.wait_for(running, 10)
    assert "started" not in broken.value.metadata


async def test_a_process_that_comes_late_is_reached(address: str) -> None:
    async with open_channel(address) as channel:
        providers = StubProviders(OneChannel(channel))
        with pytest.raises(ServiceUnavailable):
            await attempt(providers, Generate(GenerateRequest(), stream=False))
        servicer = Silent()
        server = await started(address, servicer)
        await asyncio.wait_for(channel.channel_ready(), 10)
        running = asyncio.create_task(attempt(providers, Generate(GenerateRequest(), stream=True)))
        await asyncio.wait_for(servicer.taken.wait(), 10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop(None)
