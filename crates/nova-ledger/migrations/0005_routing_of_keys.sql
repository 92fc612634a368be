-- Never change this file once it was released: its checksum is compared at every start. Add a new one instead.

-- What a key says of routing: JSON, or NULL for nothing.
ALTER TABLE nova_keys ADD COLUMN routing TEXT;
