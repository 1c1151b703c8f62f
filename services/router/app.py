"""Composition root of the router."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from llmhub.model.v1.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from llmhub.provider.v1.provider_catalog_service_pb2_grpc import add_ProviderCatalogServiceServicer_to_server
from llmhub.route.v1.route_service_pb2_grpc import add_RouteServiceServicer_to_server
from services.router.adapters.catalog import snapshot
from services.router.adapters.providers import StubProviderChecks
from services.router.domain.health import Health
from services.router.servicers.catalog import ModelServicer, ProviderCatalogServicer
from services.router.servicers.route import RouteServicer
from services.router.settings import RouterSettings
from services.router.state import RouterState
from services.runtime.clock import SystemClock
from services.runtime.service import Channels, Hosted, Registry


@asynccontextmanager
async def build(settings: RouterSettings, channels: Channels) -> AsyncGenerator[Hosted, None]:
    """Offer routing and the catalogue. Needs no disk, and the providers only to try them."""
    checks = StubProviderChecks(channels)
    health = Health(
        failures=settings.failures_to_cool_down,
        cool_down=settings.cool_down,
        max_cool_down=settings.max_cool_down,
    )
    state = RouterState(snapshot(settings, 1), health, SystemClock())

    def register(registry: Registry) -> None:
        add_RouteServiceServicer_to_server(RouteServicer(state), registry)
        add_ModelServiceServicer_to_server(ModelServicer(state), registry)
        add_ProviderCatalogServiceServicer_to_server(ProviderCatalogServicer(state, checks), registry)

    def reload(new: RouterSettings) -> None:
        state.replace(snapshot(new, state.snapshot.revision + 1))

    async def drain() -> None:
        """Planning never takes long enough to be waited for."""

    yield Hosted(register=register, drain=drain, reload=reload)
