"""The router through its stubs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from llmhub.model.v1.model_service_pb2 import Capability, GetModelRequest, ListModelsRequest
from llmhub.model.v1.model_service_pb2_grpc import ModelServiceStub
from llmhub.provider.v1.provider_catalog_service_pb2 import ListProvidersRequest, ProviderState
from llmhub.provider.v1.provider_catalog_service_pb2_grpc import ProviderCatalogServiceStub
from llmhub.provider.v1.provider_service_pb2 import Endpoint
from llmhub.route.v1.route_service_pb2 import ExplainRequest, PlanRequest, ReportOutcomeRequest
from llmhub.route.v1.route_service_pb2_grpc import RouteServiceStub
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import ExclusionReason, Outcome
from services.router.app import build
from services.router.settings import Alias, DeclaredModel, RoutedProvider, RouterSettings
from services.runtime.errors import ModelDenied, ModelNotFound, PageTokenInvalid, ProviderNotConfigured
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors.errors import ErrorsInterceptor
from services.runtime.service import Channels
from services.runtime.status import from_rpc_error


class NoChannels:
    """The router needs no other service."""

    def to(self, service: str) -> grpc.aio.Channel:
        raise AssertionError(service)

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        raise AssertionError(provider)


SETTINGS = RouterSettings(
    providers={
        "openai": RoutedProvider(name="openai", dialect="openai", base_url="https://api.openai.com/v1"),
        "anthropic": RoutedProvider(
            name="anthropic",
            dialect="anthropic",
            base_url="https://api.anthropic.com",
            missing=("ANTHROPIC_API_KEY is not set",),
            bills_after_cancel=True,
        ),
        "own": RoutedProvider(
            name="own",
            dialect="openai",
            base_url="http://127.0.0.1:1/v1",
            models=(DeclaredModel(name="m", capabilities=("chat",), context_tokens=10),),
        ),
    },
    aliases={
        "fast": Alias(name="fast", targets=("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5")),
        "claude": Alias(name="claude", targets=("anthropic/claude-haiku-4-5",)),
    },
)

NONE: Channels = NoChannels()


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = InProcessServer([ErrorsInterceptor()])
    async with build(SETTINGS, NONE) as hosted:
        hosted.register(server)
        yield server.channel()


async def test_an_alias_is_planned_in_order_with_its_dialects(channel: grpc.aio.Channel) -> None:
    plan = await RouteServiceStub(channel).Plan(PlanRequest(model="fast"))
    assert [(target.provider, target.dialect) for target in plan.targets] == [("openai", "openai")]
    assert Endpoint.ENDPOINT_OPENAI_RESPONSES in plan.targets[0].relays
    assert Endpoint.ENDPOINT_ANTHROPIC_MESSAGES not in plan.targets[0].relays
    excluded = plan.decision.considered[1]
    assert excluded.exclusions[0].reason == ExclusionReason.EXCLUSION_REASON_NOT_CONFIGURED
    assert "ANTHROPIC_API_KEY" in excluded.exclusions[0].message
    assert plan.decision.strategy == "failover"


@pytest.mark.parametrize(
    ("model", "models", "error"),
    [
        ("nope", (), ModelNotFound),
        ("nope/x", (), ModelNotFound),
        ("claude", (), ProviderNotConfigured),
        ("own/m", ("openai/*",), ModelDenied),
    ],
)
async def test_refusals_are_typed(
    channel: grpc.aio.Channel, model: str, models: tuple[str, ...], error: type[Exception]
) -> None:
    request = PlanRequest(model=model)
    request.principal.models.extend(models)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await RouteServiceStub(channel).Plan(request)
    assert type(from_rpc_error(caught.value)) is error


async def test_failures_take_a_target_out_and_retry_after_is_obeyed(channel: grpc.aio.Channel) -> None:
    stub = RouteServiceStub(channel)
    report = ReportOutcomeRequest(
        provider="openai", model="gpt-4o-mini", outcome=Outcome.OUTCOME_UPSTREAM_ERROR
    )
    report.error.reason = ErrorReason.ERROR_REASON_UPSTREAM_REJECTED
    report.error.retry_delay.seconds = 30
    await stub.ReportOutcome(report)
    assert not (await stub.Plan(PlanRequest(model="fast"))).decision.considered[0].exclusions
    report.error.reason = ErrorReason.ERROR_REASON_UPSTREAM_RATE_LIMITED
    await stub.ReportOutcome(report)
    considered = (await stub.Plan(PlanRequest(model="fast"))).decision.considered[0]
    assert considered.exclusions[0].reason == ExclusionReason.EXCLUSION_REASON_COOLING_DOWN
    assert considered.rank == 0, "a cooling target beats none"
    report.outcome = Outcome.OUTCOME_OK
    await stub.ReportOutcome(report)
    assert not (await stub.Plan(PlanRequest(model="fast"))).decision.considered[0].exclusions


async def test_explain_answers_where_plan_refuses(channel: grpc.aio.Channel) -> None:
    answer = await RouteServiceStub(channel).Explain(ExplainRequest(model="claude"))
    assert not answer.decision.considered[0].HasField("rank")


async def test_models_page_by_id_and_tokens_are_bound_to_their_query(channel: grpc.aio.Channel) -> None:
    stub = ModelServiceStub(channel)
    seen: list[str] = []
    token = ""
    while True:
        page = await stub.ListModels(ListModelsRequest(page_size=7, page_token=token))
        seen.extend(model.id for model in page.models)
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert seen == sorted(set(seen))
    assert {"fast", "openai/gpt-4o-mini", "own/m"} <= set(seen)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListModels(ListModelsRequest(page_token=token, provider="openai"))
    assert type(from_rpc_error(caught.value)) is PageTokenInvalid


async def test_a_model_says_what_it_can_do(channel: grpc.aio.Channel) -> None:
    stub = ModelServiceStub(channel)
    model = (await stub.GetModel(GetModelRequest(model="own/m"))).model
    assert list(model.capabilities) == [Capability.CAPABILITY_CHAT]
    assert model.context_tokens == 10
    assert model.available
    alias = (await stub.GetModel(GetModelRequest(model="claude"))).model
    assert list(alias.targets) == ["anthropic/claude-haiku-4-5"]
    assert not alias.available


async def test_providers_are_listed_with_what_they_lack(channel: grpc.aio.Channel) -> None:
    page = await ProviderCatalogServiceStub(channel).ListProviders(ListProvidersRequest())
    states = {provider.name: provider.state for provider in page.providers}
    assert states["anthropic"] == ProviderState.PROVIDER_STATE_NOT_CONFIGURED
    assert states["openai"] == ProviderState.PROVIDER_STATE_READY
