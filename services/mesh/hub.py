"""The all-in-one shape: five services in this process, and Envoy."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from services.mesh import announce, host, memory, operator_port, shapes
from services.mesh.front_part import Front
from services.mesh.outboxes import shipping_orphans
from services.mesh.reloading import following
from services.mesh.source import Source
from services.runtime.process import Lifetime, serve


class Hub:
    """One run of the all-in-one shape."""

    def __init__(self, source: Source, steps: announce.Steps) -> None:
        self._source = source
        self._steps = steps
        self._shape = shapes.all_in_one(source.places)
        self._front = Front(source.config, source.places, self._shape.upstreams, threads=1)
        self._key: str | None = None

    async def run(self) -> int:
        """Run until a signal asks to stop, drain, and return the exit code."""
        code = await serve(self._parts, grace=self._source.config.grace_seconds, started=self._announce)
        self._steps.say("stopped")
        return code

    def _parts(self, lifetime: Lifetime) -> Sequence[AbstractAsyncContextManager[Any]]:
        return (
            self._front.checking(),
            self._services(),
            self._said(f"starting the edge on {self._front.url}"),
            self._front.running(lifetime),
            self._stopping(),
        )

    @asynccontextmanager
    async def _services(self) -> AsyncGenerator[host.Host, None]:
        source, process = self._source, self._shape.processes[0]
        self._steps.say(f"starting {', '.join(process.services)}")
        self._key = await host.first_key(source.config, source.places)
        async with (
            host.hosting(source.config, source.places, process) as running,
            following(source, running.reload),
            shipping_orphans(source.places, running.links, workers=1),
            operator_port.serving(source.config, lambda: running.ready),
        ):
            yield running

    @asynccontextmanager
    async def _said(self, text: str) -> AsyncGenerator[None, None]:
        self._steps.say(text)
        yield

    @asynccontextmanager
    async def _stopping(self) -> AsyncGenerator[announce.Farewell, None]:
        yield announce.Farewell(self._steps)

    def _announce(self) -> None:
        memory.give_back()
        self._steps.say("ready")
        with contextlib.suppress(BrokenPipeError):
            print(
                announce.ready(self._source.config, self._front.url, self._key, terminal=sys.stdout.isatty()),
                flush=True,
            )
