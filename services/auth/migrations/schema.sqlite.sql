CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO "alembic_version" VALUES('0001');

CREATE TABLE auth_key (
	key_id VARCHAR(12) NOT NULL, 
	name VARCHAR NOT NULL, 
	scopes JSON NOT NULL, 
	models JSON NOT NULL, 
	environment VARCHAR(16) NOT NULL, 
	created_at_ms BIGINT NOT NULL, 
	expires_at_ms BIGINT, 
	revoked_at_ms BIGINT, 
	version BIGINT NOT NULL, 
	request_id VARCHAR(36), 
	revision BIGINT NOT NULL, 
	PRIMARY KEY (key_id), 
	UNIQUE (request_id), 
	UNIQUE (revision)
);

CREATE TABLE auth_revision (
	id INTEGER NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (id)
);

INSERT INTO "auth_revision" VALUES(1,0);

CREATE TABLE auth_secret (
	digest BLOB NOT NULL, 
	pepper_version INTEGER NOT NULL, 
	key_id VARCHAR(12) NOT NULL, 
	valid_until_ms BIGINT, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(key_id) REFERENCES auth_key (key_id)
);

CREATE INDEX ix_auth_key_newest ON auth_key (created_at_ms, key_id);

CREATE INDEX ix_auth_secret_key_id ON auth_secret (key_id);

