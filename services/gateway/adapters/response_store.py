"""Keeps responses in a database that all gateways of an installation share; see ports.ResponseStore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import SQLAlchemyError

from services.gateway.domain.kept import KeptResponse
from services.runtime.clock import Clock
from services.runtime.database import migrate, open_engine
from services.runtime.errors import RequestTooLarge, StorageUnavailable
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)
_PURGE_EVERY: Final = 3600.0
_LONGEST_CHAIN: Final = 1000
"""Responses that one request can go on from."""

_TABLE: Final = Table(
    "kept_response",
    MetaData(),
    Column("key_id", String(12), primary_key=True),
    Column("response_id", String(256), primary_key=True),
    Column("request_id", String(36)),
    Column("provider", String(64)),
    Column("previous_id", String(256)),
    Column("created_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("ends_at", BigInteger),
    Column("response", LargeBinary),
    Column("input_items", LargeBinary),
)
_COLUMNS: Final = _TABLE.c

T = TypeVar("T")


class SqlResponseStore:
    """Opens its database with the first response that is to be kept: most gateways never need it."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._engine: Engine | None = None
        self._purged_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="responses")

    async def save(self, kept: KeptResponse) -> None:
        """Keep a response, in place of what was kept under its id."""

        def work(connection: Connection) -> None:
            values = asdict(kept)
            found = connection.execute(
                update(_TABLE).where(*_is(kept.key_id, kept.response_id)).values(values)
            )
            if found.rowcount == 0:
                connection.execute(insert(_TABLE).values(values))
            self._purge(connection)

        await self._run(work)

    async def settle(self, kept: KeptResponse) -> bool:
        """Keep the end of a response that ran in the background, unless it has ended or was deleted already."""

        def work(connection: Connection) -> bool:
            where = (*_is(kept.key_id, kept.response_id), _COLUMNS.ends_at.is_not(None))
            return connection.execute(update(_TABLE).where(*where).values(asdict(kept))).rowcount > 0

        return await self._run(work)

    async def get(self, key_id: str, response_id: str) -> KeptResponse | None:
        """Return a response of this key that has not expired."""
        return await self._run(lambda connection: self._get(connection, key_id, response_id))

    async def chain(self, key_id: str, response_id: str, most_bytes: int) -> list[KeptResponse]:
        """Return a response and those before it, oldest first; empty if one of them is not there.

        Raises RequestTooLarge if together they are above `most_bytes` or too many.
        """

        def work(connection: Connection) -> list[KeptResponse]:
            found: list[KeptResponse] = []
            size, wanted = 0, response_id
            while wanted:
                kept = self._get(connection, key_id, wanted)
                if kept is None:
                    return []
                found.append(kept)
                size += kept.size
                if size > most_bytes or len(found) > _LONGEST_CHAIN:
                    message = "the conversation before this response is too long to be sent again"
                    raise RequestTooLarge(message, limit_bytes=str(most_bytes))
                wanted = kept.previous_id
            return found[::-1]

        return await self._run(work)

    async def delete(self, key_id: str, response_id: str) -> bool:
        """Forget a response. False: there was none."""

        def work(connection: Connection) -> bool:
            return connection.execute(sql_delete(_TABLE).where(*_is(key_id, response_id))).rowcount > 0

        return await self._run(work)

    async def close(self) -> None:
        """Let what is being written be written, and close the database."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._dispose)
        self._thread.shutdown()

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    async def _run(self, work: Callable[[Connection], T]) -> T:
        def call() -> T:
            try:
                with self._opened().begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                # The database's words may hold what callers wrote.
                _LOGGER.error("the store of responses failed", error=type(error).__name__)  # noqa: TRY400
                message = "responses cannot be kept or read now"
                raise StorageUnavailable(message) from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _opened(self) -> Engine:
        if self._engine is None:
            migrate(self._url, "services.gateway")
            # What is kept for convenience need not survive a power cut to the last millisecond.
            self._engine = open_engine(self._url, synchronous="NORMAL")
        return self._engine

    def _get(self, connection: Connection, key_id: str, response_id: str) -> KeptResponse | None:
        where = (*_is(key_id, response_id), _COLUMNS.expires_at > int(self._clock.now()))
        row = connection.execute(select(_TABLE).where(*where)).mappings().one_or_none()
        return None if row is None else KeptResponse(**row)

    def _purge(self, connection: Connection) -> None:
        now = self._clock.now()
        if now - self._purged_at >= _PURGE_EVERY:
            self._purged_at = now
            connection.execute(sql_delete(_TABLE).where(_COLUMNS.expires_at <= int(now)))


def _is(key_id: str, response_id: str) -> tuple[ColumnElement[bool], ...]:
    return _COLUMNS.key_id == key_id, _COLUMNS.response_id == response_id
