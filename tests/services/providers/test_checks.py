"""What `llmhub providers test` and TestProvider try, against providers that answer well and badly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack

import grpc.aio
import pytest
from pydantic import SecretStr

from llmhub.provider.v1.provider_catalog_service_pb2 import TestProviderRequest as TryProvider
from llmhub.provider.v1.provider_catalog_service_pb2_grpc import ProviderCatalogServiceStub
from llmhub.provider.v1.provider_check_pb2 import ProviderCheck, ProviderCheckKind, ProviderCheckResult
from services.providers import app as providers_app
from services.providers.settings import Account, ProvidersSettings
from services.router import app as router_app
from services.router.settings import DeclaredModel, RoutedProvider, RouterSettings
from services.runtime.errors import ProviderNotFound
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors.errors import ErrorsInterceptor
from services.runtime.status import from_rpc_error
from tests.support import faults
from tests.support.replay import Replay, upstream_key

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "H"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
}
LIST = {"object": "list", "data": [{"id": "m", "object": "model"}, {"id": "n", "object": "model"}]}
WRONG_KEY = {
    "error": {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}
}
VECTOR = {
    "object": "list",
    "model": "embed",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


class ToServer:
    """Channels to one in-process server."""

    def __init__(self, server: InProcessServer) -> None:
        self._channel = server.channel()

    def to(self, service: str) -> grpc.aio.Channel:
        return self._channel

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        return self._channel


@pytest.fixture
def provider() -> Iterator[Replay]:
    with Replay() as server:
        yield server


async def tried(account: Account, model: str = "", *declared: str) -> list[ProviderCheck]:
    """Ask the router, which asks the providers service."""
    async with AsyncExitStack() as stack:
        providers, router = InProcessServer([ErrorsInterceptor()]), InProcessServer([ErrorsInterceptor()])
        channels = ToServer(providers)
        settings = ProvidersSettings(accounts={account.name: account})
        hosted = await stack.enter_async_context(providers_app.build(settings, channels))
        hosted.register(providers)
        routed = RoutedProvider(
            name=account.name,
            dialect=account.dialect,
            missing=account.missing,
            models=tuple(DeclaredModel(name=name) for name in declared),
        )
        catalogue = RouterSettings(providers={account.name: routed})
        hosted = await stack.enter_async_context(router_app.build(catalogue, channels))
        hosted.register(router)
        stub = ProviderCatalogServiceStub(router.channel())
        answer = await stub.TestProvider(TryProvider(provider=account.name, model=model))
        return list(answer.checks)


def account(provider: Replay, name: str = "lab", **changes: object) -> Account:
    base = Account(
        name=name, dialect="openai", base_url=provider.base_url(name), api_key=SecretStr(upstream_key(name))
    )
    return base.model_copy(update=changes)


def told(checks: list[ProviderCheck]) -> list[tuple[str, str]]:
    return [
        (
            ProviderCheckKind.Name(each.kind).removeprefix("PROVIDER_CHECK_KIND_"),
            ProviderCheckResult.Name(each.result).removeprefix("PROVIDER_CHECK_RESULT_"),
        )
        for each in checks
    ]


async def test_a_provider_that_works_passes_everything(provider: Replay) -> None:
    provider.answer("lab", "", faults.answer(200, LIST))
    provider.answer("lab", "m", faults.answer(200, ANSWER))
    checks = await tried(account(provider), "m")
    assert told(checks) == [("CONFIGURATION", "PASSED"), ("MODELS", "PASSED"), ("CALL", "PASSED")]
    assert checks[1].message == "2 models: m, n"
    assert checks[2].message == "m answered; tokens: 8 in, 1 out"
    assert checks[2].took.nanos > 0
    listed, called = provider.journal.since()
    assert (listed.method, listed.path) == ("GET", "/v1/models")
    assert called.json["max_tokens"] == 1
    assert not provider.faults


async def test_the_first_configured_model_is_called_where_none_is_named(provider: Replay) -> None:
    provider.answer("lab", "", faults.answer(404, {"error": "no such page"}))
    provider.answer("lab", "declared", faults.answer(200, ANSWER))
    checks = await tried(account(provider), "", "declared", "other")
    assert told(checks) == [("CONFIGURATION", "PASSED"), ("MODELS", "SKIPPED"), ("CALL", "PASSED")]
    provider.answer("lab", "", faults.answer(200, LIST))
    assert told(await tried(account(provider)))[2] == ("CALL", "SKIPPED")


async def test_an_embedding_model_is_asked_for_a_vector(provider: Replay) -> None:
    provider.answer("lab", "", faults.answer(200, LIST))
    provider.answer("lab", "text-embedding-x", faults.answer(200, VECTOR))
    checks = await tried(account(provider), "text-embedding-x")
    assert told(checks)[2] == ("CALL", "PASSED")
    assert provider.journal.since()[-1].path == "/v1/embeddings"


async def test_a_wrong_key_fails_at_the_list_and_no_call_is_made(provider: Replay) -> None:
    provider.answer("lab", "", faults.answer(401, WRONG_KEY))
    checks = await tried(account(provider), "m")
    assert told(checks) == [("CONFIGURATION", "PASSED"), ("MODELS", "FAILED"), ("CALL", "SKIPPED")]
    assert checks[1].error.metadata["provider"] == "lab"
    assert len(provider.journal.since()) == 1


async def test_a_provider_that_lacks_something_is_not_called(provider: Replay) -> None:
    checks = await tried(account(provider, missing=("${KEY} is not set",)), "m")
    assert told(checks) == [("CONFIGURATION", "FAILED"), ("MODELS", "SKIPPED"), ("CALL", "SKIPPED")]
    assert "${KEY} is not set" in checks[0].message
    assert not provider.journal.since()


async def test_a_list_that_is_none_fails(provider: Replay) -> None:
    provider.answer("lab", "", faults.answer(200, {"models": "many"}))
    checks = await tried(account(provider), "m")
    assert told(checks)[1] == ("MODELS", "FAILED")


async def test_the_simulator_passes_and_what_nobody_serves_is_not_found() -> None:
    checks = await tried(Account(name="sim", dialect="sim"), "echo")
    assert {result for _, result in told(checks)} == {"PASSED"}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        server = InProcessServer([ErrorsInterceptor()])
        async with router_app.build(RouterSettings(), ToServer(server)) as hosted:
            hosted.register(server)
            await ProviderCatalogServiceStub(server.channel()).TestProvider(TryProvider(provider="x"))
    assert type(from_rpc_error(caught.value)) is ProviderNotFound
