"""One call while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from llmhub.provider.v1.provider_service_pb2 import Progress
from llmhub.route.v1.route_service_pb2 import Needs, Target
from llmhub.types.v1.route_pb2 import Decision
from llmhub.usage.v1.metering_service_pb2 import Intent
from services.gateway.domain.payload import Payload
from services.gateway.domain.trace import Trace
from services.runtime.context import Principal
from services.runtime.errors import LlmhubError


@dataclass(frozen=True, slots=True)
class Ask:
    """What a door hands to the pipeline.

    `payload` gives the form of the call for a target, so that an alias may mix dialects: relayed where the target
    speaks the door's dialect, translated where it does not. `deadline` is an instant on the loop's clock.
    """

    request_id: str
    principal: Principal
    model: str
    operation: str
    door: str
    needs: Needs
    input_size: int
    """Bytes of the input, from which its tokens are guessed."""
    payload: Callable[[Target], Payload]
    deadline: float | None = None
    trace: Trace = field(default_factory=Trace)
    """Filled in while the call runs."""

    @property
    def decision(self) -> Decision:
        """How the call was routed, as far as it has come."""
        return self.trace.decision(self.request_id, self.model)


@dataclass(slots=True)
class AttemptState:
    """One attempt while it runs. Instants are on the wall clock (`started_at`) or the loop's clock."""

    attempt_id: str
    number: int
    target: Target
    started_at: float
    began: float
    progress: Progress = field(default_factory=Progress)
    intent: Intent | None = None
    first_token: float | None = None
    marked_at: float = 0.0
    marked_characters: int = 0
    final: bool = True
    """No other target is left."""
    sent: bool = False
    answered: bool = False
    """A first piece has come."""
    committed: bool = False
    finished: bool = False
    told: bool = False
    """The provider reported its failure in the caller's own dialect, and that goes through as it is."""


@dataclass(slots=True)
class RunningCall:
    """A call in the registry: whose it is and how to end it."""

    ask: Ask
    task: asyncio.Task[object] | None
    ended_by: LlmhubError | None = None
    timer: asyncio.TimerHandle | None = None

    def end(self, error: LlmhubError) -> None:
        """Stop the call; its door answers with this error. A second reason changes nothing."""
        if self.ended_by is None and self.task is not None and not self.task.done():
            self.ended_by = error
            self.task.cancel()
