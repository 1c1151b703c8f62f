"""A mixed load that goes on until it is stopped: whole answers and streams, two doors, callers who hang up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from tests.crash.callers import (
    SECONDS,
    Call,
    Caller,
    End,
    GrpcCaller,
    Leaves,
    OpenAICaller,
    channel_to,
    until_whole,
)
from tests.crash.script import PACED
from tests.support.mesh import Mesh

_MOST: Final = 150
"""Calls of one lane in one round."""
_PAUSE: Final = 0.04
"""Seconds between two calls of a lane, so that two cores are enough for everybody."""
_PAUSE_AFTER_FAILURE: Final = 0.2


def _patient(most: int) -> Leaves:
    """Leave after so many events."""
    return lambda seen: seen >= most


class Load:
    """The callers of a test and all calls they made."""

    def __init__(self, mesh: Mesh, chance: random.Random) -> None:
        self.calls: list[Call] = []
        self._mesh = mesh
        self._chance = chance
        self._begun = asyncio.Event()
        self._stopped = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the load up inside the block, which begins when a first call is done.

        Afterwards every caller has got its answer or an error, or has left.
        """
        self._stopped.clear()
        self._begun.clear()
        async with aiohttp.ClientSession() as session, channel_to(self._mesh) as channel:
            tasks = [
                asyncio.create_task(self._lane(lane))
                for caller in (OpenAICaller(self._mesh, session), GrpcCaller(channel))
                for lane in self._lanes(caller)
            ]
            try:
                async with asyncio.timeout(SECONDS):
                    await self._begun.wait()
                yield
            finally:
                self._stopped.set()
                await asyncio.gather(*tasks)

    async def heal(self) -> None:
        """Return when calls succeed at both doors."""
        async with aiohttp.ClientSession() as session, channel_to(self._mesh) as channel:
            await until_whole(OpenAICaller(self._mesh, session), self.calls)
            await until_whole(GrpcCaller(channel), self.calls)

    def _lanes(self, caller: Caller) -> list[Callable[[], Awaitable[Call]]]:
        chance = self._chance
        return [
            lambda: caller.ask("openai/whole"),
            lambda: caller.ask("openai/slow"),
            lambda: caller.ask(chance.choice(("refused-first", "shed-first"))),
            lambda: caller.stream("openai/paced", lambda _: False),
            lambda: caller.stream("openai/paced", _patient(chance.randrange(1, PACED))),
            lambda: caller.stream("openai/long", lambda _: self._stopped.is_set()),
        ]

    async def _lane(self, call: Callable[[], Awaitable[Call]]) -> None:
        for _ in range(_MOST):
            if self._stopped.is_set():
                return
            done = await call()
            self.calls.append(done)
            self._begun.set()
            await asyncio.sleep(_PAUSE if done.end != End.BROKEN else _PAUSE_AFTER_FAILURE)
