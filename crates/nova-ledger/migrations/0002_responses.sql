-- Never change this file once it was released: its checksum is compared at every start. Add a new one instead.

-- Answers in OpenAI's Responses dialect, kept for `previous_response_id`. The id is the provider's or ours, so it is only
-- unique for one key.
CREATE TABLE nova_responses (
    key_id      TEXT NOT NULL,
    id          TEXT NOT NULL,
    previous_id TEXT,            -- the answer before it in the conversation
    created_ms  BIGINT NOT NULL,
    expires_ms  BIGINT NOT NULL,
    size        BIGINT NOT NULL, -- bytes of content
    content     TEXT NOT NULL,   -- base64 of AES-256-GCM(nonce, input items and answer)
    PRIMARY KEY (key_id, id)
);
CREATE INDEX nova_responses_by_expiry ON nova_responses (expires_ms);
CREATE INDEX nova_responses_by_age ON nova_responses (created_ms);
