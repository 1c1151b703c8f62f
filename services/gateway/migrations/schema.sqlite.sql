CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO "alembic_version" VALUES('0001');

CREATE TABLE kept_response (
	key_id VARCHAR(12) NOT NULL, 
	response_id VARCHAR(256) NOT NULL, 
	request_id VARCHAR(36) NOT NULL, 
	provider VARCHAR(64) NOT NULL, 
	previous_id VARCHAR(256) NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	ends_at BIGINT, 
	response BLOB NOT NULL, 
	input_items BLOB NOT NULL, 
	PRIMARY KEY (key_id, response_id)
);

CREATE INDEX ix_kept_response_expires_at ON kept_response (expires_at);

