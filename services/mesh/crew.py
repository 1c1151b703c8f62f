"""The shape of one box with many cores: this supervisor, a control process, data-plane workers and Envoy."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from services.mesh import announce, front, shapes
from services.mesh.children import Child
from services.mesh.front_part import Front, NotReady
from services.mesh.key_file import shown_key
from services.mesh.reloading import obeying
from services.mesh.source import Source
from services.runtime.process import Lifetime, serve

_START_SECONDS: Final = 60.0


class Family:
    """The child processes."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}

    async def drain(self, grace: float) -> None:
        """End the workers, then the control process, which they need until their outboxes are empty."""
        workers = [child for name, child in self.children.items() if name != "control"]
        await asyncio.gather(*(child.end(grace) for child in workers))
        if (control := self.children.get("control")) is not None:
            await control.end(grace)

    def reload(self) -> None:
        """Ask each to read the configuration again."""
        for child in self.children.values():
            child.reload()


class Crew:
    """One run of the shape with workers."""

    def __init__(self, source: Source, workers: int, steps: announce.Steps) -> None:
        self._source = source
        self._count = workers
        self._steps = steps
        self._shape = shapes.workers(source.places, workers)
        # An edge thread carries about as much as two workers.
        self._front = Front(source.config, source.places, self._shape.upstreams, (workers + 1) // 2)

    async def run(self) -> int:
        """Run until a signal asks to stop, drain, and return the exit code."""
        grace = self._source.config.grace_seconds
        # Each child drains within the grace by itself; the edge before them.
        code = await serve(self._parts, grace=2 * grace, started=self._announce)
        self._steps.say("stopped")
        return code

    def _parts(self, lifetime: Lifetime) -> Sequence[AbstractAsyncContextManager[Any]]:
        return (self._front.checking(), self._processes(lifetime), self._edge(lifetime), self._stopping())

    @asynccontextmanager
    async def _processes(self, lifetime: Lifetime) -> AsyncGenerator[Family, None]:
        family = Family()
        try:
            for process in self._shape.processes:
                self._steps.say(f"starting {process.name}: {', '.join(process.services)}")
                child = family.children[process.name] = Child(process.name, self._arguments(process.name))
                lifetime.guard(child.keeping)
            await self._until_listening(family)
            with obeying(family.reload):
                yield family
        finally:
            await family.drain(0.0)

    def _arguments(self, name: str) -> list[str]:
        source = self._source
        arguments = ["serve", "--member", f"{name}/{self._count}", "--data", str(source.places.data)]
        if source.file is not None:
            arguments += ["--config", str(source.file.absolute())]
        return arguments

    async def _until_listening(self, family: Family) -> None:
        waits = [
            front.until_listening(address)
            for process in self._shape.processes
            for address in (*process.public, *process.internal, *process.http)
        ]
        listening = asyncio.gather(*waits)
        parts: list[asyncio.Future[Any]] = [listening, *(child.keeping for child in family.children.values())]
        try:
            await asyncio.wait(parts, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for child in family.children.values():
                if child.keeping.done():
                    child.keeping.result()
            if not listening.done():
                raise NotReady(f"the processes did not start within {_START_SECONDS:.0f} s")
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    @asynccontextmanager
    async def _edge(self, lifetime: Lifetime) -> AsyncGenerator[Any, None]:
        self._steps.say(f"starting the edge on {self._front.url}")
        async with self._front.running(lifetime) as envoy:
            yield envoy

    @asynccontextmanager
    async def _stopping(self) -> AsyncGenerator[announce.Farewell, None]:
        yield announce.Farewell(self._steps)

    def _announce(self) -> None:
        config = self._source.config
        self._steps.say("ready")
        with contextlib.suppress(BrokenPipeError):
            key = shown_key(config, self._source.places)
            print(announce.ready(config, self._front.url, key, terminal=sys.stdout.isatty()), flush=True)
