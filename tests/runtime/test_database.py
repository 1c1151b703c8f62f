"""Databases keep what they committed, wait for each other, and are never run by an older llmhub."""

import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.runtime.database import DatabaseNewer, migrate, open_engine, revisions_of
from tools.schemas import SERVICES

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True))
"""
SECOND = """
from alembic import op
import sqlalchemy as sa

revision: str = "0002"
down_revision: str = "0001"


def upgrade() -> None:
    op.add_column("parent", sa.Column("name", sa.String))
"""
BROKEN = SECOND.replace(
    'op.add_column("parent"', 'op.create_table("half", sa.Column("id", sa.Integer)); op.add_column("nowhere"'
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `tried` with one migration; its versions folder."""
    versions = tmp_path / "source" / "tried" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "source" / "tried" / "__init__.py").touch()
    (versions / "0001_first.py").write_text(FIRST)
    monkeypatch.syspath_prepend(str(tmp_path / "source"))
    monkeypatch.delitem(sys.modules, "tried", raising=False)
    return versions


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'x.db'}"


def columns(url: str) -> list[str]:
    with open_engine(url, writes=False).connect() as connection:
        return [row.name for row in connection.execute(text("PRAGMA table_info(parent)"))]


def test_a_schema_goes_to_the_newest_revision_step_by_step(package: Path, url: str) -> None:
    migrate(url, "tried")
    assert columns(url) == ["id"]
    (package / "0002_second.py").write_text(SECOND)
    migrate(url, "tried")
    migrate(url, "tried")
    assert columns(url) == ["id", "name"]


def test_a_database_of_a_newer_llmhub_is_refused(package: Path, url: str) -> None:
    (package / "0002_second.py").write_text(SECOND)
    migrate(url, "tried")
    (package / "0002_second.py").unlink()
    with pytest.raises(DatabaseNewer, match="0002"):
        migrate(url, "tried")


def test_a_migration_that_fails_leaves_nothing_behind(package: Path, url: str) -> None:
    migrate(url, "tried")
    (package / "0002_second.py").write_text(BROKEN)
    with pytest.raises(Exception, match="nowhere"):
        migrate(url, "tried")
    with open_engine(url).connect() as connection:
        assert (
            connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'half'")).scalar() == 0
        )
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"


def test_two_newest_revisions_are_a_defect(package: Path) -> None:
    (package / "0002_other.py").write_text(SECOND.replace('"0001"', "None").replace("0002", "0003"))
    with pytest.raises(ValueError, match="0001"):
        revisions_of("tried")


@pytest.mark.parametrize("service", SERVICES)
def test_a_new_database_is_what_all_migrations_come_to(service: str, tmp_path: Path) -> None:
    whole, steps = (f"sqlite:///{tmp_path / name}" for name in ("whole.db", "steps.db"))
    program = (
        "import sys; from services.runtime.database import migrate; "
        f"migrate({whole!r}, 'services.{service}'); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    migrate(steps, f"services.{service}", by_steps=True)
    assert dump(tmp_path / "whole.db") == dump(tmp_path / "steps.db") != []


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_a_database_with_tables_of_somebody_else_is_migrated_by_steps(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    migrate(f"sqlite:///{tmp_path / 'x.db'}", "services.auth")
    assert "auth_key" in "".join(dump(tmp_path / "x.db"))


def test_alembic_is_not_imported_when_nothing_is_to_do(package: Path, url: str) -> None:
    migrate(url, "tried")
    script = (
        "import sys; from services.runtime.database import migrate; "
        f"migrate({url!r}, 'tried'); print('alembic' in sys.modules)"
    )
    path = [str(package.parents[2]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_sqlite_is_set_up_for_safety(url: str, tmp_path: Path) -> None:
    engine = open_engine(url, synchronous="NORMAL")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000}
    assert stat.S_IMODE((tmp_path / "data" / "x.db").stat().st_mode) == 0o600
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE c (id INTEGER REFERENCES p)")
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO c VALUES (5)")
    engine.dispose()


def test_writers_wait_for_each_other_and_lose_nothing(url: str) -> None:
    engine = open_engine(url, synchronous="OFF")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE n (value INTEGER)")
        connection.exec_driver_sql("INSERT INTO n VALUES (0)")

    def count() -> None:
        for _ in range(25):
            # Reading before writing is what fails at once under a deferred transaction.
            with engine.begin() as connection:
                value = connection.exec_driver_sql("SELECT value FROM n").scalar_one()
                connection.exec_driver_sql("UPDATE n SET value = ?", (value + 1,))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    reader = open_engine(url, writes=False)
    with engine.begin(), reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT value FROM n").scalar() == 100
    engine.dispose()
    reader.dispose()


def test_transactions_roll_back(url: str) -> None:
    engine = open_engine(url)
    with pytest.raises(RuntimeError), engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE gone (id INTEGER)")
        raise RuntimeError
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0
    engine.dispose()
