"""The time limits of one attempt."""

from __future__ import annotations

from dataclasses import dataclass

from llmhub.provider.v1.provider_service_pb2 import TimeLimits
from services.providers.settings import Limits


@dataclass(slots=True)
class Deadlines:
    """Says how long the next wait may last. Instants are on the loop's clock, durations in seconds.

    The total counts from the start; the first token too, until `first_token_seen`; then the gap between reads.
    """

    connect: float
    first_token_at: float
    inter_token: float
    total_at: float
    first_token_seen: bool = False

    def whole(self) -> None:
        """Wait for a whole answer: nothing of it arrives before it is done, so only the total counts."""
        self.first_token_at = self.total_at

    def wait(self, now: float) -> tuple[float, str]:
        """Return the instant until which a read may wait, and the phase that ends there."""
        if self.first_token_seen:
            at, phase = now + self.inter_token, "inter_token"
        else:
            at, phase = self.first_token_at, "first_token"
        return (at, phase) if at < self.total_at else (self.total_at, "total")


def deadlines(limits: Limits, wanted: TimeLimits, now: float) -> Deadlines:
    """Combine an account's limits with those wanted for this attempt; the caller's win where set."""
    if not wanted.ByteSize():
        return Deadlines(
            connect=min(limits.connect, limits.total),
            first_token_at=now + limits.first_token,
            inter_token=limits.inter_token,
            total_at=now + limits.total,
        )

    def pick(name: str, default: float) -> float:
        if not wanted.HasField(name):  # type: ignore[arg-type]
            return default
        duration = getattr(wanted, name)
        return float(duration.seconds + duration.nanos / 1e9)

    total = min(pick("total", limits.total), limits.total)
    return Deadlines(
        connect=min(pick("connect", limits.connect), total),
        first_token_at=now + pick("first_token", limits.first_token),
        inter_token=pick("inter_token", limits.inter_token),
        total_at=now + total,
    )
