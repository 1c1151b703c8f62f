"""Which attempts were handed to a provider, in a file that outlives a killed process."""

import mmap
import os
from pathlib import Path

SLOT = 40
"""Bytes per mark: the longest event id."""


class SentMarks:
    """A fixed table of event ids in shared memory backed by a file; one mark costs one copy of 40 bytes.

    The kernel keeps the pages when the process dies, not when the machine does. Raises OSError on opening.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        size = capacity * SLOT
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = max(size, os.fstat(descriptor).st_size // SLOT * SLOT)
            # Without room on disk a write into the mapping would kill the process.
            os.posix_fallocate(descriptor, 0, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._free = list(range(size - SLOT, -1, -SLOT))
        self._slots: dict[str, int] = {}

    def left_over(self) -> frozenset[str]:
        """The event ids marked when the file was opened."""
        content = bytes(self._map)
        slots = (content[at : at + SLOT].rstrip(b"\0") for at in range(0, len(content), SLOT))
        return frozenset(slot.decode("ascii", "replace") for slot in slots if slot)

    def reset(self) -> None:
        """Forget every mark."""
        self._map[:] = bytes(len(self._map))

    def add(self, event_id: str) -> None:
        """Mark an event; without a free slot, or marked already, nothing happens."""
        if event_id in self._slots or not self._free:
            return
        at = self._slots[event_id] = self._free.pop()
        self._map[at : at + SLOT] = event_id.encode("ascii").ljust(SLOT, b"\0")

    def remove(self, event_id: str) -> None:
        """Free the event's slot, if it has one."""
        at = self._slots.pop(event_id, None)
        if at is not None:
            self._map[at : at + SLOT] = bytes(SLOT)
            self._free.append(at)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()
