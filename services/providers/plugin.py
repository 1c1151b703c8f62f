"""What a plug-in's package imports: stable names, whatever moves behind them.

Errors are in services.runtime.errors, messages in llmhub.*; see examples/provider_plugin.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.providers.domain.adapter import Adapter
from services.providers.domain.limits import Deadlines, deadlines
from services.providers.plugins import ProviderPlugin
from services.providers.ports import Answer, Transport
from services.providers.settings import Account, Limits
from services.providers.transport import HttpTransport
from services.runtime.errors import LlmhubError, OperationUnsupported

__all__ = [
    "Account",
    "Adapter",
    "Answer",
    "Deadlines",
    "HttpTransport",
    "Limits",
    "PluginAdapter",
    "ProviderPlugin",
    "Transport",
    "deadlines",
]


class PluginAdapter:
    """Refuses every operation; a plug-in overrides those it has. See Adapter for what each promises."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        raise self.unsupported("generation")

    def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call; ends after a complete finished event, or raises."""
        raise self.unsupported("streaming")

    def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Plug-ins are given the contract's words; nothing is relayed to them."""
        raise self.unsupported("relaying")

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        raise self.unsupported("token counting")

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Make an embedding call."""
        raise self.unsupported("embeddings")

    async def models(self) -> list[str]:
        """Name the provider's models."""
        raise self.unsupported("list of models")

    def unsupported(self, what: str) -> LlmhubError:
        """Return the refusal of an operation."""
        name = self.account.name
        return OperationUnsupported(f"{name} has no {what}", provider=name, operation=what)
