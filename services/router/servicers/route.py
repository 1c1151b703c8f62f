"""RouteService over the router's state."""

from __future__ import annotations

from typing import Any

import grpc.aio

from llmhub.auth.v1.principal_pb2 import Principal as PrincipalMessage
from llmhub.route.v1 import route_service_pb2 as pb
from llmhub.route.v1.route_service_pb2_grpc import RouteServiceServicer
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import Outcome
from services.router.convert import decision_to_proto, needs_from_proto, plan_to_proto
from services.router.domain import plan as planning
from services.router.domain.catalog import AliasCard, Target
from services.router.domain.plan import Why
from services.router.state import RouterState
from services.runtime import context as ambient
from services.runtime.access import may_use_model
from services.runtime.context import Principal
from services.runtime.errors import (
    LlmhubError,
    ModelDenied,
    ModelNotFound,
    NoTarget,
    OperationUnsupported,
    ProviderNotConfigured,
)

Context = grpc.aio.ServicerContext[Any, Any]

_TARGET_FAULTS = frozenset(
    {
        ErrorReason.ERROR_REASON_UPSTREAM_RATE_LIMITED,
        ErrorReason.ERROR_REASON_UPSTREAM_QUOTA_EXHAUSTED,
        ErrorReason.ERROR_REASON_UPSTREAM_OVERLOADED,
        ErrorReason.ERROR_REASON_UPSTREAM_FAILED,
        ErrorReason.ERROR_REASON_UPSTREAM_UNREACHABLE,
        ErrorReason.ERROR_REASON_UPSTREAM_TIMEOUT,
        ErrorReason.ERROR_REASON_UPSTREAM_PROTOCOL,
    }
)
"""Failures that say something about the target's health."""


class RouteServicer(RouteServiceServicer):
    """Plans calls and learns how they went."""

    def __init__(self, state: RouterState) -> None:
        self._state = state

    async def Plan(self, request: pb.PlanRequest, context: Context) -> pb.PlanResponse:
        """Return the targets of a call in order."""
        snapshot = self._state.snapshot
        plan = self._plan(request.model, request.needs, _principal(request.principal))
        if not plan.targets:
            raise _refusal(plan)
        return plan_to_proto(plan, snapshot)

    async def ReportOutcome(
        self, request: pb.ReportOutcomeRequest, context: Context
    ) -> pb.ReportOutcomeResponse:
        """Learn how an attempt went."""
        target = Target(request.provider, request.model)
        if request.outcome == Outcome.OUTCOME_OK:
            self._state.health.succeeded(target)
        elif request.error.reason in _TARGET_FAULTS:
            delay = request.error.retry_delay
            wait = delay.seconds + delay.nanos / 1e9 if request.error.HasField("retry_delay") else None
            self._state.health.failed(target, self._state.clock.monotonic(), wait)
        return pb.ReportOutcomeResponse()

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """Say how a call would be routed now."""
        caller = ambient.principal.get() or Principal(key_id="")
        plan = self._plan(request.model, request.needs, caller)
        decision = decision_to_proto(plan, self._state.snapshot.revision)
        decision.requested_model = request.model
        return pb.ExplainResponse(decision=decision)

    def _plan(self, model: str, needs: pb.Needs, principal: Principal) -> planning.Plan:
        state = self._state
        alias = state.snapshot.resolve(model)
        if alias is None:
            raise _unknown(model)
        now = state.clock.monotonic()
        return planning.make(
            state.snapshot,
            alias,
            needs_from_proto(needs),
            lambda name: may_use_model(principal, name),
            lambda target: state.health.wait(target, now),
        )


def _principal(message: PrincipalMessage) -> Principal:
    return Principal(key_id=message.key_id, scopes=frozenset(message.scopes), models=tuple(message.models))


def _unknown(model: str) -> LlmhubError:
    text = f"there is no model {model}: write provider/model or the name of an alias"
    return ModelNotFound(text, model=model)


def _refusal(plan: planning.Plan) -> LlmhubError:
    """Return why no target is left; where all are left out for one reason, that reason."""
    alias: AliasCard = plan.alias
    reasons = {why for entry in plan.considered for why, _ in entry.exclusions}
    details = "; ".join(
        f"{entry.target.provider}/{entry.target.model}: {', '.join(text for _, text in entry.exclusions)}"
        for entry in plan.considered
    )
    if reasons == {Why.DENIED}:
        return ModelDenied(f"this key may not use {alias.name}", model=alias.name)
    if reasons == {Why.NOT_CONFIGURED}:
        return ProviderNotConfigured(f"{alias.name} has no configured provider: {details}", model=alias.name)
    if reasons == {Why.OPERATION}:
        return OperationUnsupported(f"{alias.name} cannot do this: {details}", model=alias.name)
    return NoTarget(f"no target of {alias.name} can serve this call: {details}", model=alias.name)
