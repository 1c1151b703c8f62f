"""Databases: engines with the settings every service needs, and schemas brought to their newest revision."""

import ast
import os
import sqlite3
import threading
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url

from services.runtime.log import get_logger

SCHEMA: Final = "schema.sqlite.sql"
STATEMENT_END: Final = ";\n\n"
_BUSY_MS: Final = 10_000
_PARSING: Final = threading.Lock()
_LOGGER = get_logger(__name__)

Synchronous = Literal["OFF", "NORMAL", "FULL", "EXTRA"]


class DatabaseNewer(Exception):
    """A newer llmhub has changed this database; running on it could destroy what that one wrote."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions in a package's `migrations/versions`: all of them, and the newest."""

    known: frozenset[str]
    head: str


def open_engine(url: str, *, synchronous: Synchronous = "FULL", writes: bool = True) -> Engine:
    """Return an engine for `sqlite:///file` or `postgresql+psycopg://…`; nothing is connected yet.

    SQLite files are made for their owner alone, use a write-ahead log and wait up to 10 s for a lock; a commit
    survives a power failure if `synchronous` is FULL. With `writes`, a transaction takes the write lock when it begins,
    so that it never fails half-way for want of it; readers say writes=False and never wait.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    _make_file(parsed)
    engine = create_engine(parsed)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        # None: SQLAlchemy begins transactions, not the driver, which would leave DDL outside of them.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {_BUSY_MS}",
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def take_lock(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def migrate(url: str, package: str, *, by_steps: bool = False) -> None:
    """Bring the schema to the newest revision of `package`, in one transaction; blocks.

    A new SQLite database is made from what all migrations come to (`make gen` writes it), unless `by_steps`.
    Raises DatabaseNewer if the database is at a revision that this package does not have.
    """
    revisions = revisions_of(package)
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            current = _current(connection)
            if current == revisions.head:
                return
            if current is not None and current not in revisions.known:
                raise DatabaseNewer(
                    f"{make_url(url).render_as_string()} is at revision {current} and this version of {package} "
                    f"knows up to {revisions.head}: install the newer llmhub again, or restore a backup"
                )
            whole = _schema(package) if current is None and not by_steps else None
            if whole is not None and _is_new(connection):
                for statement in whole:
                    connection.exec_driver_sql(statement)
            else:
                _upgrade(connection, package)
            _LOGGER.info("database migrated", service=package, revision=revisions.head)
    finally:
        engine.dispose()


def revisions_of(package: str) -> Revisions:
    """Read the revisions without running them: importing alembic would cost more than the rest of a start."""
    parents: dict[str, str | None] = {}
    # CPython 3.11 loses count of its recursion when two threads make a syntax tree at once.
    with _PARSING:
        for file in sorted(_versions(package).glob("*.py")):
            values = _assigned(file)
            if "revision" in values:
                parents[str(values["revision"])] = values.get("down_revision")
    heads = set(parents) - {parent for parent in parents.values() if parent}
    if len(heads) != 1:
        raise ValueError(
            f"{package} has {len(heads)} newest revisions, and needs exactly one: {sorted(heads)}"
        )
    return Revisions(frozenset(parents), heads.pop())


def _assigned(file: Path) -> dict[str, Any]:
    values = {}
    for node in ast.parse(file.read_text()).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value))
            ):
                values[name] = value
    return values


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def _schema(package: str) -> list[str] | None:
    file = files(package) / "migrations" / SCHEMA
    return file.read_text().split(STATEMENT_END)[:-1] if file.is_file() else None


def _is_new(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite" and not inspect(connection).get_table_names()


def _upgrade(connection: Connection, package: str) -> None:
    from alembic import command  # noqa: PLC0415 - only when there is something to do
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", _escaped(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", _escaped(_versions(package)))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _versions(package: str) -> Path:
    return Path(str(files(package) / "migrations" / "versions"))


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _make_file(url: URL) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
