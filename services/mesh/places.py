"""Where an installation keeps its things: data, logs, sockets and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# A unix socket's path ends at 107 bytes; the longest name below is that of a provider's process.
_LONGEST_RUN_DIR: Final = 56

EVERYTHING: Final = "up"
"""The lock of `llmhub up`, which parts of a mesh share."""


class PlacesUnusable(Exception):
    """A directory cannot be used, or another llmhub is using it; says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of one installation. Made by `open_places`."""

    data: Path
    run: Path

    @property
    def log(self) -> Path:
        """Log files."""
        return self.data / "log"

    def outbox(self, worker: int) -> Path:
        """The outbox of one data-plane process."""
        return self.data / "outbox" / f"worker-{worker}" / "outbox.db"

    def socket(self, name: str) -> str:
        """The address of a unix socket."""
        return f"unix:{self.run / name}.sock"


def open_places(data_dir: Path) -> Places:
    """Make the directories, readable by their owner alone. Raises PlacesUnusable."""
    data = data_dir.expanduser().absolute()
    try:
        for folder in (data, data / "log", data / "outbox"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run = _run_dir(data)
        run.mkdir(mode=0o700, exist_ok=True)
        run.chmod(0o700)
    except OSError as error:
        raise PlacesUnusable(f"{data}: {error.strerror}; choose another place with --data DIR") from error
    if run.stat().st_uid != os.geteuid() or run.is_symlink():
        raise PlacesUnusable(f"{run} belongs to somebody else; remove it")
    return Places(data, run)


def _run_dir(data: Path) -> Path:
    run = data / "run"
    if len(os.fsencode(run)) <= _LONGEST_RUN_DIR:
        return run
    # The same for every process on the same data.
    name = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"llmhub-{os.geteuid()}-{name}"


@contextmanager
def locked(places: Places, name: str) -> Generator[None, None, None]:
    """Hold the lock of a process's name; the kernel lets go of it however the process ends. Raises PlacesUnusable."""
    with _holding(places, name, fcntl.LOCK_EX) as descriptor:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield


@contextmanager
def locked_parts(places: Places, names: Iterable[str]) -> Generator[None, None, None]:
    """Hold the locks of parts of a mesh, none of which may run beside `llmhub up`. Raises PlacesUnusable."""
    with ExitStack() as stack:
        stack.enter_context(_holding(places, EVERYTHING, fcntl.LOCK_SH))
        for name in sorted(names):
            stack.enter_context(locked(places, name))
        yield


@contextmanager
def _holding(places: Places, name: str, how: int) -> Generator[int, None, None]:
    path = places.run / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlacesUnusable(
                f"{places.data} is in use by another llmhub (process {_holder(places, path)}); "
                "stop it, or choose another place with --data DIR"
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


def _holder(places: Places, path: Path) -> str:
    """The process that holds a lock; of those that share it, one whose own lock says who it is."""
    for each in (path, *sorted(places.run.glob("*.lock"))):
        with each.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(20).decode(errors="replace").strip() or "unknown"
    return "unknown"
