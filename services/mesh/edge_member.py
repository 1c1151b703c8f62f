"""The edge as a process of its own in a mesh: supervises Envoy, runs no service."""

from __future__ import annotations

from contextlib import AsyncExitStack

from services.mesh import envoy_process, front, shapes
from services.mesh.hub import ended, unless_now
from services.mesh.signals import handled
from services.mesh.source import Source
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)


async def run(source: Source, threads: int | None = None) -> None:
    """Run Envoy until a signal asks to stop; drain and return. Raises EdgeInvalid, EdgeFailed."""
    config, places = source.config, source.places
    edge = front.plan(config, places, shapes.mesh_upstreams(config, places))
    files = front.write(edge, places)
    with handled() as signals:
        async with AsyncExitStack() as stack:
            await envoy_process.validate(files.config)
            envoy = await stack.enter_async_context(envoy_process.running(files, threads))
            _LOGGER.info("started", process="edge", url=front.base_url(edge))
            await ended(signals, envoy)

            async def gracefully() -> None:
                await envoy.stop_accepting()
                await envoy.until_idle(config.grace_seconds)

            await unless_now(signals, gracefully)
    _LOGGER.info("stopped", process="edge")
