"""The outbox's file: numbered usage records in SQLite, owned by one process."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from llmhub.usage.v1.metering_service_pb2 import IngestUsageRequest
from services.runtime.errors import StorageUnavailable

Synchronous = Literal["full", "normal"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    first_sequence INTEGER PRIMARY KEY,
    last_sequence INTEGER NOT NULL,
    written_at REAL NOT NULL,
    records BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records that were committed together; `records` is a serialised IngestUsageRequest."""

    first: int
    last: int
    written_at: float
    records: bytes


class OutboxFile:
    """Appends batches durably and forgets them by number. One thread at a time, but any thread.

    A lock file keeps a second process out. A ballast file holds space back, so that attempts that already run can be
    finished on a full disk. Raises StorageUnavailable when it cannot be opened, sqlite3.Error or OSError later.
    """

    def __init__(
        self, path: Path, *, synchronous: Synchronous = "full", ballast_bytes: int = 1 << 24
    ) -> None:
        self._path = path
        self._ballast = path.with_name(path.name + ".ballast")
        self._ballast_bytes = ballast_bytes
        self._lock = _lock(path.with_name(path.name + ".lock"))
        try:
            self._connection = _connect(path, synchronous)
            self._connection.executescript(_SCHEMA)
            self.producer_id = self._remember("producer_id", str(uuid4()))
            boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
            self.same_boot = self._remember("boot_id", boot) == boot
            if not self.same_boot:
                self._connection.execute("UPDATE meta SET value = ? WHERE name = 'boot_id'", (boot,))
            self.acknowledged = int(self._remember("acknowledged", "0"))
            self.running = frozenset[str](json.loads(self._remember("running", "[]")))
            (last,) = self._connection.execute("SELECT max(last_sequence) FROM batch").fetchone()
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise StorageUnavailable(f"the outbox cannot be opened: {path}: {error}") from error
        self.last_sequence: int = max(self.acknowledged, last or 0)

    def append(self, batch: Batch) -> None:
        """Commit a batch; it is on disk on return."""
        self._connection.execute(
            "INSERT INTO batch VALUES (?, ?, ?, ?)",
            (batch.first, batch.last, batch.written_at, batch.records),
        )
        self.last_sequence = batch.last

    def trim(self, acknowledged: int, keep: Iterable[int], running: Iterable[str]) -> None:
        """Forget the batches up to a sequence, but for those that begin with a number in `keep`.

        They are kept for the `running` attempts. The others in them have an end, which is forgotten.
        """
        with self._transaction():
            self._connection.execute(
                "DELETE FROM batch WHERE first_sequence <= ? AND last_sequence <= ?"
                " AND first_sequence NOT IN (SELECT value FROM json_each(?))",
                (acknowledged, acknowledged, json.dumps(list(keep))),
            )
            self._connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'acknowledged'", (str(acknowledged),)
            )
            self._connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'running'", (json.dumps(list(running)),)
            )
        self.acknowledged = acknowledged

    def replay(self) -> Iterator[tuple[int, IngestUsageRequest]]:
        """Every batch that is still held, oldest first, with its first sequence."""
        for first, records in self._connection.execute(
            "SELECT first_sequence, records FROM batch ORDER BY first_sequence"
        ):
            yield first, IngestUsageRequest.FromString(records)

    def reserve_space(self) -> None:
        """Make sure that the ballast is there. Raises OSError where the disk has no room for it."""
        descriptor = os.open(self._ballast, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if self._ballast_bytes:
                os.posix_fallocate(descriptor, 0, self._ballast_bytes)
        finally:
            os.close(descriptor)

    def release_space(self) -> None:
        """Give the ballast's space, and what the log holds twice, to the database."""
        with suppress(FileNotFoundError):
            os.truncate(self._ballast, 0)
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the database and let the next owner in."""
        try:
            self._connection.close()
        finally:
            os.close(self._lock)

    def _remember(self, name: str, value: str) -> str:
        self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
        (kept,) = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(kept)

    def _transaction(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection


def state_of(path: Path) -> tuple[str, int, int]:
    """An outbox's producer id, its last sequence and what is acknowledged of it; the file may be in use.

    Raises StorageUnavailable where it cannot be read.
    """
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
            (last,) = connection.execute("SELECT max(last_sequence) FROM batch").fetchone()
        finally:
            connection.close()
        acknowledged = int(meta["acknowledged"])
        return str(meta["producer_id"]), max(acknowledged, last or 0), acknowledged
    except (sqlite3.Error, KeyError) as error:
        raise StorageUnavailable(f"the outbox cannot be read: {path}: {error}") from error


class OutboxReader:
    """Reads committed batches while another thread writes. Raises sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def after(self, sequence: int, limit: int) -> list[Batch]:
        """The batches with records after a sequence, oldest first: one if there is any, more up to `limit` records."""
        batches: list[Batch] = []
        for row in self._connection.execute(
            "SELECT first_sequence, last_sequence, written_at, records FROM batch"
            " WHERE last_sequence > ? AND first_sequence >= coalesce("
            "   (SELECT max(first_sequence) FROM batch WHERE first_sequence <= ?), 0)"
            " ORDER BY first_sequence LIMIT ?",
            (sequence, sequence, limit),
        ):
            batch = Batch(*row)
            if batches and batch.last - batches[0].first >= limit:
                break
            batches.append(batch)
        return batches

    def oldest_after(self, sequence: int) -> float | None:
        """When the oldest record after a sequence was written, in seconds since 1970."""
        batches = self.after(sequence, 1)
        return batches[0].written_at if batches else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _connect(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA journal_size_limit = {1 << 22}")
    return connection


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageUnavailable(
            f"the outbox {path.with_suffix('')} is in use by process {owner}: give each gateway its own"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
