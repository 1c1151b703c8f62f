"""Large work beside the loop, small work on it."""

import asyncio
import threading

import pytest

from services.runtime.errors import RequestInvalid
from services.runtime.offload import LARGE, by_size


async def test_the_size_decides_where_work_is_done() -> None:
    here = threading.get_ident()
    assert await by_size(LARGE - 1, threading.get_ident) == here
    assert await by_size(LARGE, threading.get_ident) != here


async def test_the_loop_goes_on_beside_large_work() -> None:
    freed = threading.Event()
    working = asyncio.ensure_future(by_size(LARGE, freed.wait, 10))
    await asyncio.sleep(0)
    # On the loop this line would not be reached before the work is done.
    freed.set()
    assert await working is True


@pytest.mark.parametrize("size", [0, LARGE])
async def test_failures_come_back_as_they_are(size: int) -> None:
    def refuse() -> None:
        raise RequestInvalid("no")

    with pytest.raises(RequestInvalid):
        await by_size(size, refuse)
