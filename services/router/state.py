"""The router's state: the current snapshot, replaced as a whole, and the targets' health."""

from __future__ import annotations

from services.router.domain.catalog import Snapshot
from services.router.domain.health import Health
from services.runtime.clock import Clock


class RouterState:
    """What planning works on. Reading it never waits."""

    def __init__(self, snapshot: Snapshot, health: Health, clock: Clock) -> None:
        self.snapshot = snapshot
        self.health = health
        self.clock = clock

    def replace(self, snapshot: Snapshot) -> None:
        """Take a new snapshot. Calls that are planned already are not touched."""
        self.snapshot = snapshot
        self.health.keep(frozenset(snapshot.providers))
