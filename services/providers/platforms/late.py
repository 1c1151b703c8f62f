"""An exchange that can only begin when something has been waited for: a token, a signature."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from services.providers.domain.limits import Deadlines
from services.providers.ports import Answer
from services.runtime.errors import UpstreamTimeout

Begin = Callable[[], Awaitable[AbstractAsyncContextManager[Answer]]]


class LateExchange:
    """Waits within the attempt's limits, then is the exchange that `begin` returned."""

    __slots__ = ("_begin", "_deadlines", "_inner", "_provider")

    def __init__(self, provider: str, begin: Begin, deadlines: Deadlines) -> None:
        self._provider = provider
        self._begin = begin
        self._deadlines = deadlines
        self._inner: AbstractAsyncContextManager[Answer] | None = None

    async def __aenter__(self) -> Answer:
        until, phase = self._deadlines.wait(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout_at(until):
                inner = await self._begin()
        except TimeoutError:
            text = f"no credential for {self._provider} was had in time ({phase})"
            raise UpstreamTimeout(text, provider=self._provider, phase=phase) from None
        answer = await inner.__aenter__()
        self._inner = inner
        return answer

    async def __aexit__(self, *error: object) -> None:
        if self._inner is not None:
            await self._inner.__aexit__(*error)  # type: ignore[arg-type]
