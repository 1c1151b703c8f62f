"""Which targets are cooling down."""

from __future__ import annotations

from dataclasses import dataclass

from services.router.domain.catalog import Target


@dataclass(slots=True)
class _State:
    failures: int = 0
    cool_downs: int = 0
    until: float = 0.0


class Health:
    """Counts failures in a row and takes a target out for a while; the provider's own word on waiting wins.

    Times are seconds on a monotonic clock that the caller reads. Only failures of the provider's side count; a request
    that it rejects says nothing about its health.
    """

    def __init__(self, *, failures: int, cool_down: float, max_cool_down: float) -> None:
        self._failures = failures
        self._cool_down = cool_down
        self._max_cool_down = max_cool_down
        self._states: dict[Target, _State] = {}

    def succeeded(self, target: Target) -> None:
        """Forget what went wrong before."""
        self._states.pop(target, None)

    def failed(self, target: Target, now: float, retry_after: float | None = None) -> None:
        """Note a failure. With `retry_after` the target cools down at once, for that long."""
        state = self._states.setdefault(target, _State())
        state.failures += 1
        if retry_after is not None:
            state.until = max(state.until, now + min(retry_after, self._max_cool_down))
        elif state.failures >= self._failures:
            wait = min(self._cool_down * 2**state.cool_downs, self._max_cool_down)
            state.cool_downs += 1
            state.failures = 0
            state.until = max(state.until, now + wait)

    def wait(self, target: Target, now: float) -> float:
        """Return the seconds until the target may be tried again; 0: now."""
        state = self._states.get(target)
        return max(0.0, state.until - now) if state is not None else 0.0

    def any_cooling(self, provider: str, now: float) -> bool:
        """Tell whether some target of the provider is cooling down."""
        return any(
            target.provider == provider and state.until > now for target, state in self._states.items()
        )

    def keep(self, targets: frozenset[str]) -> None:
        """Forget targets of providers that are no longer in the catalogue."""
        for target in [target for target in self._states if target.provider not in targets]:
            del self._states[target]
