"""The ProviderChecks port over ProviderService stubs."""

from __future__ import annotations

from typing import Final

import grpc.aio

from llmhub.provider.v1.provider_check_pb2 import ProviderCheck
from llmhub.provider.v1.provider_service_pb2 import CheckRequest
from llmhub.provider.v1.provider_service_pb2_grpc import ProviderServiceStub
from services.runtime.service import Channels
from services.runtime.status import from_rpc_error

_LONGEST: Final = 180.0
"""Seconds that all checks of a provider may take."""


class StubProviderChecks:
    """Asks the process that serves the provider; see ports.ProviderChecks."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def check(self, provider: str, model: str) -> list[ProviderCheck]:
        """Return what was tried."""
        stub = ProviderServiceStub(self._channels.to_provider(provider))
        try:
            answer = await stub.Check(CheckRequest(provider=provider, model=model), timeout=_LONGEST)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "providers") from None
        return list(answer.checks)
