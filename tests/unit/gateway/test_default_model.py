"""A moderation without a model is for the one target that can be meant, or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from services.gateway.http.default_model import DefaultModels
from services.gateway.http.endpoints import ENDPOINTS
from services.router.app import build
from services.router.settings import Alias, RoutedProvider, RouterSettings
from services.runtime.context import Principal
from services.runtime.errors import RequestInvalid
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors.errors import ErrorsInterceptor

MODERATIONS = ENDPOINTS["/v1/moderations"]
DEFAULT = MODERATIONS.default_model


class NoChannels:
    """The router needs no other service."""

    def to(self, service: str) -> grpc.aio.Channel:
        raise AssertionError(service)

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        raise AssertionError(provider)


@asynccontextmanager
async def defaults(providers: Sequence[RoutedProvider], *aliases: Alias) -> AsyncIterator[DefaultModels]:
    settings = RouterSettings(
        providers={each.name: each for each in providers}, aliases={each.name: each for each in aliases}
    )
    server = InProcessServer([ErrorsInterceptor()])
    async with build(settings, NoChannels()) as hosted:
        hosted.register(server)
        yield DefaultModels(server.channel())


def speaks(name: str, dialect: str = "openai", *missing: str) -> RoutedProvider:
    return RoutedProvider(name=name, dialect=dialect, base_url="http://127.0.0.1:1/v1", missing=missing)


async def resolved(providers: Sequence[RoutedProvider], *aliases: Alias, models: tuple[str, ...] = ()) -> str:
    async with defaults(providers, *aliases) as made:
        return await made.resolve(MODERATIONS, Principal(key_id="k", models=models), "token")


async def test_the_only_provider_that_moderates_is_meant() -> None:
    others = [speaks("a", "anthropic"), speaks("b", "sim"), speaks("c", "openai", "C_KEY is not set")]
    assert await resolved([speaks("own"), *others]) == f"own/{DEFAULT}"


async def test_an_alias_of_that_name_is_meant_before_all() -> None:
    alias = Alias(name=DEFAULT, targets=("two/guard",))
    assert await resolved([speaks("one"), speaks("two")], alias) == DEFAULT


async def test_what_the_key_may_not_use_is_not_meant() -> None:
    assert await resolved([speaks("one"), speaks("two")], models=("two/*",)) == f"two/{DEFAULT}"


@pytest.mark.parametrize(
    "providers",
    [[speaks("one"), speaks("two")], [speaks("a", "anthropic")], []],
    ids=["two", "other", "none"],
)
async def test_else_a_model_is_asked_for(providers: list[RoutedProvider]) -> None:
    with pytest.raises(RequestInvalid, match="model: is required") as refused:
        await resolved(providers)
    assert [violation.field for violation in refused.value.violations] == ["model"]
