"""What the router needs from outside."""

from __future__ import annotations

from typing import Protocol

from llmhub.provider.v1.provider_check_pb2 import ProviderCheck


class ProviderChecks(Protocol):
    """Tries providers, wherever their process is."""

    async def check(self, provider: str, model: str) -> list[ProviderCheck]:
        """Return what was tried and found; no model: make no call. Raises ServiceUnavailable, ProviderNotFound."""
        ...
