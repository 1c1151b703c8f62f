"""Takes usage records into the database: one thread, one transaction for everything that waits, each event once."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from queue import SimpleQueue

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from services.billing.adapters.intake import Intake
from services.billing.ports import Ack, PriceBook, RecordBatch
from services.runtime.clock import Clock
from services.runtime.errors import ShuttingDown, StorageUnavailable
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)
_MOST_BATCHES = 16
"""More in one transaction would only make it longer."""

Job = tuple[RecordBatch, "asyncio.Future[Ack]"]


class SqlUsageStore:
    """A UsageSink over an SQLAlchemy engine."""

    def __init__(self, engine: Engine, prices: PriceBook, clock: Clock) -> None:
        self._engine = engine
        self._intake = Intake(engine.dialect, prices, clock)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="billing-db", daemon=True)
        self._closed = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["SqlUsageStore"]:
        """Run the thread; commit what was taken at the end."""
        self._thread.start()
        try:
            yield self
        finally:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._engine.dispose()

    async def ingest(self, batch: RecordBatch) -> Ack:
        """Return when the batch is committed. Raises StorageUnavailable: then nothing of it is."""
        if self._closed:
            raise ShuttingDown("billing is shutting down")
        done: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._jobs.put((batch, done))
        return await done

    def _run(self) -> None:
        running = True
        while running:
            jobs: list[Job] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                if len(jobs) >= _MOST_BATCHES or self._jobs.empty():
                    break
                job = self._jobs.get()
            running = job is not None
            if jobs:
                self._commit(jobs)

    def _commit(self, jobs: Sequence[Job]) -> None:
        try:
            try:
                acks = self._book(jobs, careful=False)
            except IntegrityError:
                acks = self._book(jobs, careful=True)
        except SQLAlchemyError as error:
            _LOGGER.exception("usage was not committed", error=type(error).__name__, count=len(jobs))
            _tell(jobs, StorageUnavailable("the usage database cannot be written now"))
        except Exception as error:
            _LOGGER.exception("usage was not committed", error=type(error).__name__)
            _tell(jobs, StorageUnavailable("the usage could not be booked"))
        else:
            _tell(jobs, acks)

    def _book(self, jobs: Sequence[Job], *, careful: bool) -> list[Ack]:
        with self._engine.begin() as connection:
            return [self._intake.apply(connection, batch, careful=careful) for batch, _ in jobs]


def _tell(jobs: Sequence[Job], results: Sequence[Ack] | Exception) -> None:
    def settle() -> None:
        for index, (_, done) in enumerate(jobs):
            if done.done():
                continue
            if isinstance(results, Exception):
                done.set_exception(results)
            else:
                done.set_result(results[index])

    jobs[0][1].get_loop().call_soon_threadsafe(settle)
