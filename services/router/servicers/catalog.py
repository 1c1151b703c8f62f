"""ModelService and ProviderCatalogService over the router's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc.aio

from llmhub.model.v1 import model_service_pb2 as models
from llmhub.model.v1.model_service_pb2_grpc import ModelServiceServicer
from llmhub.provider.v1 import provider_catalog_service_pb2 as providers
from llmhub.provider.v1.provider_catalog_service_pb2_grpc import ProviderCatalogServiceServicer
from services.router.convert import alias_to_proto, model_to_proto, provider_to_proto
from services.router.domain.catalog import Provider, Snapshot, Target
from services.router.ports import ProviderChecks
from services.router.state import RouterState
from services.runtime import context as ambient
from services.runtime import page_token
from services.runtime.access import may_use_model
from services.runtime.context import Principal
from services.runtime.errors import ModelNotFound, ProviderNotFound

Context = grpc.aio.ServicerContext[Any, Any]


_DEFAULT_PAGE = 100
_MAX_PAGE = 1000


class ModelServicer(ModelServiceServicer):
    """Lists what the caller's key may use."""

    def __init__(self, state: RouterState) -> None:
        self._state = state

    async def GetModel(self, request: models.GetModelRequest, context: Context) -> models.GetModelResponse:
        """Return one model or alias."""
        snapshot = self._state.snapshot
        model = _model(snapshot, request.model) if may_use_model(_caller(), request.model) else None
        if model is None:
            text = f"there is no model {request.model}"
            raise ModelNotFound(text, model=request.model)
        return models.GetModelResponse(model=model)

    async def ListModels(
        self, request: models.ListModelsRequest, context: Context
    ) -> models.ListModelsResponse:
        """Return a page of models and aliases, by id."""
        snapshot, caller = self._state.snapshot, _caller()
        names = sorted(
            name
            for name in (*snapshot.models, *snapshot.aliases)
            if may_use_model(caller, name)
            and (not request.provider or name.startswith(f"{request.provider}/"))
        )
        query = f"models:{request.provider}".encode()
        page, token = _page(names, request.page_size, request.page_token, query)
        found = (_model(snapshot, name) for name in page)
        return models.ListModelsResponse(models=[model for model in found if model], next_page_token=token)


class ProviderCatalogServicer(ProviderCatalogServiceServicer):
    """Lists providers, the ones that are not configured included."""

    def __init__(self, state: RouterState, checks: ProviderChecks) -> None:
        self._state = state
        self._checks = checks

    async def GetProvider(
        self, request: providers.GetProviderRequest, context: Context
    ) -> providers.GetProviderResponse:
        """Return one provider."""
        return providers.GetProviderResponse(provider=self._message(self._known(request.provider)))

    async def ListProviders(
        self, request: providers.ListProvidersRequest, context: Context
    ) -> providers.ListProvidersResponse:
        """Return a page of providers, by name."""
        known = self._state.snapshot.providers
        page, token = _page(sorted(known), request.page_size, request.page_token, b"providers")
        return providers.ListProvidersResponse(
            providers=[self._message(known[name]) for name in page], next_page_token=token
        )

    async def TestProvider(
        self, request: providers.TestProviderRequest, context: Context
    ) -> providers.TestProviderResponse:
        """Have the provider tried by the process that serves it."""
        provider = self._known(request.provider)
        model = request.model or provider.example
        return providers.TestProviderResponse(checks=await self._checks.check(provider.name, model))

    def _known(self, name: str) -> Provider:
        provider = self._state.snapshot.providers.get(name)
        if provider is None:
            raise ProviderNotFound(f"there is no provider {name}", provider=name)
        return provider

    def _message(self, provider: Provider) -> providers.Provider:
        state, now = self._state, self._state.clock.monotonic()
        cooling = state.health.any_cooling(provider.name, now)
        return provider_to_proto(provider, state.snapshot, cooling=cooling)


def _caller() -> Principal:
    return ambient.principal.get() or Principal(key_id="")


def _model(snapshot: Snapshot, name: str) -> models.Model | None:
    alias = snapshot.aliases.get(name)
    if alias is not None:
        return alias_to_proto(alias, snapshot)
    provider_name, _, model = name.partition("/")
    provider = snapshot.providers.get(provider_name)
    if provider is None or not model:
        return None
    card = snapshot.card(Target(provider_name, model))
    return model_to_proto(card, available=not provider.missing)


def _page(names: Sequence[str], size: int, token: str, query: bytes) -> tuple[Sequence[str], str]:
    """Return a page of sorted names and the token of the next one."""
    after = str(page_token.decode(token, query)["after"]) if token else ""
    limit = min(size or _DEFAULT_PAGE, _MAX_PAGE)
    rest = [name for name in names if name > after]
    page = rest[:limit]
    return page, page_token.encode({"after": page[-1]}, query) if len(rest) > limit else ""
