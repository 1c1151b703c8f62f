"""Tells watchers which keys changed, whoever changed them, soon after the commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from services.auth.ports import KeyStore
from services.runtime.errors import Overloaded, ShuttingDown, StorageUnavailable
from services.runtime.log import get_logger

MAX_WATCHERS: Final = 1000
QUEUE_LENGTH: Final = 64
BATCH: Final = 1000
"""Most keys in one message."""

_LOGGER = get_logger(__name__)


class Watcher:
    """One reader of the feed: iterates over batches of changed keys; an empty one says that nothing is missing."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[str, ...] | Overloaded | ShuttingDown] = asyncio.Queue(QUEUE_LENGTH)
        self.greeted = False

    def offer(self, key_ids: tuple[str, ...]) -> bool:
        """Hand over a batch; False ends a watcher that has left too many unread."""
        try:
            self._queue.put_nowait(key_ids)
        except asyncio.QueueFull:
            self.end(Overloaded("the watcher reads too slowly", resource="key changes"))
            return False
        return True

    def end(self, error: Overloaded | ShuttingDown) -> None:
        """Let the reader see the error next; what it has not read is dropped."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(error)

    async def __aiter__(self) -> AsyncIterator[tuple[str, ...]]:
        while True:
            item = await self._queue.get()
            if not isinstance(item, tuple):
                raise item
            yield item


class KeyFeed:
    """Reads the store's changes each `poll` seconds, at once after `nudge`, and beats each `beat` seconds.

    A beat follows a successful read only, so a watcher that gets none knows that it may be out of date.
    """

    def __init__(self, store: KeyStore, *, poll: float, beat: float) -> None:
        self._store = store
        self._poll = poll
        self._beat = beat
        self._watchers: set[Watcher] = set()
        self._nudged = asyncio.Event()
        self._closed = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[KeyFeed]:
        """Run the feed while the context lasts."""
        task = asyncio.create_task(self._run(await self._store.revision()), name="auth key feed")
        try:
            yield self
        finally:
            self.close()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def watchers(self) -> int:
        """How many read the feed."""
        return len(self._watchers)

    def nudge(self) -> None:
        """Read the changes now."""
        self._nudged.set()

    @contextlib.contextmanager
    def watch(self) -> Iterator[Watcher]:
        """Give a watcher that sees every change committed from now on. Raises Overloaded, ShuttingDown."""
        if self._closed:
            raise ShuttingDown("the process is shutting down")
        if len(self._watchers) >= MAX_WATCHERS:
            raise Overloaded("too many watchers", resource="key watchers")
        watcher = Watcher()
        self._watchers.add(watcher)
        self.nudge()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """End all watchers."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end(ShuttingDown("the process is shutting down"))
        self._watchers.clear()

    async def _run(self, revision: int) -> None:
        loop = asyncio.get_running_loop()
        next_beat = loop.time()
        try:
            while True:
                # Not wait_for: before Python 3.12 it loses a cancellation that meets a nudge, and the end never comes.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._nudged.wait()
                self._nudged.clear()
                # Who comes during the read is served by the next one.
                readers = frozenset(self._watchers)
                try:
                    revision = await self._publish(revision)
                except StorageUnavailable as error:
                    _LOGGER.warning("changes of keys cannot be read", reason=error.reason)
                    continue
                due = loop.time() >= next_beat
                if due:
                    next_beat = loop.time() + self._beat
                self._offer({each for each in readers & self._watchers if due or not each.greeted}, ())
        finally:
            # Without the feed caches must not believe that they are current.
            self.close()

    async def _publish(self, revision: int) -> int:
        """Send what changed after the revision; return the revision that leads to."""
        while True:
            changes = await self._store.changes_since(revision, BATCH)
            revision = changes.revision
            if changes.key_ids:
                self._offer(set(self._watchers), changes.key_ids)
            if len(changes.key_ids) < BATCH:
                return revision

    def _offer(self, watchers: set[Watcher], key_ids: tuple[str, ...]) -> None:
        for watcher in watchers:
            watcher.greeted = watcher.greeted or not key_ids
            if not watcher.offer(key_ids):
                self._watchers.discard(watcher)
