"""What dead gateways left on disk, read before anybody repairs it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from llmhub.types.v1.usage_pb2 import Usage
from llmhub.usage.v1.metering_service_pb2 import Finish, IngestUsageRequest, Intent

_SLOT: Final = 40
"""Bytes of a mark in the file of attempts that were sent."""


@dataclass(slots=True)
class Wreck:
    """One outbox. Keys are attempt ids."""

    intents: dict[str, Intent] = field(default_factory=dict)
    progress: dict[str, Usage] = field(default_factory=dict)
    finishes: dict[str, Finish] = field(default_factory=dict)
    sent: frozenset[str] = frozenset()
    settled: set[str] = field(default_factory=set)
    """Attempts whose intent billing has acknowledged: their end may have been there and be forgotten."""
    gaps: list[int] = field(default_factory=list)
    """Numbers that are missing among those billing does not have."""

    @property
    def lost(self) -> set[str]:
        """Attempts that surely have no end."""
        return set(self.intents) - set(self.finishes) - self.settled


def wrecks(data: Path, worker: int | None = None) -> list[Wreck]:
    """Read every outbox of a data folder, or one worker's. Copies first: opening a database repairs it."""
    found = []
    which = "*" if worker is None else str(worker)
    for path in sorted((data / "outbox").glob(f"worker-{which}/outbox.db")):
        with tempfile.TemporaryDirectory(prefix="lh-") as folder:
            for suffix in ("", "-wal", ".sent"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    shutil.copy(part, folder)
            found.append(_read(Path(folder) / path.name))
    return found


def _read(path: Path) -> Wreck:
    wreck = Wreck(sent=_marks(path.with_name(path.name + ".sent")))
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            return wreck  # killed while the file was made
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        rows = connection.execute("SELECT records FROM batch ORDER BY first_sequence").fetchall()
    acknowledged = int(meta.get("acknowledged", "0"))
    expected = acknowledged + 1
    for (records,) in rows:
        for entry in IngestUsageRequest.FromString(records).records:
            if entry.sequence > acknowledged:
                if entry.sequence != expected:
                    wreck.gaps.append(expected)
                expected = entry.sequence + 1
            match entry.WhichOneof("body"):
                case "intent":
                    wreck.intents[entry.event_id] = entry.intent
                    if entry.sequence <= acknowledged:
                        wreck.settled.add(entry.event_id)
                case "progress":
                    wreck.progress[entry.event_id] = entry.progress.usage
                case "finish":
                    wreck.finishes[entry.event_id] = entry.finish
    return wreck


def _marks(path: Path) -> frozenset[str]:
    content = path.read_bytes() if path.exists() else b""
    slots = (content[at : at + _SLOT].rstrip(b"\0") for at in range(0, len(content), _SLOT))
    return frozenset(slot.decode() for slot in slots if slot)
