"""A process from start to exit code: parts start in order, and end in reverse when a signal or a defect asks."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from services.runtime.log import get_logger

T = TypeVar("T")

_CLOSE_SECONDS: Final = 10.0
_YOUNG_OBJECTS: Final = 10_000
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# `timeout`, shells and make signal the process and its group: what comes together is one wish.
_ONE_WISH_SECONDS: Final = 0.2
_LOGGER = get_logger(__name__)


@runtime_checkable
class Drainable(Protocol):
    """What a part may yield, if it has calls to end before it is closed."""

    async def drain(self, grace: float) -> None:
        """Take nothing new, and return when what runs has ended or `grace` seconds have passed."""
        ...


class Lifetime:
    """Ends the process: by a signal, or because something failed without which it is of no use."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.started = False
        self.asked_at = 0.0
        self._ended = asyncio.Event()

    @property
    def ending(self) -> bool:
        """Whether the end has begun."""
        return self._ended.is_set()

    def stop(self) -> None:
        """Begin to drain; without effect if that has begun."""
        self._ended.set()

    def fail(self) -> None:
        """Begin to drain, and exit with 1."""
        self.exit_code = 1
        self._ended.set()

    async def ended(self) -> None:
        """Return when the process is to drain."""
        await self._ended.wait()

    def guard(self, task: asyncio.Task[Any]) -> None:
        """Fail if the task ends before the process does, unless it was cancelled."""

        def check(task: asyncio.Task[Any]) -> None:
            if task.cancelled() or (self._ended.is_set() and task.exception() is None):
                return
            _LOGGER.error("a task of the process ended", process=task.get_name(), exc_info=task.exception())
            self.fail()

        task.add_done_callback(check)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a uvloop of its own, where there is one; errors of forgotten tasks are logged as ours are."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.get_loop().set_exception_handler(_log_unhandled)
        return runner.run(main)


async def serve(
    parts: Callable[[Lifetime], Sequence[AbstractAsyncContextManager[Any]]],
    *,
    grace: float,
    started: Callable[[], object] = lambda: None,
) -> int:
    """Start the parts in order, wait for the end, drain in reverse within `grace` seconds, close; return the exit code.

    SIGTERM and SIGINT ask for the end, also during the start. A later one exits at once with 128 + its number.
    """
    lifetime = Lifetime()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _signalled, lifetime, number)
    life = asyncio.create_task(_live(lifetime, parts(lifetime), grace, started), name="process")
    ended = asyncio.create_task(lifetime.ended())
    try:
        await asyncio.wait((life, ended), return_when=asyncio.FIRST_COMPLETED)
        if not lifetime.started:
            life.cancel()
        await asyncio.wait((life,))
        if not life.cancelled():
            life.result()
        return lifetime.exit_code
    finally:
        ended.cancel()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _live(
    lifetime: Lifetime,
    parts: Sequence[AbstractAsyncContextManager[Any]],
    grace: float,
    started: Callable[[], object],
) -> None:
    async with AsyncExitStack() as stack:
        entered = [await stack.enter_async_context(part) for part in parts]
        lifetime.started = True
        # What lives since the start is never garbage: collections pass over it from now on. Calls make hardly any
        # cycles, so a collection may wait until there are a few dozen calls' objects to look at instead of one's.
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
        started()
        await lifetime.ended()
        await _drain(entered, grace)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await stack.aclose()
        except TimeoutError:
            _LOGGER.warning("not everything was closed in time")


async def _drain(entered: list[Any], grace: float) -> None:
    deadline = asyncio.get_running_loop().time() + grace
    for part in reversed(entered):
        if isinstance(part, Drainable):
            remaining = max(0.0, deadline - asyncio.get_running_loop().time())
            try:
                # A part that does not keep to its time is not waited for.
                async with asyncio.timeout(remaining + 1.0):
                    await part.drain(remaining)
            except Exception:
                _LOGGER.exception("a part did not drain", process=type(part).__name__)


def _signalled(lifetime: Lifetime, number: signal.Signals) -> None:
    now = asyncio.get_running_loop().time()
    if lifetime.asked_at and now - lifetime.asked_at < _ONE_WISH_SECONDS:
        return
    if lifetime.ending:
        _LOGGER.warning("asked twice to stop: stopping at once", signal=number.name)
        sys.stderr.flush()
        os._exit(128 + number)
    _LOGGER.info("stopping", signal=number.name)
    lifetime.asked_at = now
    lifetime.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _log_unhandled(_loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
    _LOGGER.error(str(details.get("message", "unhandled error")), exc_info=details.get("exception"))
