-- Never change this file once it was released: its checksum is compared at every start. Add a new one instead.
-- One text for SQLite and PostgreSQL: TEXT, BIGINT and DOUBLE PRECISION only. Times are Unix milliseconds, flags are 0 or 1.

CREATE TABLE nova_state (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row. Every change of a key adds one to it in the same transaction, so an instance that reads an unchanged number has
-- every key. The row's lock also puts those transactions in order.
CREATE TABLE nova_key_changes (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO nova_key_changes (id, version) VALUES (1, 1);

CREATE TABLE nova_keys (
    id                  TEXT PRIMARY KEY,
    name                TEXT NOT NULL,
    owner               TEXT,
    digest              TEXT NOT NULL UNIQUE, -- HMAC-SHA-256(pepper, key) in hex; the key itself is stored nowhere
    prefix              TEXT NOT NULL,        -- the first eight characters of the key
    scope               TEXT NOT NULL,        -- user, admin
    created_ms          BIGINT NOT NULL,
    expires_ms          BIGINT,
    revoked_ms          BIGINT,
    last_used_ms        BIGINT,
    requests_per_minute BIGINT,
    max_in_flight       BIGINT,
    models              TEXT                  -- a JSON array of names, or NULL for all
);
-- A name may be used again once its key is revoked.
CREATE UNIQUE INDEX nova_keys_name ON nova_keys (name) WHERE revoked_ms IS NULL;

CREATE TABLE nova_usage (
    request_id         TEXT PRIMARY KEY,
    at_ms              BIGINT NOT NULL,
    key_id             TEXT,            -- no foreign key: usage outlives its key
    dialect            TEXT NOT NULL,   -- chat, responses, messages
    path               TEXT NOT NULL,
    model_asked        TEXT NOT NULL,
    model_answered     TEXT,
    provider           TEXT,
    deployment         TEXT,
    attempts           TEXT NOT NULL,   -- a JSON array
    outcome            TEXT NOT NULL,
    status             BIGINT NOT NULL,
    stream             BIGINT NOT NULL,
    estimated          BIGINT NOT NULL,
    input_tokens       BIGINT NOT NULL,
    cache_read_tokens  BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    output_tokens      BIGINT NOT NULL,
    reasoning_tokens   BIGINT NOT NULL,
    cost_nanos         BIGINT NOT NULL, -- 1 USD = 1,000,000,000
    total_us           BIGINT NOT NULL,
    first_token_us     BIGINT,
    overhead_us        BIGINT NOT NULL,
    error_code         TEXT
);
-- For the newest page by page, and for sums over a span of time.
CREATE INDEX nova_usage_at ON nova_usage (at_ms, request_id);
