"""Composition root of the auth service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from llmhub.auth.v1.auth_service_pb2_grpc import add_AuthServiceServicer_to_server
from llmhub.auth.v1.key_service_pb2_grpc import add_KeyServiceServicer_to_server
from services.auth.admin import create_key, ensure_admin_key
from services.auth.servicers.auth import AuthServicer
from services.auth.servicers.key import KeyServicer
from services.auth.settings import AuthSettings
from services.auth.wiring import opened
from services.runtime.service import Channels, Hosted, Registry

__all__ = ["build", "create_key", "ensure_admin_key"]


@asynccontextmanager
async def build(settings: AuthSettings, channels: Channels) -> AsyncIterator[Hosted]:
    """Start the service. Raises PepperError. Needs no other service."""
    del channels
    async with AsyncExitStack() as stack:
        auth = await stack.enter_async_context(opened(settings))
        await auth.keyring.install_bootstrap()
        await stack.enter_async_context(auth.feed.running())

        def register(registry: Registry) -> None:
            add_AuthServiceServicer_to_server(AuthServicer(auth.keyring, auth.feed), registry)
            add_KeyServiceServicer_to_server(KeyServicer(auth.keyring, auth.store, auth.clock), registry)

        async def drain() -> None:
            # Watches never end by themselves; each call is committed before it is answered.
            auth.feed.close()

        yield Hosted(register=register, drain=drain)
