"""How a call went: noted while it runs, and written down as a Decision only when somebody asks, which is seldom."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmhub.types.v1.error_pb2 import Error
from llmhub.types.v1.route_pb2 import AttemptRecord, Decision
from llmhub.usage.v1.metering_service_pb2 import Finish


@dataclass(frozen=True, slots=True)
class Ended:
    """One attempt that has ended. The messages do not change any more."""

    attempt_id: str
    finish: Finish
    error: Error | None

    def record(self) -> AttemptRecord:
        """Describe the attempt."""
        end = self.finish
        out = AttemptRecord(
            attempt_id=self.attempt_id,
            provider=end.intent.provider,
            model=end.intent.model,
            started_at=end.intent.started_at,
            duration=end.duration,
            outcome=end.outcome,
            error=self.error,
        )
        if end.HasField("first_token"):
            out.first_token.CopyFrom(end.first_token)
        return out


@dataclass(slots=True)
class Trace:
    """Notes on one call. `planned` is the router's own record, which is not changed."""

    began: float = 0.0
    planned: Decision | None = None
    attempts: list[Ended] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)
    """What was reached when; instants on the clock that `began` is on."""

    def decision(self, request_id: str, model: str) -> Decision:
        """Write down what is known now."""
        out = Decision(request_id=request_id, requested_model=model)
        if self.planned is not None:
            out.MergeFrom(self.planned)
        out.attempts.extend(ended.record() for ended in self.attempts)
        last = self.began
        for step, reached in self.steps:
            out.steps.add(step=step).duration.FromNanoseconds(int((reached - last) * 1e9))
            last = reached
        return out

    def served_by(self) -> str:
        """Return provider/model of the last attempt, which is the one that answered; empty without one."""
        if not self.attempts:
            return ""
        intent = self.attempts[-1].finish.intent
        return f"{intent.provider}/{intent.model}"
