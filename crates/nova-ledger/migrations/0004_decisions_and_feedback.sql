-- Never change this file once it was released: its checksum is compared at every start. Add a new one instead.

-- What a request was about, how it was routed, and why its answer ended. All of them are NULL where that is not known.
ALTER TABLE nova_usage ADD COLUMN task TEXT;
ALTER TABLE nova_usage ADD COLUMN session TEXT;    -- a hash of the conversation, never the client's own id for it
ALTER TABLE nova_usage ADD COLUMN experiment TEXT; -- name/arm
ALTER TABLE nova_usage ADD COLUMN preset TEXT;
ALTER TABLE nova_usage ADD COLUMN finish TEXT;
ALTER TABLE nova_usage ADD COLUMN decision TEXT;   -- JSON

-- What clients say of the answers they got: one row for each metric of a request, the last word wins. A request belongs to
-- one key, which alone may speak about it. Model and task are the request's own, so that learning needs no join.
CREATE TABLE nova_feedback (
    request_id TEXT NOT NULL,
    metric     TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    at_ms      BIGINT NOT NULL,
    value      DOUBLE PRECISION, -- NULL where there is only a comment
    comment    TEXT,
    model      TEXT,
    task       TEXT,
    PRIMARY KEY (request_id, metric, key_id)
);
CREATE INDEX nova_feedback_at ON nova_feedback (at_ms);

-- What the router has learnt about the quality of models, version by version. In nova_state, `quality_active` says which one is
-- in force, 0 for none, and its row's lock puts changes in order; `quality_turns` counts how often somebody put another one in
-- force by hand, which every instance has to follow.
CREATE TABLE nova_quality (
    version BIGINT PRIMARY KEY,
    at_ms   BIGINT NOT NULL,
    reason  TEXT NOT NULL,
    size    BIGINT NOT NULL, -- bytes of data
    data    TEXT NOT NULL
);
INSERT INTO nova_state (name, value) VALUES ('quality_active', '0'), ('quality_turns', '0');
