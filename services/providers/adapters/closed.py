"""Stands in for an adapter that cannot be opened, so that its provider alone is out of use."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.runtime.errors import LlmhubError, ProviderNotConfigured


class ClosedAdapter:
    """Refuses every call with the reason; see domain.adapter.Adapter."""

    def __init__(self, provider: str, reason: str) -> None:
        self._provider = provider
        self._reason = reason

    def _refusal(self) -> LlmhubError:
        text = f"provider {self._provider} is not configured: {self._reason}"
        return ProviderNotConfigured(text, provider=self._provider)

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Refuse."""
        raise self._refusal()

    def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Refuse."""
        raise self._refusal()

    def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Refuse."""
        raise self._refusal()

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Refuse."""
        raise self._refusal()

    async def models(self) -> list[str]:
        """Refuse."""
        raise self._refusal()

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Refuse."""
        raise self._refusal()
