"""One process of a mesh, from its start to its end."""

from __future__ import annotations

from services.mesh import host
from services.mesh.hub import unless_now
from services.mesh.reloading import follow
from services.mesh.shapes import Process
from services.mesh.signals import handled
from services.mesh.source import Source
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)


async def run(source: Source, process: Process) -> None:
    """Serve until a signal asks to stop; drain and return. Raises AddressInvalid, PepperError."""
    with handled() as signals:
        if "auth" in process.services:
            await host.first_key(source.config, source.places)
        async with host.hosting(source.config, source.places, process) as running:
            _LOGGER.info("started", process=process.name, services=process.services)
            with follow(source, signals, running.reload):
                await signals.stop.wait()
            _LOGGER.info("stopping", process=process.name, grace_seconds=source.config.grace_seconds)
            await unless_now(signals, lambda: running.drain(source.config.grace_seconds))
    _LOGGER.info("stopped", process=process.name)
