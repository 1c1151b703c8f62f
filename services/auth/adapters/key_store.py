"""Keys in a database. Every blocking call runs on one thread of its own, never on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session, col, select

from services.auth.adapters import queries
from services.auth.adapters.mapping import from_row, from_rows, to_row, to_secret_rows
from services.auth.adapters.tables import KeyRow, RevisionRow, SecretRow
from services.auth.domain.api_key import ApiKey
from services.auth.domain.errors import KeyExists, RequestIdUsed
from services.auth.domain.key import Digest
from services.auth.ports import Changes, Position
from services.runtime.errors import KeyNotFound, StorageUnavailable
from services.runtime.log import get_logger

T = TypeVar("T")

_LOGGER = get_logger(__name__)


class SqlKeyStore:
    """A KeyStore over two SQLAlchemy engines of one database, since readers need not wait for SQLite's write lock."""

    def __init__(self, writing: Engine, reading: Engine) -> None:
        self._writing = writing
        self._reading = reading
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="auth-db")

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[SqlKeyStore]:
        """Close connections and thread at the end."""
        try:
            yield self
        finally:
            for engine in (self._reading, self._writing):
                await asyncio.get_running_loop().run_in_executor(self._thread, engine.dispose)
            self._thread.shutdown()

    async def add(self, key: ApiKey) -> ApiKey:
        """Store a new key. Raises RequestIdUsed if one was made under its request id, KeyExists for a taken id."""

        def work(session: Session) -> ApiKey:
            revision = _next_revision(session)
            if key.request_id:
                _require_unused(session, key.request_id)
            if session.get(KeyRow, key.key_id) is not None:
                raise KeyExists(key.key_id)
            session.add(to_row(key, revision))
            session.flush()
            session.add_all(to_secret_rows(key))
            return key

        return await self._write(work)

    async def get(self, key_id: str) -> ApiKey:
        """Return a key. Raises KeyNotFound."""
        return await self._read(lambda connection: _load(connection, key_id))

    async def find(self, digests: Sequence[Digest]) -> ApiKey | None:
        """Return the key that has a secret with one of the digests."""
        values = [digest.value for digest in digests]

        def work(connection: Connection) -> ApiKey | None:
            rows = connection.execute(queries.BY_DIGEST, {"digests": values}).all()
            return from_rows(rows) if rows else None

        return await self._read(work)

    async def page(self, limit: int, after: Position | None) -> list[ApiKey]:
        """Return at most `limit` keys older than the position, newest first, without their secrets."""
        query = queries.FIRST_PAGE if after is None else queries.LATER_PAGE
        place = {} if after is None else after._asdict()
        return await self._read(
            lambda connection: [from_row(row) for row in connection.execute(query, {"limit": limit, **place})]
        )

    async def change(self, key_id: str, step: Callable[[ApiKey], ApiKey]) -> ApiKey:
        """Replace a key by what `step` makes of it and raise its version, in one transaction."""

        def work(session: Session) -> ApiKey:
            revision = _next_revision(session)
            old = _load(session.connection(), key_id)
            new = step(old)
            if new == old:
                session.rollback()
                return old
            new = replace(new, version=old.version + 1)
            session.merge(to_row(new, revision))
            kept = {secret.digest.value for secret in new.secrets}
            for row in session.exec(select(SecretRow).where(SecretRow.key_id == key_id)):
                if row.digest not in kept:
                    session.delete(row)
            for row in to_secret_rows(new):
                session.merge(row)
            return new

        return await self._write(work)

    async def changes_since(self, revision: int, limit: int) -> Changes:
        """Return at most `limit` keys whose last change is after the revision, oldest change first."""
        parameters = {"revision": revision, "limit": limit}
        rows = await self._read(lambda connection: connection.execute(queries.CHANGED, parameters).all())
        newest = rows[-1].revision if rows else revision
        return Changes(revision=newest, key_ids=tuple(row.key_id for row in rows))

    async def revision(self) -> int:
        """Return the newest revision; 0 before the first write."""
        return await self._read(_revision)

    async def pepper_versions(self) -> frozenset[int]:
        """Return the pepper versions under which digests are stored."""
        return await self._read(
            lambda connection: frozenset(connection.execute(queries.PEPPER_VERSIONS).scalars())
        )

    async def _read(self, work: Callable[[Connection], T]) -> T:
        def call() -> T:
            with _ours(), self._reading.connect() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _write(self, work: Callable[[Session], T]) -> T:
        def call() -> T:
            with _ours(), Session(self._writing) as session, session.begin():
                return work(session)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _next_revision(session: Session) -> int:
    """Take the write lock of the installation and return this write's revision."""
    # The first statement of every write: on PostgreSQL the row's lock, on SQLite the one taken at the transaction's
    # begin, makes revisions visible in their order, so that a reader never skips one.
    session.exec(update(RevisionRow).values(value=col(RevisionRow.value) + 1))
    return _revision(session.connection())


def _revision(connection: Connection) -> int:
    value: int = connection.execute(queries.REVISION).scalar_one()
    return value


def _load(connection: Connection, key_id: str) -> ApiKey:
    rows = connection.execute(queries.BY_ID, {"key_id": key_id}).all()
    if not rows:
        raise KeyNotFound("no such key", key_id=key_id)
    return from_rows(rows)


def _require_unused(session: Session, request_id: str) -> None:
    made = session.connection().execute(queries.BY_REQUEST_ID, {"request_id": request_id}).scalar()
    if made is not None:
        raise RequestIdUsed(
            "a key was made under this request_id; its secret cannot be shown again, but it can be rotated",
            request_id=request_id,
            key_id=made,
        )


@contextlib.contextmanager
def _ours() -> Iterator[None]:
    """Turn the database's failures into ours. Its texts hold statements and values, so they stay here."""
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        _LOGGER.exception("the key database failed", error=type(error).__name__)
        raise StorageUnavailable("the key database cannot be used now") from error
