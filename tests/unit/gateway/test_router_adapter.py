"""Outcomes on their way to the router."""

from __future__ import annotations

import asyncio
from typing import Any

from llmhub.route.v1.route_service_pb2 import (
    ExplainRequest,
    ExplainResponse,
    PlanRequest,
    PlanResponse,
    ReportOutcomeRequest,
    ReportOutcomeResponse,
)
from llmhub.route.v1.route_service_pb2_grpc import RouteServiceServicer, add_RouteServiceServicer_to_server
from llmhub.types.v1.route_pb2 import Outcome
from services.gateway.adapters.router import StubRouter
from services.runtime.in_process import InProcessServer
from services.runtime.metrics import UPSTREAM_ATTEMPTS


class Listener(RouteServiceServicer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def ReportOutcome(self, request: ReportOutcomeRequest, context: Any) -> ReportOutcomeResponse:
        self.told.put_nowait(request.attempt_id)
        return ReportOutcomeResponse()

    async def Plan(self, request: PlanRequest, context: Any) -> PlanResponse:
        raise AssertionError(request)

    async def Explain(self, request: ExplainRequest, context: Any) -> ExplainResponse:
        raise AssertionError(request)


async def test_an_outcome_is_counted_and_told_in_its_order() -> None:
    server, listener = InProcessServer(), Listener()
    add_RouteServiceServicer_to_server(listener, server)
    before = UPSTREAM_ATTEMPTS.value("test-provider", "ok")
    async with StubRouter(server.channel()) as router:
        for name in ("first", "second"):
            router.report(
                ReportOutcomeRequest(attempt_id=name, provider="test-provider", outcome=Outcome.OUTCOME_OK)
            )
        assert [await listener.told.get(), await listener.told.get()] == ["first", "second"]
    assert UPSTREAM_ATTEMPTS.value("test-provider", "ok") == before + 2
