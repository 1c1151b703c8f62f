"""Small files that only the installation's user may read, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def read(path: Path) -> str | None:
    """Return the file's text, None if there is no file."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None


def create(path: Path, text: str) -> str:
    """Write the file with mode 0600 unless there is one, and return the text of the one that is there."""
    with _written(path, text) as temporary, contextlib.suppress(FileExistsError):
        # Unlike a rename, a link never replaces the file of a process that was faster.
        path.hardlink_to(temporary)
    return path.read_text(encoding="ascii")


def replace(path: Path, text: str) -> None:
    """Write the file with mode 0600 in place of the one that is there."""
    with _written(path, text) as temporary:
        temporary.replace(path)


@contextlib.contextmanager
def _written(path: Path, text: str) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(file)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
