"""What the gateway needs from the other services and from its disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from llmhub.completion.v1.completion_service_pb2 import (
    CancelRequest,
    GetDecisionRequest,
    GetDecisionResponse,
)
from llmhub.provider.v1.provider_service_pb2 import GenerateStreamResponse, RelayResponse, TimeLimits
from llmhub.route.v1.route_service_pb2 import PlanRequest, PlanResponse, ReportOutcomeRequest, Target
from llmhub.usage.v1.metering_service_pb2 import Finish, Intent, ProgressMark
from services.gateway.domain.kept import KeptResponse
from services.gateway.domain.payload import Payload, Whole
from services.runtime.context import Principal

Piece = GenerateStreamResponse | RelayResponse | Whole
"""A part of an answer: contract events, relayed bytes, or all of it at once. Each has `progress`."""


class Authenticator(Protocol):
    """Says who holds a key."""

    async def authenticate(self, token: str) -> Principal:
        """Return the principal. Raises KeyMissing, KeyInvalid, KeyExpired, KeyRevoked, ServiceUnavailable."""
        ...

    def ready(self) -> bool:
        """Tell whether keys can be verified yet."""
        ...


class Router(Protocol):
    """Decides where a call goes."""

    async def plan(self, request: PlanRequest) -> PlanResponse:
        """Return the targets in order. Raises ModelNotFound, ModelDenied, ProviderNotConfigured, NoTarget."""
        ...

    def report(self, outcome: ReportOutcomeRequest) -> None:
        """Tell how an attempt went. Never waits, never fails."""
        ...


class Providers(Protocol):
    """Carries attempts out."""

    def attempt(
        self, target: Target, attempt_id: str, request_id: str, payload: Payload, limits: TimeLimits
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer's pieces. Raises UPSTREAM_* errors. Closing the generator stops the provider at once."""
        ...


class Peers(Protocol):
    """The other gateway processes of the mesh."""

    async def cancel(self, request: CancelRequest, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        """Ask each to cancel. Raises RequestNotFound when none runs the call."""
        ...

    async def decision(
        self, request: GetDecisionRequest, metadata: Sequence[tuple[str, str | bytes]]
    ) -> GetDecisionResponse:
        """Return the decision from whoever has it. Raises RequestNotFound."""
        ...


class ResponseStore(Protocol):
    """Keeps responses, each for one key. Raises StorageUnavailable when it cannot."""

    async def save(self, kept: KeptResponse) -> None:
        """Keep a response, in place of what was kept under its id."""
        ...

    async def settle(self, kept: KeptResponse) -> bool:
        """Keep the end of a response that ran in the background. False: it has ended already, or was deleted."""
        ...

    async def get(self, key_id: str, response_id: str) -> KeptResponse | None:
        """Return a response of this key that has not expired."""
        ...

    async def chain(self, key_id: str, response_id: str, most_bytes: int) -> list[KeptResponse]:
        """Return a response and those before it, oldest first; empty if one is not there. Raises RequestTooLarge."""
        ...

    async def delete(self, key_id: str, response_id: str) -> bool:
        """Forget a response. False: there was none."""
        ...


class Meter(Protocol):
    """Records attempts durably. Raises StorageUnavailable or Overloaded when it cannot."""

    async def intent(self, event_id: str, intent: Intent) -> None:
        """Return when the intent is on disk."""
        ...

    def sent(self, event_id: str) -> None:
        """Note that the attempt goes out now. Never waits."""
        ...

    def progress(self, event_id: str, mark: ProgressMark) -> None:
        """Note how far an attempt is. Never waits; may be lost in a crash."""
        ...

    async def finish(self, event_id: str, finish: Finish) -> None:
        """Return when the end is on disk."""
        ...


class Admission(Protocol):
    """A granted admission."""

    def release(self) -> None:
        """Give back what the call held."""
        ...


class Limiter(Protocol):
    """Decides whether a call may start (rate limits, concurrency)."""

    async def admit(self, principal: Principal, model: str, estimated_tokens: int) -> Admission:
        """Return the admission or raise RateLimited with retry_after."""
        ...


class Budgets(Protocol):
    """Reserves money for an attempt on every level at once."""

    async def reserve(self, principal: Principal, target: Target, estimated_tokens: int) -> Admission:
        """Return the reservation or raise BudgetExhausted."""
        ...
