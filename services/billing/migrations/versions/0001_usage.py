"""Usage events, their sums by day, how far each producer has come, what was lost and what was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TOKENS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "tool_prompt_tokens",
)


def upgrade() -> None:
    _create_events()
    _create_days()
    _create_producers()
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER usage_event_no_{verb.lower()} BEFORE {verb} ON usage_event"
                " BEGIN SELECT RAISE(ABORT, 'usage_event is append-only'); END"
            )


def _create_events() -> None:
    op.create_table(
        "usage_event",
        sa.Column("event_id", sa.String(40), primary_key=True),
        sa.Column("producer_id", sa.String(36), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("requested_model", sa.String, nullable=False),
        sa.Column("provider_model", sa.String, nullable=False),
        sa.Column("operation", sa.String, nullable=False),
        sa.Column("door", sa.String, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.Column("error_reason", sa.Integer, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.BigInteger),
        sa.Column("first_token", sa.BigInteger),
        *(sa.Column(name, sa.BigInteger) for name in TOKENS),
        sa.Column("measure", sa.Integer, nullable=False),
        sa.Column("usage", sa.LargeBinary, nullable=False),
        sa.Column("price_state", sa.Integer, nullable=False),
        sa.Column("price", sa.String, nullable=False),
        sa.Column("cost_pico", sa.BigInteger),
        sa.Column("cost_nano", sa.BigInteger),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("producer_id", "sequence", name="uq_usage_event_sequence"),
    )
    op.create_index("ix_usage_event_newest", "usage_event", ["started_at", "event_id"])
    op.create_index("ix_usage_event_key", "usage_event", ["key_id", "started_at", "event_id"])
    op.create_index("ix_usage_event_request", "usage_event", ["request_id"])


def _create_days() -> None:
    op.create_table(
        "usage_day",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("provider", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("attempts", "failed", "unpriced", "cost_nano", *TOKENS)
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_usage_day_key", "usage_day", ["key_id", "day"])


def _create_producers() -> None:
    op.create_table(
        "producer_mark",
        sa.Column("producer_id", sa.String(36), primary_key=True),
        sa.Column("contiguous", sa.BigInteger, nullable=False),
        sa.Column("highest", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("low_time", sa.BigInteger),
    )
    op.create_table(
        "sequence_gap",
        sa.Column("producer_id", sa.String(36), primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dead_letter",
        sa.Column("producer_id", sa.String(36), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("record_hash", sa.LargeBinary(16), primary_key=True),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("dead_letter", "sequence_gap", "producer_mark", "usage_day", "usage_event"):
        op.drop_table(table)
