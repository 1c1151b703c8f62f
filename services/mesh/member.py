"""One process of a mesh: some of the services, or the edge."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from services.mesh import host, memory, operator_port, shapes
from services.mesh.front_part import Front
from services.mesh.outboxes import shipping_orphans
from services.mesh.reloading import following
from services.mesh.shapes import Process
from services.mesh.source import Source
from services.runtime.log import get_logger
from services.runtime.process import Lifetime, serve

_LOGGER = get_logger(__name__)


_NOTICE_SECONDS: Final = 3.0
"""More than the edge takes to find a process unwell (it asks every 0.5 s), so that no call meets a closed door."""


async def run(source: Source, process: Process, workers: int | None = None) -> int:
    """Serve until a signal asks to stop, drain, and return the exit code. `workers`: of this machine, if known."""

    @asynccontextmanager
    async def services() -> AsyncGenerator[host.Host, None]:
        if "auth" in process.services:
            await host.first_key(source.config, source.places)
        async with (
            host.hosting(source.config, source.places, process) as running,
            following(source, running.reload),
            shipping_orphans(source.places, running.links, _orphans_from(process, workers)),
            operator_port.serving(source.config, lambda: running.ready, _offset(process, workers)),
        ):
            running.notice = _NOTICE_SECONDS
            yield running

    def parts(_lifetime: Lifetime) -> Sequence[AbstractAsyncContextManager[Any]]:
        return (services(),)

    def started() -> None:
        memory.give_back()
        _LOGGER.info("started", process=process.name, services=list(process.services))

    return await serve(parts, grace=source.config.grace_seconds, started=started)


def _orphans_from(process: Process, workers: int | None) -> int | None:
    """The first worker looks after outboxes that have lost their worker."""
    return workers if "gateway" in process.services and process.worker == 0 else None


def _offset(process: Process, workers: int | None) -> int:
    """With workers on one machine, the control process has the operator's port and each worker one after it."""
    return 0 if workers is None or "gateway" not in process.services else 1 + process.worker


async def run_edge(source: Source) -> int:
    """Run Envoy until a signal asks to stop, drain, and return the exit code."""
    config, places = source.config, source.places
    # A thread per core: the edge has the machine, or its part of it, to itself.
    edge = Front(config, places, shapes.mesh_upstreams(config, places), threads=None)

    def started() -> None:
        _LOGGER.info("started", process="edge", url=edge.url)

    return await serve(
        lambda lifetime: (edge.running(lifetime, wait=False),), grace=config.grace_seconds, started=started
    )
