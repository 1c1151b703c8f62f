"""Composition root of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import grpc.aio

from llmhub.completion.v1.completion_service_pb2_grpc import add_CompletionServiceServicer_to_server
from llmhub.embedding.v1.embedding_service_pb2_grpc import add_EmbeddingServiceServicer_to_server
from services.gateway.adapters.open import OpenBudgets, OpenLimiter
from services.gateway.adapters.outbox import OutboxOptions, open_outbox
from services.gateway.adapters.outbox_shipper import shipping
from services.gateway.adapters.peers import StubPeers
from services.gateway.adapters.providers import StubProviders
from services.gateway.adapters.router import StubRouter
from services.gateway.domain.calls import Calls
from services.gateway.domain.pipeline import Pipeline, Rules
from services.gateway.http.app import Door
from services.gateway.http.catalog import Catalog
from services.gateway.http.default_model import DefaultModels
from services.gateway.http.responses.call import Keeping
from services.gateway.http.responses.door import ResponsesDoor
from services.gateway.ports import Authenticator, Peers, ResponseStore
from services.gateway.servicers.completion import CompletionServicer
from services.gateway.servicers.embedding import EmbeddingServicer
from services.gateway.settings import GatewaySettings
from services.runtime.clock import Clock, SystemClock
from services.runtime.metrics import OUTBOX_DEPTH
from services.runtime.service import Channels, Hosted, Registry

if TYPE_CHECKING:
    from services.gateway.adapters.response_store import SqlResponseStore

_ABORT_SECONDS = 1.0
"""How long calls take at most to end once they were told to."""

_FLUSH_SECONDS = 5.0
"""How long a draining gateway waits for billing's ack. What is not acked stays in the outbox for the next start."""


@asynccontextmanager
async def build(
    settings: GatewaySettings,
    channels: Channels,
    authenticator: Authenticator,
    peers: Sequence[grpc.aio.Channel] = (),
) -> AsyncGenerator[Hosted, None]:
    """Open the outbox, recover what a crash left in it, and offer the public services and the HTTP door."""
    clock = SystemClock()
    calls = Calls(max_running=settings.max_running_calls, kept_decisions=settings.kept_decisions)
    async with AsyncExitStack() as stack:
        options = OutboxOptions(synchronous=settings.durability)
        outbox = await stack.enter_async_context(open_outbox(settings.outbox, options))
        stack.callback(OUTBOX_DEPTH.watch(lambda: outbox.stats().depth))
        await stack.enter_async_context(shipping(outbox, channels.to("billing")))
        opened = await stack.enter_async_context(_responses(settings, clock))
        router = await stack.enter_async_context(StubRouter(channels.to("router")))
        pipeline = Pipeline(
            router=router,
            providers=StubProviders(channels),
            meter=outbox,
            limiter=OpenLimiter(),
            budgets=OpenBudgets(),
            calls=calls,
            clock=clock,
            rules=_rules(settings),
        )
        door = _door(
            settings,
            pipeline,
            authenticator,
            channels.to("router"),
            StubPeers(peers),
            Keeping(opened, clock, settings.kept_responses_days, settings.max_body_bytes),
            ready=lambda: outbox.ready and authenticator.ready() and not calls.leaving,
        )

        def register(registry: Registry) -> None:
            completion = CompletionServicer(pipeline, StubPeers(peers))
            add_CompletionServiceServicer_to_server(completion, registry)
            add_EmbeddingServiceServicer_to_server(EmbeddingServicer(pipeline), registry)

        async def drain() -> None:
            try:
                await calls.drain()
            finally:
                calls.abort()

        async def settle() -> None:
            # What the end of the grace cut off is booked and shipped like all else.
            with suppress(TimeoutError):
                async with asyncio.timeout(_ABORT_SECONDS):
                    await calls.drain()
            await outbox.flush(_FLUSH_SECONDS)

        stack.push_async_callback(settle)
        yield Hosted(register=register, drain=drain, leave=calls.leave, http=door)


def _rules(settings: GatewaySettings) -> Rules:
    return Rules(
        max_attempts=settings.max_attempts,
        commit_buffer_bytes=settings.commit_buffer_bytes,
        drain_seconds=settings.drain_seconds,
        max_draining=settings.max_draining,
    )


def _door(
    settings: GatewaySettings,
    pipeline: Pipeline,
    authenticator: Authenticator,
    router: grpc.aio.Channel,
    peers: Peers,
    keeping: Keeping,
    *,
    ready: Callable[[], bool],
) -> Door:
    defaults, limit = DefaultModels(router), settings.max_body_bytes
    background = settings.max_background_responses
    responses = ResponsesDoor(
        pipeline, defaults, peers, keeping, max_body_bytes=limit, max_background=background
    )
    catalog = Catalog(router)
    return Door(pipeline, authenticator, catalog, defaults, responses, max_body_bytes=limit, ready=ready)


@asynccontextmanager
async def _responses(
    settings: GatewaySettings, clock: Clock
) -> AsyncGenerator[Callable[[], ResponseStore], None]:
    """Offer the store of responses; opened with the first, because SQLAlchemy is 15 MB that most never need."""
    made: list[SqlResponseStore] = []

    def opened() -> ResponseStore:
        if not made:
            from services.gateway.adapters.response_store import SqlResponseStore  # noqa: PLC0415

            made.append(SqlResponseStore(settings.responses_url, clock))
        return made[0]

    try:
        yield opened
    finally:
        for store in made:
            await store.close()
