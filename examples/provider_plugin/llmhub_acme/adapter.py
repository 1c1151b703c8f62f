"""The adapter: one account at Acme, open for as long as llmhub uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub_acme.wire import StreamReader, read_answer, read_failure, write_request
from services.providers.plugin import (
    Account,
    Adapter,
    Answer,
    Deadlines,
    HttpTransport,
    PluginAdapter,
    Transport,
    deadlines,
)
from services.runtime.errors import ProviderNotConfigured


@asynccontextmanager
async def acme(account: Account) -> AsyncGenerator[Adapter, None]:
    """Open an account; the entry point names this function. What is opened here is closed when the account goes."""
    if account.api_key is None or not account.base_url:
        raise ProviderNotConfigured("base_url and api_key are needed", provider=account.name)
    async with HttpTransport(
        account.name, max_connections=account.max_connections, max_response_bytes=16 * 1024 * 1024
    ) as transport:
        yield AcmeAdapter(account, transport)


class AcmeAdapter(PluginAdapter):
    """Generates, whole and streamed; all else PluginAdapter refuses."""

    def __init__(self, account: Account, transport: Transport) -> None:
        super().__init__(account)
        self._transport = transport
        self._suffix = str(account.options.get("suffix", ""))
        key = account.api_key.get_secret_value() if account.api_key else ""
        self._headers: Mapping[str, str] = {"content-type": "application/json", "x-acme-key": key}

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        attempt = request.attempt
        body, warnings = write_request(request.request, attempt.model, self._suffix, stream=False)
        limits = self._limits(attempt)
        limits.whole()
        async with self._post(body, limits) as answer:
            data = await answer.read()
        if answer.status >= 400:
            raise read_failure(answer.status, data, self.account.name)
        response = read_answer(data, attempt.model)
        response.warnings.extend(warnings)
        return pb.GenerateResponse(response=response)

    async def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call. llmhub numbers the events, and notices a stream that stops before its end."""
        attempt = request.attempt
        body, warnings = write_request(request.request, attempt.model, self._suffix, stream=True)
        reader = StreamReader(attempt.model, warnings)
        limits = self._limits(attempt)
        async with self._post(body, limits) as answer:
            if answer.status >= 400:
                raise read_failure(answer.status, await answer.read(), self.account.name)
            async for data in answer.chunks():
                if events := reader.feed(data):
                    limits.first_token_seen = True
                    yield pb.GenerateStreamResponse(events=events)

    def _limits(self, attempt: pb.Attempt) -> Deadlines:
        return deadlines(self.account.limits, attempt.limits, asyncio.get_running_loop().time())

    def _post(self, body: bytes, limits: Deadlines) -> AbstractAsyncContextManager[Answer]:
        url = f"{self.account.base_url.rstrip('/')}/complete"
        return self._transport.post(url, self._headers, body, limits)
