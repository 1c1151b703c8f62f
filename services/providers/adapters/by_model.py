"""One account that hosts Claude beside other models: each kind has an adapter of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.dialects.registry import is_claude
from services.providers.domain.adapter import Adapter


class ByModel:
    """Hands calls for Claude to one adapter, all others to the other; see domain.adapter.Adapter."""

    def __init__(self, usual: Adapter, claude: Adapter) -> None:
        self._usual = usual
        self._claude = claude

    def _of(self, attempt: pb.Attempt) -> Adapter:
        return self._claude if is_claude(attempt.model) else self._usual

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        return await self._of(request.attempt).generate(request)

    def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call."""
        return self._of(request.attempt).generate_stream(request)

    def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Send a body that the model takes as it is."""
        return self._of(request.attempt).relay(request)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        return await self._of(request.attempt).count_tokens(request)

    async def models(self) -> list[str]:
        """Name what the account lists."""
        return await self._usual.models()

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Make an embedding call."""
        return await self._of(request.attempt).embed(request)
