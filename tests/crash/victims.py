"""Processes by their ids: who is whose child, who still lives, killing one, and whether a port is free."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

_GONE_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.02

Life = tuple[int, str]
"""A process id and the moment of its start, so that a reused id is another life."""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def lives(life: Life) -> bool:
    """Whether it runs; a zombie does not."""
    stat = _stat(life[0])
    return bool(stat) and stat[0] not in "ZX" and stat[19] == life[1]


def family(pid: int) -> list[Life]:
    """Return a process and its descendants."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            parents[int(entry.name)] = (int(stat[1]), stat[19])
    found = [pid]
    for each in found:
        found += [child for child, (parent, _) in parents.items() if parent == each]
    return [(each, parents[each][1]) for each in found if each in parents]


def child_with(pid: int, word: str) -> Life:
    """Return the descendant whose command line has this word in an argument."""
    for life in family(pid)[1:]:
        with contextlib.suppress(OSError):
            if any(word in part for part in Path(f"/proc/{life[0]}/cmdline").read_text().split("\0")):
                return life
    raise AssertionError(f"process {pid} has no child with {word!r}")


def kill(life: Life) -> None:
    """Kill -9 one process, and return when it is dead."""
    os.kill(life[0], signal.SIGKILL)
    until_gone([life])


def until_gone(all_of: Collection[Life]) -> None:
    """Return when none of them runs. Raises AssertionError after a while."""
    until = time.monotonic() + _GONE_SECONDS
    left = list(all_of)
    while left := [life for life in left if lives(life)]:
        if time.monotonic() > until:
            raise AssertionError(f"left behind: {[(life, _command(life)) for life in left]}")
        time.sleep(_POLL_SECONDS)  # of a process that is not our child the kernel tells nothing else


def _command(life: Life) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{life[0]}/cmdline").read_text().replace("\0", " ")[:200]
    return ""


def is_free(port: int) -> bool:
    """Whether somebody could listen there now, as Envoy would."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
