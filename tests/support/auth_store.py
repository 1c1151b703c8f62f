"""A key store in a real SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import create_engine, insert

from services.auth.adapters.key_store import SqlKeyStore
from services.auth.adapters.tables import AuthTable, RevisionRow


@asynccontextmanager
async def sqlite_store(file: Path) -> AsyncIterator[SqlKeyStore]:
    new = not file.exists()
    engine = create_engine(f"sqlite:///{file}")
    if new:
        AuthTable.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(RevisionRow).values(id=1, value=0))
    async with SqlKeyStore(engine).opened() as store:
        yield store
