"""Keys, digests of their secrets and the count of writes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    counter = op.create_table(
        "auth_revision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "value": 0}])
    op.create_table(
        "auth_key",
        sa.Column("key_id", sa.String(12), primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("environment", sa.String(16), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String(36), unique=True),
        sa.Column("revision", sa.BigInteger, nullable=False, unique=True),
    )
    op.create_index("ix_auth_key_newest", "auth_key", ["created_at_ms", "key_id"])
    op.create_table(
        "auth_secret",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("pepper_version", sa.Integer, nullable=False),
        sa.Column("key_id", sa.String(12), sa.ForeignKey("auth_key.key_id"), nullable=False),
        sa.Column("valid_until_ms", sa.BigInteger),
    )
    op.create_index("ix_auth_secret_key_id", "auth_secret", ["key_id"])


def downgrade() -> None:
    op.drop_table("auth_secret")
    op.drop_table("auth_key")
    op.drop_table("auth_revision")
