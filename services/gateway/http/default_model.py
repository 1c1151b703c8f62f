"""What a call without a model means: the vendor's documented default, where only one configured target can be meant."""

from __future__ import annotations

import grpc.aio

from llmhub.provider.v1.provider_catalog_service_pb2 import ListProvidersRequest, ProviderState
from llmhub.provider.v1.provider_catalog_service_pb2_grpc import ProviderCatalogServiceStub
from llmhub.route.v1.route_service_pb2 import PlanRequest
from llmhub.route.v1.route_service_pb2_grpc import RouteServiceStub
from services.gateway.http.endpoints import VendorEndpoint
from services.runtime.context import Principal
from services.runtime.errors import LlmhubError, RequestInvalid, ScopeDenied, Violation
from services.runtime.status import from_rpc_error

_PAGE = 1000


class DefaultModels:
    """Asks the router, with the caller's own key, who could be meant."""

    def __init__(self, router: grpc.aio.Channel) -> None:
        self._catalog = ProviderCatalogServiceStub(router)
        self._route = RouteServiceStub(router)

    async def resolve(self, endpoint: VendorEndpoint, principal: Principal, token: str) -> str:
        """Return the alias or provider/model that the endpoint's default stands for. Raises RequestInvalid."""
        default = endpoint.default_model
        if await self._takes(endpoint, principal, default):
            return default
        meant = [
            model
            for provider in await self._providers(token)
            if await self._takes(endpoint, principal, model := f"{provider}/{default}")
        ]
        if len(meant) == 1:
            return meant[0]
        message = f"is required: of {len(meant)} providers any could be meant by {default}"
        if len(meant) < 2:
            message = f"is required: no provider is known to be meant by {default}"
        raise RequestInvalid(f"model: {message}", violations=(Violation("model", message),))

    async def _takes(self, endpoint: VendorEndpoint, principal: Principal, model: str) -> bool:
        request = PlanRequest(model=model)
        request.needs.operation = endpoint.kind
        request.principal.key_id = principal.key_id
        request.principal.models.extend(principal.models)
        request.principal.scopes.extend(principal.scopes)  # type: ignore[arg-type]
        try:
            plan = await self._route.Plan(request)
        except grpc.aio.AioRpcError as error:
            if _is_answer(from_rpc_error(error, "router")):
                return False
            raise from_rpc_error(error, "router") from None
        return any(endpoint.endpoint in target.relays for target in plan.targets)

    async def _providers(self, token: str) -> list[str]:
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            page = await self._catalog.ListProviders(ListProvidersRequest(page_size=_PAGE), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, "router")
            if isinstance(failure, ScopeDenied):
                return []
            raise failure from None
        unset = ProviderState.PROVIDER_STATE_NOT_CONFIGURED
        return [provider.name for provider in page.providers if provider.state != unset]


def _is_answer(error: LlmhubError) -> bool:
    """Tell whether the router says no, rather than that it cannot say."""
    return error.reason in {
        "MODEL_NOT_FOUND",
        "MODEL_DENIED",
        "PROVIDER_NOT_CONFIGURED",
        "OPERATION_UNSUPPORTED",
        "NO_TARGET",
    }
