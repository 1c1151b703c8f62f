"""Writes what all migrations of a service come to, so that a new database needs none of them, nor alembic."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from services.runtime.database import SCHEMA, STATEMENT_END, migrate

SERVICES: Final = ("auth", "billing", "gateway")
_TRANSACTION: Final = frozenset({"BEGIN TRANSACTION;", "COMMIT;"})


def write(folder: Path) -> None:
    """Write `<service>/migrations/schema.sqlite.sql` under a folder that stands for `services`."""
    for service in SERVICES:
        file = folder / service / "migrations" / SCHEMA
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(schema(f"services.{service}"))


def schema(package: str) -> str:
    """Return the statements that make a database at the newest revision of a package."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new.db"
        migrate(f"sqlite:///{file}", package, by_steps=True)
        with closing(sqlite3.connect(file)) as connection:
            statements = [each for each in connection.iterdump() if each not in _TRANSACTION]
    return "".join(f"{each.removesuffix(';')}{STATEMENT_END}" for each in statements)
