from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.auth.adapters.tables import AuthTable
from services.runtime.database import migrate, open_engine


def test_the_migrations_lead_to_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'auth.db'}"
    migrate(url, "services.auth")
    engine = open_engine(url, writes=False)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), AuthTable.metadata)
    engine.dispose()
    assert differences == []


def test_a_migrated_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "auth.db"
    migrate(f"sqlite:///{file}", "services.auth")
    before = file.read_bytes()
    migrate(f"sqlite:///{file}", "services.auth")
    assert file.read_bytes() == before
