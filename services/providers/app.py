"""Composition root of the providers service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmhub.provider.v1.provider_service_pb2_grpc import add_ProviderServiceServicer_to_server
from services.dialects.anthropic import AnthropicCodec
from services.dialects.openai import OpenAICodec, profile_for
from services.providers.adapters.dialect import DialectAdapter
from services.providers.adapters.sim import SimAdapter
from services.providers.domain.adapter import Adapter
from services.providers.pool import AdapterPool
from services.providers.servicers.provider import ProviderServicer
from services.providers.settings import Account, ProvidersSettings
from services.providers.transport import HttpTransport
from services.runtime.service import Channels, Hosted, Registry

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


def adapter_for(account: Account, settings: ProvidersSettings) -> AbstractAsyncContextManager[Adapter]:
    """Return the context in which an account's adapter is open. Raises ValueError for an unknown dialect."""
    if account.dialect not in {"sim", "openai", "anthropic"}:
        message = f"provider {account.name}: unknown dialect {account.dialect}"
        raise ValueError(message)
    return _opened(account, settings)


@asynccontextmanager
async def _opened(account: Account, settings: ProvidersSettings) -> AsyncGenerator[Adapter, None]:
    if account.dialect == "sim":
        yield SimAdapter(account)
        return
    async with HttpTransport(
        account.name,
        max_connections=account.max_connections,
        max_response_bytes=settings.max_response_bytes,
    ) as transport:
        if account.dialect == "anthropic":
            codec = AnthropicCodec()
            yield DialectAdapter(account, transport, codec, count=codec)
        else:
            chat = OpenAICodec(profile_for(account.base_url))
            yield DialectAdapter(account, transport, chat, embedding=chat)


@asynccontextmanager
async def build(settings: ProvidersSettings, channels: Channels) -> AsyncGenerator[Hosted, None]:
    """Open every account and offer ProviderService. Needs no other service."""
    del channels
    async with AdapterPool(adapter_for) as pool:
        await pool.apply(settings)
        reloads: set[asyncio.Task[None]] = set()

        def register(registry: Registry) -> None:
            add_ProviderServiceServicer_to_server(ProviderServicer(pool), registry)

        def reload(new: ProvidersSettings) -> None:
            task = asyncio.get_running_loop().create_task(pool.apply(new))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        async def drain() -> None:
            """Running attempts belong to their gateways' calls, which the gateways wait for."""

        yield Hosted(register=register, drain=drain, reload=reload)
