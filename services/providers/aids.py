"""What every adapter is helped with: URLs its target does not fetch, and tokens its provider does not count."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final, Self

from llmhub.provider.v1.provider_service_pb2 import Endpoint
from services.dialects.codec import ChatCodec
from services.dialects.openai.profile import profile_for
from services.dialects.registry import speech
from services.providers.adapters.counting import CountingAdapter, Reader
from services.providers.adapters.media import ReachingAdapter
from services.providers.codecs import tongue
from services.providers.domain.adapter import Adapter
from services.providers.domain.media import Reach, reach_of
from services.providers.fetch_settings import FetchSettings
from services.providers.fetcher import Fetcher
from services.providers.settings import Account, ProvidersSettings
from services.providers.tokens.counter import Target, TokenCounter
from services.providers.wiring import adapter_for

_READ_BY: Final[dict[int, str]] = {
    Endpoint.ENDPOINT_OPENAI_CHAT: "openai",
    Endpoint.ENDPOINT_OPENAI_RESPONSES: "openai-responses",
    Endpoint.ENDPOINT_ANTHROPIC_MESSAGES: "anthropic",
    Endpoint.ENDPOINT_GEMINI_GENERATE: "gemini",
}
"""Codecs that read the bodies of relayed endpoints."""


class Aids:
    """The helpers of this process, and the factory of adapters that have them."""

    def __init__(self, fetch: FetchSettings) -> None:
        self.fetcher = Fetcher(fetch)
        self.counter = TokenCounter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.counter.close()

    @asynccontextmanager
    async def open(self, account: Account, settings: ProvidersSettings) -> AsyncGenerator[Adapter, None]:
        """Open an account's adapter, helped."""
        async with adapter_for(account, settings) as adapter:
            yield adapter if account.dialect == "sim" else self.help(adapter, account)

    def help(self, adapter: Adapter, account: Account) -> Adapter:
        """Return the adapter with everything it lacks."""
        spoken = speech(account.dialect, account.base_url, account.profile, responses=account.responses)
        host = _host(account)

        @lru_cache(maxsize=256)
        def target(model: str) -> Target:
            return Target(account.name, model, spoken.of(model).codec)

        @lru_cache(maxsize=256)
        def reach(model: str) -> Reach:
            return reach_of(spoken.of(model).codec, host)

        @lru_cache(maxsize=8)
        def codec(name: str) -> ChatCodec:
            return tongue(name, account).chat

        def reader(name: str) -> Reader:
            return lambda body: codec(name).decode_request(body).request

        readers = {endpoint: reader(name) for endpoint, name in _READ_BY.items()}
        reaching = ReachingAdapter(adapter, account.name, reach, self.fetcher)
        return CountingAdapter(reaching, target, self.counter, readers)


def _host(account: Account) -> str:
    """Return what tells apart targets of one codec: a server's profile, or the platform that hosts a dialect."""
    if account.dialect in {"openai", "openai-responses"}:
        return account.profile or profile_for(account.base_url).name
    return account.dialect
