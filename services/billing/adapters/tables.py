"""Tables of billing; they stay inside the adapters. Times are microseconds since 1970, amounts pico- or nano-USD."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table

METADATA = MetaData()

TOKEN_COLUMNS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "tool_prompt_tokens",
)
"""In the order of the domain's Tokens."""
SUM_COLUMNS = ("attempts", "failed", "unpriced", "cost_nano", *TOKEN_COLUMNS)
GROUP_COLUMNS = ("day", "key_id", "provider", "model")

usage_event = Table(
    "usage_event",
    METADATA,
    Column("event_id", String(40), primary_key=True),
    Column("producer_id", String(36)),
    Column("sequence", BigInteger),
    Column("payload_hash", LargeBinary(16)),
    Column("request_id", String),
    Column("attempt", Integer),
    Column("key_id", String),
    Column("provider", String),
    Column("model", String),
    Column("requested_model", String),
    Column("provider_model", String),
    Column("operation", String),
    Column("door", String),
    Column("outcome", Integer),
    Column("error_reason", Integer),
    Column("day", String(10)),
    Column("started_at", BigInteger),
    Column("duration", BigInteger, nullable=True),
    Column("first_token", BigInteger, nullable=True),
    *(Column(name, BigInteger, nullable=True) for name in TOKEN_COLUMNS),
    Column("measure", Integer),
    Column("usage", LargeBinary),
    Column("price_state", Integer),
    Column("price", String),
    Column("cost_pico", BigInteger, nullable=True),
    Column("cost_nano", BigInteger, nullable=True),
    Column("recorded_at", BigInteger),
)

usage_day = Table(
    "usage_day",
    METADATA,
    *(Column(name, String, primary_key=True) for name in GROUP_COLUMNS),
    *(Column(name, BigInteger) for name in SUM_COLUMNS),
)

producer_mark = Table(
    "producer_mark",
    METADATA,
    Column("producer_id", String(36), primary_key=True),
    Column("contiguous", BigInteger),
    Column("highest", BigInteger),
    Column("last_seen", BigInteger),
    Column("low_time", BigInteger, nullable=True),
)

sequence_gap = Table(
    "sequence_gap",
    METADATA,
    Column("producer_id", String(36), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger),
    Column("seen_at", BigInteger),
)

dead_letter = Table(
    "dead_letter",
    METADATA,
    Column("producer_id", String(36), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("record_hash", LargeBinary(16), primary_key=True),
    Column("event_id", String),
    Column("reason", String),
    Column("record", LargeBinary),
    Column("first_seen", BigInteger),
)
