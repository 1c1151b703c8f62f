"""The all-in-one shape: five services in this process, and Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from services.mesh import announce, envoy_process, front, host, shapes
from services.mesh.edge import EdgePlan
from services.mesh.reloading import follow
from services.mesh.signals import Signals, handled
from services.mesh.source import Source

READY_SECONDS: Final = 30.0


class NotReady(Exception):
    """The edge did not become ready in time."""


async def run(source: Source, steps: announce.Steps) -> None:
    """Run until a signal asks to stop; drain and return. Raises EdgeInvalid, EdgeFailed, NotReady, AddressInvalid."""
    config, places = source.config, source.places
    with handled() as signals:
        async with AsyncExitStack() as stack:
            shape = shapes.all_in_one(places)
            edge = front.plan(config, places, shape.upstreams)
            files = front.write(edge, places)
            # Envoy checks its configuration while the services start.
            checked = asyncio.create_task(envoy_process.validate(files.config))
            steps.say("starting auth, billing, providers, router and gateway")
            key = await host.first_key(config, places)
            running = await stack.enter_async_context(host.hosting(config, places, shape.processes[0]))
            steps.say(f"starting the edge on {front.base_url(edge)}")
            await checked
            envoy = await stack.enter_async_context(envoy_process.running(files, concurrency=1))
            if not await became_ready(edge, envoy, signals):
                return
            steps.say("ready")
            print(announce.ready(config, front.base_url(edge), key), flush=True)
            stack.enter_context(follow(source, signals, running.reload))
            await ended(signals, envoy)
            steps.say("stopping: running calls may end (again Ctrl-C to stop at once)")
            await drain(running, envoy, config.grace_seconds, signals)
    steps.say("stopped")


async def became_ready(edge: EdgePlan, envoy: envoy_process.EnvoyProcess, signals: Signals) -> bool:
    """Wait until the edge answers; False if a signal came first. Raises EdgeFailed, NotReady."""
    ready = asyncio.create_task(front.until_ready(edge))
    stop = asyncio.create_task(signals.stop.wait())
    try:
        waits: list[asyncio.Future[Any]] = [ready, stop, envoy.failed]
        await asyncio.wait(waits, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if envoy.failed.done():
            envoy.failed.result()
        if ready.done():
            return True
        if stop.done():
            return False
        raise NotReady(f"the edge did not answer within {READY_SECONDS:.0f} s; see {envoy.log}")
    finally:
        ready.cancel()
        stop.cancel()


async def ended(signals: Signals, *envoys: envoy_process.EnvoyProcess) -> None:
    """Return when a signal asks to stop. Raises EdgeFailed when an Envoy cannot be kept running."""
    stop = asyncio.create_task(signals.stop.wait())
    try:
        waits: list[asyncio.Future[Any]] = [stop, *(envoy.failed for envoy in envoys)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for envoy in envoys:
            if envoy.failed.done():
                envoy.failed.result()
    finally:
        stop.cancel()


async def drain(
    running: host.Host, envoy: envoy_process.EnvoyProcess, grace: float, signals: Signals
) -> None:
    """Close the port, let calls end, flush; a second signal cuts it short."""

    async def gracefully() -> None:
        await envoy.stop_accepting()
        await asyncio.gather(running.drain(grace), envoy.until_idle(grace))

    await unless_now(signals, gracefully)


async def unless_now(signals: Signals, gracefully: Callable[[], Awaitable[None]]) -> None:
    """Run it to its end or to the second signal."""
    work = asyncio.ensure_future(gracefully())
    now = asyncio.create_task(signals.now.wait())
    try:
        await asyncio.wait((work, now), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
    finally:
        now.cancel()
        work.cancel()
