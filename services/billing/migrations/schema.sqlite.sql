CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO "alembic_version" VALUES('0001');

CREATE TABLE dead_letter (
	producer_id VARCHAR(36) NOT NULL, 
	sequence BIGINT NOT NULL, 
	record_hash BLOB NOT NULL, 
	event_id VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	record BLOB NOT NULL, 
	first_seen BIGINT NOT NULL, 
	PRIMARY KEY (producer_id, sequence, record_hash)
);

CREATE TABLE producer_mark (
	producer_id VARCHAR(36) NOT NULL, 
	contiguous BIGINT NOT NULL, 
	highest BIGINT NOT NULL, 
	last_seen BIGINT NOT NULL, 
	low_time BIGINT, 
	PRIMARY KEY (producer_id)
);

CREATE TABLE sequence_gap (
	producer_id VARCHAR(36) NOT NULL, 
	first BIGINT NOT NULL, 
	last BIGINT NOT NULL, 
	seen_at BIGINT NOT NULL, 
	PRIMARY KEY (producer_id, first)
);

CREATE TABLE usage_day (
	day VARCHAR(10) NOT NULL, 
	key_id VARCHAR NOT NULL, 
	provider VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	attempts BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	unpriced BIGINT NOT NULL, 
	cost_nano BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	cache_read_tokens BIGINT NOT NULL, 
	cache_write_5m_tokens BIGINT NOT NULL, 
	cache_write_1h_tokens BIGINT NOT NULL, 
	cache_write_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	tool_prompt_tokens BIGINT NOT NULL, 
	PRIMARY KEY (day, key_id, provider, model)
)
 WITHOUT ROWID

;

CREATE TABLE usage_event (
	event_id VARCHAR(40) NOT NULL, 
	producer_id VARCHAR(36) NOT NULL, 
	sequence BIGINT NOT NULL, 
	payload_hash BLOB NOT NULL, 
	request_id VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	key_id VARCHAR NOT NULL, 
	provider VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	requested_model VARCHAR NOT NULL, 
	provider_model VARCHAR NOT NULL, 
	operation VARCHAR NOT NULL, 
	door VARCHAR NOT NULL, 
	outcome INTEGER NOT NULL, 
	error_reason INTEGER NOT NULL, 
	day VARCHAR(10) NOT NULL, 
	started_at BIGINT NOT NULL, 
	duration BIGINT, 
	first_token BIGINT, 
	input_tokens BIGINT, 
	cache_read_tokens BIGINT, 
	cache_write_5m_tokens BIGINT, 
	cache_write_1h_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	output_tokens BIGINT, 
	reasoning_tokens BIGINT, 
	tool_prompt_tokens BIGINT, 
	measure INTEGER NOT NULL, 
	usage BLOB NOT NULL, 
	price_state INTEGER NOT NULL, 
	price VARCHAR NOT NULL, 
	cost_pico BIGINT, 
	cost_nano BIGINT, 
	recorded_at BIGINT NOT NULL, 
	PRIMARY KEY (event_id), 
	CONSTRAINT uq_usage_event_sequence UNIQUE (producer_id, sequence)
);

CREATE INDEX ix_usage_event_newest ON usage_event (started_at, event_id);

CREATE INDEX ix_usage_event_key ON usage_event (key_id, started_at, event_id);

CREATE INDEX ix_usage_event_request ON usage_event (request_id);

CREATE INDEX ix_usage_day_key ON usage_day (key_id, day);

CREATE TRIGGER usage_event_no_update BEFORE UPDATE ON usage_event BEGIN SELECT RAISE(ABORT, 'usage_event is append-only'); END;

CREATE TRIGGER usage_event_no_delete BEFORE DELETE ON usage_event BEGIN SELECT RAISE(ABORT, 'usage_event is append-only'); END;

