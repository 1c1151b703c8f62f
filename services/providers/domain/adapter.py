"""What every provider adapter can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from llmhub.provider.v1 import provider_service_pb2 as pb


class Adapter(Protocol):
    """Carries attempts to one provider. Failures are LlmhubErrors; cancelling a call stops the provider."""

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        ...

    def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call; ends after a complete finished event, or raises."""
        ...

    def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Send a body of the provider's own dialect and pass the answer's bytes on."""
        ...

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        ...

    async def models(self) -> list[str]:
        """Return the provider's own names of the models it lists. Raises OperationUnsupported where it lists none."""
        ...

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Make an embedding call."""
        ...
