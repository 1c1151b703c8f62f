"""The router's state: the current snapshot, replaced as a whole, and the targets' health."""

from __future__ import annotations

from services.router.adapters.catalog import snapshot
from services.router.domain.catalog import Snapshot
from services.router.domain.health import Health
from services.router.settings import RouterSettings
from services.runtime.clock import Clock


class RouterState:
    """What planning works on. Reading it never waits."""

    def __init__(self, settings: RouterSettings, clock: Clock) -> None:
        self.clock = clock
        self.health = Health(
            failures=settings.failures_to_cool_down,
            cool_down=settings.cool_down,
            max_cool_down=settings.max_cool_down,
        )
        self.snapshot: Snapshot = snapshot(settings, 1)

    def apply(self, settings: RouterSettings) -> None:
        """Take new settings as the next revision. Calls that are planned already are not touched."""
        self.snapshot = snapshot(settings, self.snapshot.revision + 1)
        self.health.keep(frozenset(self.snapshot.providers))
