"""The edge as a part of a process: checked while other parts start, run behind them, drained before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from services.mesh import envoy_process, front
from services.mesh.config import Config
from services.mesh.places import Places
from services.mesh.shapes import Addresses
from services.runtime.process import Lifetime

_READY_SECONDS: Final = 30.0


class NotReady(Exception):
    """Something did not start in time."""


class Front:
    """The edge of this process."""

    def __init__(
        self, config: Config, places: Places, upstreams: Mapping[str, Addresses], threads: int | None
    ) -> None:
        self.edge = front.plan(config, places, upstreams)
        self.url = front.base_url(self.edge)
        self._files = front.write(self.edge, places)
        self._threads = threads
        self._checked: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def checking(self) -> AsyncGenerator[None, None]:
        """Have Envoy check its configuration in the meantime."""
        self._checked = asyncio.create_task(envoy_process.validate(self._files.config))
        try:
            yield
        finally:
            self._checked.cancel()
            await asyncio.gather(self._checked, return_exceptions=True)

    @asynccontextmanager
    async def running(
        self, lifetime: Lifetime, *, wait: bool = True
    ) -> AsyncGenerator[envoy_process.EnvoyProcess, None]:
        """Run Envoy, from the moment in which it answers if asked to wait. Raises EdgeInvalid, EdgeFailed, NotReady."""
        if self._checked is None:
            await envoy_process.validate(self._files.config)
        else:
            await self._checked
        async with envoy_process.running(self._files, self._threads) as envoy:
            if wait:
                await self._until_ready(envoy)
            lifetime.guard(envoy.keeping)
            yield envoy

    async def _until_ready(self, envoy: envoy_process.EnvoyProcess) -> None:
        ready = asyncio.create_task(front.until_ready(self.edge))
        waits: list[asyncio.Future[Any]] = [ready, envoy.keeping]
        try:
            await asyncio.wait(waits, timeout=_READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if envoy.keeping.done():
                envoy.keeping.result()
            if not ready.done():
                raise NotReady(f"the edge did not answer within {_READY_SECONDS:.0f} s; its log: {envoy.log}")
        finally:
            ready.cancel()
