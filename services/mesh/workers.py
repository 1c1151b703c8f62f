"""The shape of one box with many cores: a supervisor, a control process, data-plane workers and Envoy."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

from services.mesh import announce, envoy_process, front, shapes
from services.mesh.children import Child
from services.mesh.hub import NotReady, became_ready, unless_now
from services.mesh.key_file import shown_key
from services.mesh.signals import Signals, handled
from services.mesh.source import Source

_START_SECONDS: Final = 60.0


async def run(source: Source, count: int, steps: announce.Steps) -> None:
    """Run until a signal asks to stop; drain and return. Raises ChildFailed, EdgeInvalid, EdgeFailed, NotReady."""
    config, places = source.config, source.places
    shape = shapes.workers(places, count)
    edge = front.plan(config, places, shape.upstreams)
    files = front.write(edge, places)
    with handled() as signals:
        async with AsyncExitStack() as stack:
            checked = asyncio.create_task(envoy_process.validate(files.config))
            children: dict[str, Child] = {}
            stack.push_async_callback(_end, children, 0.0)
            for process in shape.processes:
                steps.say(f"starting {process.name}: {', '.join(process.services)}")
                children[process.name] = Child(process.name, _arguments(source, process.name, count))
                if process.name == "control" and not await _listening(process, children, signals):
                    return
            for process in shape.processes:
                if not await _listening(process, children, signals):
                    return
            steps.say(f"starting the edge on {front.base_url(edge)}")
            await checked
            envoy = await stack.enter_async_context(
                envoy_process.running(files, concurrency=max(1, (count + 1) // 2))
            )
            if not await became_ready(edge, envoy, signals):
                return
            steps.say("ready")
            print(announce.ready(config, front.base_url(edge), shown_key(config, places)), flush=True)
            await _ended(signals, envoy, children)
            steps.say("stopping: running calls may end (again Ctrl-C to stop at once)")
            await _drain(envoy, children, config.grace_seconds, signals)
    steps.say("stopped")


def _arguments(source: Source, name: str, count: int) -> list[str]:
    arguments = ["serve", "--member", f"{name}/{count}", "--data", str(source.places.data)]
    if source.file is not None:
        arguments += ["--config", str(source.file.absolute())]
    return arguments


async def _listening(process: shapes.Process, children: dict[str, Child], signals: Signals) -> bool:
    """Wait until the process takes calls; False if a signal came first. Raises ChildFailed, NotReady."""
    waits = [
        asyncio.create_task(front.until_listening(address))
        for address in (*process.public, *process.internal, *process.http)
    ]
    all_up = asyncio.gather(*waits)
    stop = asyncio.create_task(signals.stop.wait())
    failed = [child.failed for child in children.values()]
    try:
        parts: list[asyncio.Future[Any]] = [all_up, stop, *failed]
        await asyncio.wait(parts, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for each in failed:
            if each.done():
                each.result()
        if not all_up.done() and not stop.done():
            raise NotReady(f"{process.name} did not start within {_START_SECONDS:.0f} s")
        return all_up.done()
    finally:
        all_up.cancel()
        stop.cancel()


async def _ended(signals: Signals, envoy: envoy_process.EnvoyProcess, children: dict[str, Child]) -> None:
    """Return when a signal asks to stop; pass a wish to reload on. Raises EdgeFailed, ChildFailed."""
    stop = asyncio.create_task(signals.stop.wait())
    reload = asyncio.create_task(signals.reload.wait())
    failures: list[asyncio.Future[None]] = [envoy.failed, *(child.failed for child in children.values())]
    try:
        while not stop.done():
            waits: list[asyncio.Future[Any]] = [stop, reload, *failures]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for failure in failures:
                if failure.done():
                    failure.result()
            if reload.done():
                signals.reload.clear()
                reload = asyncio.create_task(signals.reload.wait())
                for child in children.values():
                    child.reload()
    finally:
        stop.cancel()
        reload.cancel()


async def _drain(
    envoy: envoy_process.EnvoyProcess, children: dict[str, Child], grace: float, signals: Signals
) -> None:
    async def gracefully() -> None:
        await envoy.stop_accepting()
        await _end(children, grace)

    await unless_now(signals, gracefully)


async def _end(children: dict[str, Child], grace: float) -> None:
    """End the workers, then the control process, which they need until their outboxes are empty."""
    data_plane = [child for name, child in children.items() if name != "control"]
    await asyncio.gather(*(child.end(grace) for child in data_plane))
    if (control := children.get("control")) is not None:
        await control.end(grace)
