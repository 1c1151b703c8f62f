"""Composition root of the providers service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from llmhub.provider.v1.provider_service_pb2_grpc import add_ProviderServiceServicer_to_server
from services.providers.aids import Aids
from services.providers.pool import AdapterPool
from services.providers.servicers.provider import ProviderServicer
from services.providers.settings import ProvidersSettings
from services.runtime.service import Channels, Hosted, Registry


@asynccontextmanager
async def build(settings: ProvidersSettings, channels: Channels) -> AsyncGenerator[Hosted, None]:
    """Open every account and offer ProviderService. Needs no other service."""
    del channels
    async with Aids(settings.fetch) as aids, AdapterPool(aids.open) as pool:
        await pool.apply(settings)
        reloads: set[asyncio.Task[None]] = set()

        def register(registry: Registry) -> None:
            add_ProviderServiceServicer_to_server(ProviderServicer(pool), registry)

        def reload(new: ProvidersSettings) -> None:
            aids.fetcher.settings = new.fetch
            task = asyncio.get_running_loop().create_task(pool.apply(new))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        async def drain() -> None:
            """Running attempts belong to their gateways' calls, which the gateways wait for."""

        yield Hosted(register=register, drain=drain, reload=reload)
