"""Billing as it is served: real servers on unix sockets, its own database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from services.billing.app import build
from services.billing.settings import BillingSettings
from services.runtime import context as ambient
from services.runtime.context import Principal
from services.runtime.interceptors.errors import ErrorsInterceptor


class NoChannels:
    """Billing calls nobody."""

    def to(self, service: str) -> grpc.aio.Channel:
        raise AssertionError(service)

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        raise AssertionError(provider)


class CallerInterceptor(grpc.aio.ServerInterceptor):
    """Stands for the identity interceptor: everybody is whom the test says."""

    def __init__(self) -> None:
        self.principal: Principal | None = None

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        ambient.principal.set(self.principal)
        return await continuation(handler_call_details)


@asynccontextmanager
async def served(settings: BillingSettings, socket: Path) -> AsyncIterator[CallerInterceptor]:
    """Serve until the block ends; who calls may be changed meanwhile."""
    caller = CallerInterceptor()
    async with build(settings, NoChannels()) as hosted:
        server = grpc.aio.server(interceptors=[ErrorsInterceptor(), caller])
        hosted.register(server)
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        try:
            yield caller
        finally:
            await server.stop(0)
            await hosted.drain()
