"""Working stand-ins for the gateway's ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1.provider_service_pb2 import (
    GenerateStreamResponse,
    Progress,
    RelayResponse,
    TimeLimits,
)
from llmhub.route.v1.route_service_pb2 import Needs, PlanRequest, PlanResponse, ReportOutcomeRequest, Target
from llmhub.types.v1.stream_pb2 import BlockDelta, Finished, Started, StreamEvent
from llmhub.usage.v1.metering_service_pb2 import Finish, Intent, ProgressMark
from services.gateway.adapters.open import OpenBudgets, OpenLimiter
from services.gateway.domain.call import Ask
from services.gateway.domain.calls import Calls
from services.gateway.domain.payload import Payload, Whole
from services.gateway.domain.pipeline import Pipeline, Rules
from services.gateway.ports import Piece
from services.runtime.clock import SystemClock
from services.runtime.context import Principal
from services.runtime.errors import LlmhubError, ModelNotFound
from services.runtime.ids import new_id
from services.runtime.status import to_message

Step = Piece | LlmhubError | Callable[[], object]
"""What a scripted provider does next: yield a piece, fail, or wait for something."""


class MemoryMeter:
    """Keeps records in memory, in the order in which they became durable."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.intents: dict[str, Intent] = {}
        self.finishes: dict[str, Finish] = {}
        self.marks: list[ProgressMark] = []
        self.gate: asyncio.Event | None = None
        self.refuse: LlmhubError | None = None

    async def intent(self, event_id: str, intent: Intent) -> None:
        if self.refuse is not None:
            raise self.refuse
        if self.gate is not None:
            await self.gate.wait()
        self.intents[event_id] = intent
        self.log.append(("intent", event_id))

    def sent(self, event_id: str) -> None:
        self.log.append(("sent", event_id))

    def progress(self, event_id: str, mark: ProgressMark) -> None:
        self.marks.append(mark)
        self.log.append(("progress", event_id))

    async def finish(self, event_id: str, finish: Finish) -> None:
        assert event_id not in self.finishes, "an attempt ends once"
        self.finishes[event_id] = finish
        self.log.append(("finish", event_id))


class ListRouter:
    """Plans a fixed list of targets per model."""

    def __init__(self, models: dict[str, Sequence[Target]]) -> None:
        self.models = models
        self.reports: list[ReportOutcomeRequest] = []

    async def plan(self, request: PlanRequest) -> PlanResponse:
        if request.model not in self.models:
            raise ModelNotFound(f"there is no model {request.model}", model=request.model)
        return PlanResponse(targets=self.models[request.model])

    def report(self, outcome: ReportOutcomeRequest) -> None:
        self.reports.append(outcome)


@dataclass
class ScriptedProviders:
    """Plays one script per provider and notes what became of each attempt."""

    scripts: dict[str, list[Step]]
    started: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    limits: list[TimeLimits] = field(default_factory=list)

    async def attempt(
        self, target: Target, attempt_id: str, request_id: str, payload: Payload, limits: TimeLimits
    ) -> AsyncGenerator[Piece, None]:
        self.started.append(target.provider)
        self.limits.append(limits)
        try:
            for step in self.scripts[target.provider]:
                if isinstance(step, LlmhubError):
                    raise step
                if callable(step):
                    waiting = step()
                    if asyncio.iscoroutine(waiting):
                        await waiting
                    continue
                yield step
        finally:
            self.closed.append(target.provider)


def text(words: str, characters: int = 0) -> GenerateStreamResponse:
    """A piece with content; `characters` is the running total."""
    event = StreamEvent(block_delta=BlockDelta(text=words))
    return GenerateStreamResponse(
        events=[event], progress=Progress(content=True, output_characters=characters or len(words))
    )


def end(progress: Progress | None = None) -> GenerateStreamResponse:
    """The proper end of a stream."""
    news = Progress(complete=True)
    news.MergeFrom(progress or Progress())
    return GenerateStreamResponse(events=[StreamEvent(finished=Finished(complete=True))], progress=news)


def opening() -> GenerateStreamResponse:
    """A piece before any content."""
    return GenerateStreamResponse(events=[StreamEvent(started=Started())], progress=Progress())


def whole(progress: Progress) -> Whole:
    """A whole answer."""
    return Whole(GenerateResponse(), progress)


def refused_relay(error: LlmhubError, body: bytes) -> RelayResponse:
    """A provider's own refusal, as relayed."""
    piece = RelayResponse(data=body)
    piece.head.status = 400
    piece.head.error.CopyFrom(to_message(error))
    return piece


def relayed(data: bytes, *, content: bool = False, error: LlmhubError | None = None) -> RelayResponse:
    """A piece of a relayed stream."""
    piece = RelayResponse(
        data=data, progress=Progress(content=content, output_characters=5 if content else 0)
    )
    if error is not None:
        piece.progress.error.CopyFrom(to_message(error))
    return piece


def pipeline(
    scripts: dict[str, list[Step]],
    *,
    max_attempts: int = 4,
    drain_seconds: float = 5.0,
    reads_on: bool = False,
) -> tuple[Pipeline, MemoryMeter, ScriptedProviders]:
    """A pipeline whose model `m` goes to every scripted provider in turn."""
    targets = [
        Target(provider=name, model="x", dialect="sim", bills_after_cancel=reads_on) for name in scripts
    ]
    meter, providers = MemoryMeter(), ScriptedProviders(scripts)
    made = Pipeline(
        router=ListRouter({"m": targets}),
        providers=providers,
        meter=meter,
        limiter=OpenLimiter(),
        budgets=OpenBudgets(),
        calls=Calls(max_running=100, kept_decisions=10),
        clock=SystemClock(),
        rules=Rules(max_attempts, 1024, drain_seconds, 10),
    )
    return made, meter, providers


def ask(payload: Payload, *, model: str = "m", key: str = "k1", deadline: float | None = None) -> Ask:
    """A question of one key."""
    return Ask(
        request_id=new_id(),
        principal=Principal(key_id=key),
        model=model,
        operation="generate",
        door="grpc",
        needs=Needs(),
        input_size=400,
        payload=lambda _: payload,
        deadline=deadline,
    )
