"""Composition root of billing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmhub.usage.v1.metering_service_pb2_grpc import add_MeteringServiceServicer_to_server
from llmhub.usage.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server
from services.billing.adapters.auditor import Difference, OutboxState
from services.billing.adapters.auditor import audit as audit_database
from services.billing.adapters.price_book import ProviderIdentity, SnapshotPriceBook
from services.billing.adapters.usage_books import SqlUsageBooks
from services.billing.adapters.usage_store import SqlUsageStore
from services.billing.domain.override import Override
from services.billing.servicers.metering import MeteringServicer
from services.billing.servicers.usage import UsageServicer
from services.billing.settings import BillingSettings
from services.runtime.clock import SystemClock
from services.runtime.database import migrate, open_engine
from services.runtime.service import Channels, Hosted, Registry

__all__ = ["Difference", "OutboxState", "audit", "build"]


@asynccontextmanager
async def build(settings: BillingSettings, channels: Channels) -> AsyncIterator[Hosted]:
    """Start the service. Needs no other service."""
    del channels
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(migrate, settings.url, "services.billing")
    prices = price_book(settings)
    store = SqlUsageStore(open_engine(settings.url), prices, SystemClock())
    books = SqlUsageBooks(open_engine(settings.url, writes=False))

    def register(registry: Registry) -> None:
        add_MeteringServiceServicer_to_server(MeteringServicer(store), registry)
        add_UsageServiceServicer_to_server(UsageServicer(books), registry)

    async def drain() -> None:
        """Every batch is committed before it is acknowledged, so nothing is owed."""

    def reload(changed: BillingSettings) -> None:
        prices.use(_identities(changed), _overrides(changed))

    try:
        async with store.opened():
            yield Hosted(register=register, drain=drain, reload=reload)
    finally:
        books.close()


def price_book(settings: BillingSettings) -> SnapshotPriceBook:
    """The prices that hold under these settings."""
    return SnapshotPriceBook(_identities(settings), _overrides(settings))


def audit(settings: BillingSettings, outboxes: tuple[OutboxState, ...] = ()) -> list[Difference]:
    """Compare the books with themselves and with the gateways' outboxes; nothing is changed. Blocks."""
    engine = open_engine(settings.url, writes=False)
    try:
        return audit_database(engine, outboxes)
    finally:
        engine.dispose()


def _identities(settings: BillingSettings) -> dict[str, ProviderIdentity]:
    return {
        name: ProviderIdentity(provider.dialect, provider.base_url, provider.price_list)
        for name, provider in settings.providers.items()
    }


def _overrides(settings: BillingSettings) -> tuple[Override, ...]:
    return tuple(override.to_override(index) for index, override in enumerate(settings.overrides))
