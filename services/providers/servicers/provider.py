"""ProviderService over the adapters of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.provider.v1.provider_service_pb2_grpc import ProviderServiceServicer
from services.providers.checking import check
from services.providers.domain.adapter import Adapter
from services.providers.pool import AdapterPool

Context = grpc.aio.ServicerContext[Any, Any]


class ProviderServicer(ProviderServiceServicer):
    """Hands each attempt to the adapter of its provider."""

    def __init__(self, pool: AdapterPool) -> None:
        self._pool = pool

    def _adapter(self, attempt: pb.Attempt) -> Adapter:
        return self._pool.adapter(attempt.provider)

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        return await self._adapter(request.attempt).generate(request)

    async def GenerateStream(
        self, request: pb.GenerateStreamRequest, context: Context
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        """Make a streaming call."""
        async with aclosing(self._adapter(request.attempt).generate_stream(request)) as messages:
            async for message in messages:
                yield message

    async def Relay(self, request: pb.RelayRequest, context: Context) -> AsyncIterator[pb.RelayResponse]:
        """Relay a body of the provider's dialect."""
        async with aclosing(self._adapter(request.attempt).relay(request)) as messages:
            async for message in messages:
                yield message

    async def CountTokens(self, request: pb.CountTokensRequest, context: Context) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        return await self._adapter(request.attempt).count_tokens(request)

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Try the provider."""
        account, adapter = self._pool.entry(request.provider)
        return pb.CheckResponse(checks=await check(account, adapter, request.model))

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        """Make an embedding call."""
        return await self._adapter(request.attempt).embed(request)
