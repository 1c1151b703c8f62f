"""The one thread that writes the outbox: everything queued goes into one transaction."""

import sqlite3
import threading
from asyncio import Future
from collections.abc import Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Literal, Protocol

from llmhub.usage.v1.metering_service_pb2 import Finish, IngestUsageRequest, Intent, ProgressMark
from services.gateway.adapters.outbox_file import Batch, OutboxFile
from services.runtime.clock import Clock

BATCH_RECORDS = 500
"""No batch holds more records."""
SCHEMA_VERSION = 1
_TRIM_EVERY = 1024

Body = Literal["intent", "progress", "finish"]
Record = tuple[Body, str, Intent | ProgressMark | Finish, "Future[None] | None"]
"""What kind of record, the event's id, the message (not changed any more), who waits for it."""


class Listener(Protocol):
    """Hears what became of records; called in the writer's thread, once per batch."""

    def committed(self, batch: Batch, records: Sequence[Record]) -> None:
        """The records are on disk."""

    def refused(self, dropped: Sequence[Record], held: Sequence[Record], error: Exception) -> None:
        """Nothing is on disk. `held` records are written as soon as writes work again, the others are gone."""

    def recovered(self) -> None:
        """Writes work again."""


class OpenAttempts:
    """Which batches still hold the last word on an attempt without an end, so that a crash can be accounted for."""

    def __init__(self) -> None:
        self._batches: dict[str, tuple[int, int]] = {}

    def note(self, body: Body, event_id: str, first: int) -> None:
        """Take in one record of the batch that begins with sequence `first`."""
        if body == "finish":
            self._batches.pop(event_id, None)
        elif body == "intent":
            self._batches[event_id] = (first, first)
        elif event_id in self._batches:
            self._batches[event_id] = (self._batches[event_id][0], first)

    def batches(self) -> set[int]:
        """The first sequences of the batches that may not be forgotten."""
        return {first for pair in self._batches.values() for first in pair}

    def begun_by(self, sequence: int) -> list[str]:
        """The attempts whose batch begins at or before a sequence."""
        return [event_id for event_id, (first, _) in self._batches.items() if first <= sequence]


class OutboxWriter(threading.Thread):
    """Numbers, commits and trims. Give it lists of records through `put`; `stop` ends it after what was put before."""

    def __init__(
        self, file: OutboxFile, listener: Listener, clock: Clock, attempts: OpenAttempts, probe_seconds: float
    ) -> None:
        super().__init__(name="outbox-writer", daemon=True)
        self.acknowledged = file.acknowledged
        self._file = file
        self._listener = listener
        self._clock = clock
        self._attempts = attempts
        self._probe_seconds = probe_seconds
        self._inbox: SimpleQueue[list[Record] | None] = SimpleQueue()
        self._held: list[Record] = []
        self._healthy = True

    def put(self, records: list[Record]) -> None:
        """Queue records; an empty list asks for a trim."""
        self._inbox.put(records)

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._inbox.put(None)

    def run(self) -> None:
        running = True
        while running:
            records, running = self._collect()
            if not self._healthy:
                self._probe()
            for at in range(0, len(records), BATCH_RECORDS):
                self._write(records[at : at + BATCH_RECORDS])
            behind = self.acknowledged - self._file.acknowledged
            if behind >= _TRIM_EVERY or (behind and not records):
                self._trim()

    def _collect(self) -> tuple[list[Record], bool]:
        """Whatever is queued, and whether to go on after it."""
        try:
            first = self._inbox.get(timeout=None if self._healthy else self._probe_seconds)
        except Empty:
            return [], True
        if first is None:
            return [], False
        records = first
        while not self._inbox.empty():
            more = self._inbox.get_nowait()
            if more is None:
                return records, False
            records = records + more
        return records, True

    def _write(self, records: Sequence[Record]) -> None:
        try:
            batch = self._append(records)
        except (sqlite3.Error, OSError) as error:
            self._refuse(records, error)
        else:
            self._listener.committed(batch, records)

    def _append(self, records: Sequence[Record]) -> Batch:
        batch = compose(records, self._file.last_sequence + 1, self._clock.now())
        self._file.append(batch)
        for body, event_id, _, _ in records:
            self._attempts.note(body, event_id, batch.first)
        return batch

    def _refuse(self, records: Sequence[Record], error: Exception) -> None:
        """Use the ballast for the ends of running attempts; hold them where even that does not help."""
        self._healthy = False
        ends = [record for record in records if record[0] == "finish"]
        dropped = [record for record in records if record[0] != "finish"]
        committed: Batch | None = None
        if ends:
            try:
                self._file.release_space()
                committed = self._append(ends)
            except (sqlite3.Error, OSError):
                self._held += [(body, event_id, message, None) for body, event_id, message, _ in ends]
        self._listener.refused(dropped, () if committed else ends, error)
        if committed:
            self._listener.committed(committed, ends)

    def _probe(self) -> None:
        """Healthy is who can write what is held, and has the ballast again."""
        try:
            while self._held:
                records = self._held[:BATCH_RECORDS]
                batch = self._append(records)
                del self._held[:BATCH_RECORDS]
                self._listener.committed(batch, records)
            self._forget()
            self._file.reserve_space()
        except (sqlite3.Error, OSError):
            # A reserve that was made in part would keep from the records the room that there is.
            with suppress(OSError):
                self._file.release_space()
            return
        self._healthy = True
        self._listener.recovered()

    def _forget(self) -> None:
        acknowledged, attempts = self.acknowledged, self._attempts
        self._file.trim(acknowledged, attempts.batches(), attempts.begun_by(acknowledged))

    def _trim(self) -> None:
        try:
            self._forget()
        except (sqlite3.Error, OSError) as error:
            self._healthy = False
            self._listener.refused((), (), error)


def compose(records: Iterable[Record], first: int, written_at: float) -> Batch:
    """Number records from `first` on and serialise them."""
    request = IngestUsageRequest()
    add = request.records.add
    sequence = first - 1
    for body, event_id, message, _ in records:
        sequence += 1
        entry = add(event_id=event_id, sequence=sequence, schema=SCHEMA_VERSION)
        getattr(entry, body).CopyFrom(message)
    return Batch(first, sequence, written_at, request.SerializeToString())
