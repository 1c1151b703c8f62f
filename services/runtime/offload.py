"""Work on large bodies beside the event loop: other calls go on, if more slowly, while one is taken apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

LARGE: Final = 256 * 1024
"""Bytes from which on the way to a thread and back costs nothing beside the work."""

P = ParamSpec("P")
T = TypeVar("T")


async def by_size(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on so many bytes, in a thread if they are many. The work is not ended with the caller, only finite."""
    if size < LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
