"""Reading an answer on after its caller left, where the provider charges for all of it anyway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from llmhub.provider.v1.provider_service_pb2 import Progress
from services.gateway.domain.calls import Calls
from services.gateway.domain.progress import absorb
from services.gateway.ports import Piece
from services.runtime.errors import LlmhubError


class Patience(Protocol):
    """How long and how many answers are read on."""

    @property
    def drain_seconds(self) -> float:
        """Longest time for one answer."""
        ...

    @property
    def max_draining(self) -> int:
        """Most answers at once; beyond it an answer is dropped and its usage estimated."""
        ...


async def read_on(
    stream: AsyncGenerator[Piece, None],
    calls: Calls,
    patience: Patience,
    book: Callable[[Progress], Awaitable[None]],
) -> AsyncGenerator[Piece, None]:
    """Pass pieces on; when the reader leaves early, read the rest within the patience and book it.

    Each read is a task of its own, so that the caller's cancellation does not reach the provider.
    """
    read: asyncio.Task[Piece] | None = None
    try:
        while True:
            read = asyncio.ensure_future(anext(stream))
            try:
                piece = await asyncio.shield(read)
            except StopAsyncIteration:
                return
            read = None
            yield piece
    except LlmhubError:
        await stream.aclose()
        raise
    except BaseException:
        calls.later(_read_rest(stream, read, calls, patience, book))
        raise


async def _read_rest(
    stream: AsyncGenerator[Piece, None],
    read: asyncio.Task[Piece] | None,
    calls: Calls,
    patience: Patience,
    book: Callable[[Progress], Awaitable[None]],
) -> None:
    progress = Progress()
    try:
        if calls.background <= patience.max_draining:
            async with asyncio.timeout(patience.drain_seconds), aclosing(stream):
                if read is not None:
                    absorb(progress, (await read).progress)
                async for piece in stream:
                    absorb(progress, piece.progress)
    except (LlmhubError, TimeoutError, StopAsyncIteration):
        pass
    finally:
        if read is not None and not read.done():
            read.cancel()
        await book(progress)
