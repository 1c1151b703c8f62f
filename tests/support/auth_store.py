"""A key store in a real SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.auth.adapters.key_store import SqlKeyStore
from services.runtime.database import migrate, open_engine


@asynccontextmanager
async def sqlite_store(file: Path) -> AsyncIterator[SqlKeyStore]:
    url = f"sqlite:///{file}"
    migrate(url, "services.auth")
    async with SqlKeyStore(open_engine(url), open_engine(url, writes=False)).opened() as store:
        yield store
