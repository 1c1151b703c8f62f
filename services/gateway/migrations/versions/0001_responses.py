"""Responses that are kept for their callers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_response",
        sa.Column("key_id", sa.String(12), primary_key=True),
        sa.Column("response_id", sa.String(256), primary_key=True),
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("previous_id", sa.String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("input_items", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_kept_response_expires_at", "kept_response", ["expires_at"])


def downgrade() -> None:
    op.drop_table("kept_response")
