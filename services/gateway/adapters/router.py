"""The Router port over RouteService."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

import grpc.aio

from llmhub.route.v1.route_service_pb2 import PlanRequest, PlanResponse, ReportOutcomeRequest
from llmhub.route.v1.route_service_pb2_grpc import RouteServiceStub
from llmhub.types.v1.route_pb2 import Outcome
from services.gateway.adapters.connecting import connected, is_connected
from services.runtime.log import get_logger
from services.runtime.metrics import UPSTREAM_ATTEMPTS
from services.runtime.status import from_rpc_error

log = get_logger(__name__)

_MAX_WAITING = 10_000
_OUTCOMES = {number: name.removeprefix("OUTCOME_").lower() for name, number in Outcome.items()}


class StubRouter:
    """Plans over the stub, and reports outcomes from one task so that no call waits for it; see ports.Router."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = RouteServiceStub(channel)
        self._waiting: deque[ReportOutcomeRequest] = deque(maxlen=_MAX_WAITING)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def plan(self, request: PlanRequest) -> PlanResponse:
        """Return the targets in order."""
        if not is_connected(self._channel):
            await connected(self._channel, "router")
        try:
            return await self._stub.Plan(request)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "router") from None

    def report(self, outcome: ReportOutcomeRequest) -> None:
        """Queue an outcome; the oldest is dropped when the router cannot be reached for long."""
        name = _OUTCOMES.get(outcome.outcome, "unspecified")
        UPSTREAM_ATTEMPTS.add(outcome.provider, name)
        self._waiting.append(outcome)
        self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                outcome = self._waiting.popleft()
                try:
                    await self._stub.ReportOutcome(outcome, timeout=5.0)
                except grpc.aio.AioRpcError as error:
                    log.warning("the router took no outcome", code=str(error.code()))
