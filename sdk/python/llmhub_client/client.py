"""The client: one method for each public method of the contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from llmhub_client import messages as m
from llmhub_client._generated.google.protobuf import FieldMask
from llmhub_client._generated.llmhub.auth import v1 as auth
from llmhub_client._generated.llmhub.model import v1 as model_v1
from llmhub_client._generated.llmhub.provider import v1 as provider_v1
from llmhub_client._generated.llmhub.route import v1 as route
from llmhub_client._generated.llmhub.usage import v1 as usage_v1
from llmhub_client.connection import Connection
from llmhub_client.stream import AnswerStream

_COMPLETION = "completion.v1.CompletionService"
_KEYS = "auth.v1.KeyService"
_MODELS = "model.v1.ModelService"
_PROVIDERS = "provider.v1.ProviderCatalogService"
_USAGE = "usage.v1.UsageService"

Page = TypeVar("Page", bound=Any)


class Client:
    """An asynchronous client of one llmhub, for any number of calls at once over one connection.

    Make it inside a running event loop and use it as `async with Client(url, api_key) as client`.

    `url` is http://host:port, or https://host:port for TLS; `root_certificates` (PEM) stand in for the system's.
    `timeout` is the deadline of each call in seconds, a stream's whole length included; each method takes its own.
    Of that, connecting may take `connect_timeout` seconds, in which it is tried again and again. Nothing else is
    ever retried: a call that was sent may cost money, and only its caller knows whether to pay twice.

    Every method raises LlmhubError; see llmhub_client.errors for its kinds.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        timeout: float = 600.0,
        connect_timeout: float = 10.0,
        root_certificates: bytes | None = None,
    ) -> None:
        self._connection = Connection(
            url,
            api_key,
            timeout=timeout,
            connect_timeout=connect_timeout,
            root_certificates=root_certificates,
        )
        self._call = self._connection.call

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End running calls and the connection."""
        await self._connection.close()

    # ------------------------------------------------------------------------------------ inference

    async def generate(
        self, request: m.GenerateRequest, *, timeout: float | None = None
    ) -> m.GenerateResponse:
        """Return the whole answer."""
        return await self._call(f"{_COMPLETION}/Generate", request, m.GenerateResponse, timeout)

    def stream(self, request: m.GenerateRequest, *, timeout: float | None = None) -> AnswerStream:
        """Return the answer as a stream; it is sent when the first event is asked for."""
        body = bytes(m.GenerateStreamRequest(request=request))
        method = f"{_COMPLETION}/GenerateStream"
        return AnswerStream(partial(self._connection.open, method, body, timeout))

    async def count_tokens(
        self, request: m.GenerateRequest, *, timeout: float | None = None
    ) -> m.CountTokensResponse:
        """Return how many input tokens the request has, and who counted them."""
        question = m.CountTokensRequest(request=request)
        return await self._call(f"{_COMPLETION}/CountTokens", question, m.CountTokensResponse, timeout)

    async def cancel(self, request_id: str, *, timeout: float | None = None) -> None:
        """End a running call of this key, whoever made it, by the request_id in its request."""
        request = m.CancelRequest(request_id=request_id)
        await self._call(f"{_COMPLETION}/Cancel", request, m.CancelResponse, timeout)

    async def get_decision(self, request_id: str, *, timeout: float | None = None) -> m.Decision:
        """Return how a running or recent call was routed."""
        request = m.GetDecisionRequest(request_id=request_id)
        answer = await self._call(f"{_COMPLETION}/GetDecision", request, m.GetDecisionResponse, timeout)
        return answer.decision or m.Decision()

    async def embed(self, request: m.EmbedRequest, *, timeout: float | None = None) -> m.EmbedResponse:
        """Return one vector for each input, in the order of the inputs."""
        return await self._call("embedding.v1.EmbeddingService/Embed", request, m.EmbedResponse, timeout)

    # ------------------------------------------------------------------------------------ catalogue

    async def get_model(self, model: str, *, timeout: float | None = None) -> m.Model:
        """Return one model or alias."""
        request = model_v1.GetModelRequest(model=model)
        answer = await self._call(f"{_MODELS}/GetModel", request, model_v1.GetModelResponse, timeout)
        return answer.model or m.Model()

    async def list_models(
        self, *, provider: str = "", page_size: int = 0, timeout: float | None = None
    ) -> AsyncGenerator[m.Model]:
        """Yield the models and aliases that the key may use. The deadline is each page's."""
        request = model_v1.ListModelsRequest(provider=provider, page_size=page_size)
        async for page in self._pages(f"{_MODELS}/ListModels", request, model_v1.ListModelsResponse, timeout):
            for model in page.models:
                yield model

    async def get_provider(self, provider: str, *, timeout: float | None = None) -> m.Provider:
        """Return one provider."""
        request = provider_v1.GetProviderRequest(provider=provider)
        answer = await self._call(
            f"{_PROVIDERS}/GetProvider", request, provider_v1.GetProviderResponse, timeout
        )
        return answer.provider or m.Provider()

    async def list_providers(
        self, *, page_size: int = 0, timeout: float | None = None
    ) -> AsyncGenerator[m.Provider]:
        """Yield all providers, the ones not configured included. The deadline is each page's."""
        request = provider_v1.ListProvidersRequest(page_size=page_size)
        answer = provider_v1.ListProvidersResponse
        async for page in self._pages(f"{_PROVIDERS}/ListProviders", request, answer, timeout):
            for provider in page.providers:
                yield provider

    async def test_provider(
        self, provider: str, model: str = "", *, timeout: float | None = None
    ) -> list[m.ProviderCheck]:
        """Try a provider and return what was tried. A call of one token is made to `model`, or the first one known."""
        request = provider_v1.TestProviderRequest(provider=provider, model=model)
        answer = await self._call(
            f"{_PROVIDERS}/TestProvider", request, provider_v1.TestProviderResponse, timeout
        )
        return answer.checks

    async def explain(
        self, model: str, needs: m.Needs | None = None, *, timeout: float | None = None
    ) -> m.Decision:
        """Return how a call would be routed now, without making it."""
        request = route.ExplainRequest(model=model, needs=needs)
        answer = await self._call("route.v1.RouteService/Explain", request, route.ExplainResponse, timeout)
        return answer.decision or m.Decision()

    # ---------------------------------------------------------------------------------------- usage

    async def list_usage(
        self, where: m.UsageFilter | None = None, *, page_size: int = 0, timeout: float | None = None
    ) -> AsyncGenerator[m.UsageRecord]:
        """Yield attempts, newest first. The deadline is each page's."""
        request = usage_v1.ListUsageRequest(filter=where, page_size=page_size)
        async for page in self._pages(f"{_USAGE}/ListUsage", request, usage_v1.ListUsageResponse, timeout):
            for record in page.records:
                yield record

    async def aggregate_usage(
        self,
        group_by: Sequence[m.Dimension],
        where: m.UsageFilter | None = None,
        *,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> AsyncGenerator[m.UsageAggregate]:
        """Yield sums of attempts, by day, key, provider and model. The deadline is each page's."""
        request = usage_v1.AggregateUsageRequest(filter=where, group_by=list(group_by), page_size=page_size)
        answer = usage_v1.AggregateUsageResponse
        async for page in self._pages(f"{_USAGE}/AggregateUsage", request, answer, timeout):
            for aggregate in page.aggregates:
                yield aggregate

    # ----------------------------------------------------------------------------------------- keys

    async def get_key(self, key_id: str, *, timeout: float | None = None) -> m.Key:
        """Return one key, without its secret."""
        request = auth.GetKeyRequest(key_id=key_id)
        return (await self._call(f"{_KEYS}/GetKey", request, auth.GetKeyResponse, timeout)).key or m.Key()

    async def list_keys(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncGenerator[m.Key]:
        """Yield keys, newest first, revoked ones included. The deadline is each page's."""
        request = auth.ListKeysRequest(page_size=page_size)
        async for page in self._pages(f"{_KEYS}/ListKeys", request, auth.ListKeysResponse, timeout):
            for key in page.keys:
                yield key

    async def create_key(
        self, request: m.CreateKeyRequest, *, timeout: float | None = None
    ) -> m.CreateKeyResponse:
        """Make a key. Its secret is in the answer and nowhere else."""
        return await self._call(f"{_KEYS}/CreateKey", request, m.CreateKeyResponse, timeout)

    async def update_key(self, key: m.Key, fields: Sequence[str], *, timeout: float | None = None) -> m.Key:
        """Change the named fields of a key: name, scopes, models, expires_at."""
        request = auth.UpdateKeyRequest(key=key, update_mask=FieldMask(paths=list(fields)))
        answer = await self._call(f"{_KEYS}/UpdateKey", request, auth.UpdateKeyResponse, timeout)
        return answer.key or m.Key()

    async def rotate_key(
        self, key_id: str, *, overlap: timedelta | None = None, timeout: float | None = None
    ) -> m.RotateKeyResponse:
        """Give a key a new secret; the old one stays valid for the overlap."""
        request = auth.RotateKeyRequest(key_id=key_id, overlap=overlap)
        return await self._call(f"{_KEYS}/RotateKey", request, m.RotateKeyResponse, timeout)

    async def revoke_key(self, key_id: str, *, timeout: float | None = None) -> m.Key:
        """End a key for good."""
        request = auth.RevokeKeyRequest(key_id=key_id)
        answer = await self._call(f"{_KEYS}/RevokeKey", request, auth.RevokeKeyResponse, timeout)
        return answer.key or m.Key()

    async def _pages(
        self, method: str, request: Any, answer: type[Page], timeout: float | None
    ) -> AsyncGenerator[Page]:
        while True:
            page: Page = await self._call(method, request, answer, timeout)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
