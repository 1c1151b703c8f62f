"""The durable outbox: what a gateway owes to billing is on local disk before it happens."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmhub.usage.v1.metering_service_pb2 import Finish, Intent, ProgressMark
from services.gateway.adapters.outbox_file import Batch, OutboxFile, OutboxReader, Synchronous
from services.gateway.adapters.outbox_marks import SLOT, SentMarks
from services.gateway.adapters.outbox_recovery import LostAttempt, finish_of, lost_attempts
from services.gateway.adapters.outbox_writer import (
    BATCH_RECORDS,
    Body,
    OpenAttempts,
    OutboxWriter,
    Record,
    compose,
)
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Overloaded, ShuttingDown, StorageUnavailable
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    """How durable, and how much may wait. Limits count records, `tail_bytes` what is kept for the shipper in memory."""

    synchronous: Synchronous = "full"
    queue_limit: int = 8192
    open_limit: int = 16384
    tail_bytes: int = 1 << 22
    ballast_bytes: int = 1 << 24
    linger_seconds: float = 0.02
    trim_seconds: float = 1.0
    probe_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """For metrics. `depth` counts durable records that billing has not acknowledged; times are in seconds."""

    depth: int
    queued: int
    open_attempts: int
    oldest_age: float
    ack_lag: float
    last_sequence: int
    acknowledged: int
    recovered: int
    ready: bool


class Outbox:
    """One gateway process's usage records, in one SQLite file. All methods belong to the event loop's thread.

    `intent`, `finish` and `record` return when the record is durable and raise StorageUnavailable where it is not.
    Messages that were handed over must not change any more.
    """

    def __init__(
        self, file: OutboxFile, reader: OutboxReader, marks: SentMarks, options: OutboxOptions, clock: Clock
    ):
        self.producer_id = file.producer_id
        self.last_sequence = file.last_sequence
        self.acknowledged = file.acknowledged
        self.recovered_attempts = 0
        self._file = file
        self._reader = reader
        self._marks = marks
        self._options = options
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._writer = OutboxWriter(
            file, _Relay(self._loop, self), clock, OpenAttempts(), options.probe_seconds
        )
        self._ready = True
        self._closing = False
        self._open: dict[str, int] = {}
        self._outgoing: list[Record] = []
        self._scheduled = False
        self._linger: asyncio.TimerHandle | None = None
        self._trim_timer: asyncio.TimerHandle | None = None
        self._backlog = 0
        self._tail: deque[Batch] = deque()
        self._tail_bytes = 0
        self._written: deque[tuple[int, float]] = deque()
        self._ack_lag = 0.0
        self._news = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def ready(self) -> bool:
        """Whether new attempts can be recorded."""
        return self._ready and not self._closing

    async def intent(self, event_id: str, intent: Intent) -> None:
        """Record that an attempt is about to be sent. Raises Overloaded or StorageUnavailable: then do not send it.

        Where the wait is cancelled the record may still become durable: finish the attempt as not sent.
        """
        self._admit()
        if len(self._open) >= self._options.open_limit:
            raise Overloaded("too many attempts are running", resource="outbox")
        if len(event_id) > SLOT or not event_id.isascii():
            raise ValueError(f"an event id is at most {SLOT} ASCII characters: {event_id!r}")
        self._open[event_id] = intent.started_at.seconds
        await self._enqueue("intent", event_id, intent)

    def sent(self, event_id: str) -> None:
        """Note that the provider may have got the attempt. Survives the death of the process."""
        self._marks.add(event_id)

    def progress(self, event_id: str, mark: ProgressMark) -> None:
        """Record how far an attempt has come, with the next batch and at the latest after the linger time."""
        if event_id not in self._open or self._backlog >= self._options.queue_limit or not self._ready:
            return
        self._outgoing.append(("progress", event_id, mark, None))
        self._backlog += 1
        if not self._scheduled and self._linger is None:
            self._linger = self._loop.call_later(self._options.linger_seconds, self._hand_over)

    async def finish(self, event_id: str, finish: Finish) -> None:
        """Record an attempt's end. Where StorageUnavailable is raised it is kept and written when writes work again."""
        self._open.pop(event_id, None)
        await self._enqueue("finish", event_id, finish)

    async def record(self, event_id: str, finish: Finish) -> None:
        """Record, in one step, an attempt that was refused or never sent. Raises as `intent`."""
        self._admit()
        await self._enqueue("finish", event_id, finish)

    def acknowledge(self, sequence: int) -> None:
        """Billing has every record up to this number; they are trimmed a little later."""
        sequence = min(sequence, self.last_sequence)
        if sequence <= self.acknowledged:
            return
        self.acknowledged = self._writer.acknowledged = sequence
        while self._tail and self._tail[0].last <= sequence:
            self._tail_bytes -= len(self._tail.popleft().records)
        now = self._clock.now()
        while self._written and self._written[0][0] <= sequence:
            self._ack_lag = max(0, now - self._written.popleft()[1])
        if self._trim_timer is None:
            self._trim_timer = self._loop.call_later(self._options.trim_seconds, self._ask_for_trim)
        self._wake_waiters()

    async def wait_beyond(self, sequence: int) -> None:
        """Wait until a record with a higher number is durable."""
        while self.last_sequence <= sequence:
            self._news.clear()
            await self._news.wait()

    async def batches_after(self, sequence: int) -> list[Batch]:
        """Batches with the records after a number, at most one batch above 500 records' worth, oldest first."""
        if self._tail and self._tail[0].first <= sequence + 1:
            chosen: list[Batch] = []
            for batch in self._tail:
                if batch.last <= sequence:
                    continue
                if chosen and batch.last - chosen[0].first >= BATCH_RECORDS:
                    break
                chosen.append(batch)
            return chosen
        return await asyncio.to_thread(self._reader.after, sequence, BATCH_RECORDS)

    async def flush(self, timeout: float) -> bool:
        """Wait until billing has everything, at most `timeout` seconds; says whether it has."""
        try:
            async with asyncio.timeout(timeout):
                while self._backlog or self.acknowledged < self.last_sequence:
                    waiter: asyncio.Future[None] = self._loop.create_future()
                    self._waiters.append(waiter)
                    await waiter
        except TimeoutError:
            return False
        return True

    def low_time(self) -> int:
        """No attempt that is still to be recorded began before this, in seconds since 1970."""
        now = int(self._clock.now())
        return min(now, next(iter(self._open.values()), now))

    def stats(self) -> OutboxStats:
        """Figures for metrics."""
        oldest = self._written[0][1] if self._written else None
        return OutboxStats(
            depth=self.last_sequence - self.acknowledged,
            queued=self._backlog,
            open_attempts=len(self._open),
            oldest_age=0 if oldest is None else max(0, self._clock.now() - oldest),
            ack_lag=self._ack_lag,
            last_sequence=self.last_sequence,
            acknowledged=self.acknowledged,
            recovered=self.recovered_attempts,
            ready=self.ready,
        )

    def start(self) -> None:
        """Start the writer."""
        oldest = self._reader.oldest_after(self.acknowledged)
        if oldest is not None:
            self._written.append((self.last_sequence, oldest))
        self._writer.start()

    async def close(self) -> None:
        """Refuse new attempts, write what is queued, and let the file go. A second time does nothing."""
        if self._closing:
            return
        self._closing = True
        self._hand_over()
        self._writer.put([])
        self._writer.stop()
        if self._writer.is_alive():
            await asyncio.to_thread(self._writer.join)
        for timer in (self._linger, self._trim_timer):
            if timer is not None:
                timer.cancel()
        self._reader.close()
        self._marks.close()
        self._file.close()

    def recover(self) -> int:
        """Give every attempt of a dead process its end; says how many. Only before `start`."""
        marked = self._marks.left_over()
        lost = self._lost()
        ends: list[Record] = []
        for event_id, attempt in lost.items():
            sent = event_id in marked or not self._file.same_boot
            ends.append(("finish", event_id, finish_of(attempt, sent=sent), None))
        for at in range(0, len(ends), BATCH_RECORDS):
            self._file.append(
                compose(ends[at : at + BATCH_RECORDS], self._file.last_sequence + 1, self._clock.now())
            )
        self._marks.reset()
        self.last_sequence = self._file.last_sequence
        self.recovered_attempts = len(ends)
        return len(ends)

    def _lost(self) -> dict[str, LostAttempt]:
        file = self._file
        return lost_attempts((batch for _, batch in file.replay()), file.acknowledged, file.running)

    def committed(self, batch: Batch, records: Sequence[Record]) -> None:
        """The records are on disk; called by the relay."""
        self._backlog -= len(records)
        for body, event_id, _, waiter in records:
            if body == "finish":
                self._marks.remove(event_id)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self.last_sequence = batch.last
        self._tail.append(batch)
        self._tail_bytes += len(batch.records)
        while self._tail_bytes > self._options.tail_bytes:
            self._tail_bytes -= len(self._tail.popleft().records)
        if not self._written or batch.written_at - self._written[-1][1] >= 1:
            self._written.append((batch.last, batch.written_at))
        self._news.set()
        self._wake_waiters()

    def refused(self, dropped: Sequence[Record], held: Sequence[Record], error: Exception) -> None:
        """Writing failed; called by the relay."""
        if self._ready:
            _LOGGER.error("the outbox cannot be written: new calls are refused", error=type(error).__name__)
        self._ready = False
        self._backlog -= len(dropped)
        for body, event_id, _, waiter in (*dropped, *held):
            if body == "intent":
                self._open.pop(event_id, None)
            if waiter is not None and not waiter.done():
                waiter.set_exception(StorageUnavailable("the usage outbox cannot be written"))
                if body == "finish":
                    waiter.exception()

    def recovered(self) -> None:
        """Writing works again; called by the relay."""
        _LOGGER.info("the outbox can be written again")
        self._ready = True

    def _admit(self) -> None:
        if self._closing:
            raise ShuttingDown("the gateway is shutting down")
        if not self._ready:
            raise StorageUnavailable("the usage outbox cannot be written")
        if self._backlog >= self._options.queue_limit:
            raise Overloaded("the usage outbox is full", resource="outbox")

    def _enqueue(self, body: Body, event_id: str, message: Intent | Finish) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._outgoing.append((body, event_id, message, waiter))
        self._backlog += 1
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)
        return waiter

    def _hand_over(self) -> None:
        """One hand-over per turn of the loop, however many records."""
        self._scheduled = False
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._outgoing:
            self._writer.put(self._outgoing)
            self._outgoing = []

    def _ask_for_trim(self) -> None:
        self._trim_timer = None
        self._writer.put([])

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class _Relay:
    """Carries the writer's news into the event loop: one wake-up per batch."""

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox) -> None:
        self._loop = loop
        self._outbox = outbox

    def committed(self, batch: Batch, records: Sequence[Record]) -> None:
        self._post(self._outbox.committed, batch, records)

    def refused(self, dropped: Sequence[Record], held: Sequence[Record], error: Exception) -> None:
        self._post(self._outbox.refused, dropped, held, error)

    def recovered(self) -> None:
        self._post(self._outbox.recovered)

    def _post(self, callback: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed under us: nobody is left to hear it
            self._loop.call_soon_threadsafe(callback, *arguments)


@asynccontextmanager
async def open_outbox(
    path: Path, options: OutboxOptions | None = None, clock: Clock | None = None
) -> AsyncIterator[Outbox]:
    """Open, recover and start an outbox; on leaving, everything queued is written.

    Raises StorageUnavailable where the file cannot be used or belongs to a running process.
    """
    options = options or OutboxOptions()
    file = await asyncio.to_thread(_open_file, path, options)
    try:
        marks = SentMarks(path.with_name(path.name + ".sent"), options.open_limit)
        outbox = Outbox(file, OutboxReader(path), marks, options, clock or SystemClock())
        recovered = await asyncio.to_thread(outbox.recover)
    except BaseException:
        file.close()
        raise
    if recovered:
        _LOGGER.warning("attempts of a process that died were given an end", count=recovered)
    outbox.start()
    try:
        yield outbox
    finally:
        await outbox.close()


def _open_file(path: Path, options: OutboxOptions) -> OutboxFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = OutboxFile(path, synchronous=options.synchronous, ballast_bytes=options.ballast_bytes)
    try:
        file.reserve_space()
    except OSError as error:
        file.close()
        raise StorageUnavailable(f"no room for the outbox's reserve at {path}: {error}") from error
    return file
