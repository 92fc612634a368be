-- Never change this file once it was released: its checksum is compared at every start. Add a new one instead.

-- Whether a key's conversations may be kept: 1, 0, or NULL for what the configuration says.
ALTER TABLE nova_keys ADD COLUMN store_prompts BIGINT;
