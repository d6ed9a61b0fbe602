-- `canonical` is the entry as RFC 8785 JSON and `hash` its SHA-256; `changes` is for people and filters.
-- The identifier is drawn, never given: a place among older entries cannot be chosen.
CREATE TABLE audit_logs (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     BIGINT REFERENCES users (id),
    action      TEXT NOT NULL,
    resource    TEXT NOT NULL,
    resource_id BIGINT,
    changes     JSONB NOT NULL,
    timestamp   TIMESTAMPTZ NOT NULL CHECK (isfinite(timestamp)),
    canonical   BYTEA NOT NULL,
    hash        BYTEA NOT NULL CHECK (length(hash) = 32)
);

CREATE INDEX audit_logs_by_user ON audit_logs (user_id, id);
CREATE INDEX audit_logs_by_action ON audit_logs (action, id);
CREATE INDEX audit_logs_by_resource ON audit_logs (resource, resource_id, id);
CREATE INDEX audit_logs_by_time ON audit_logs (timestamp);

-- Each seal closes the entries above the last row of the one before, up to its own last row.
CREATE TABLE audit_seals (
    number    BIGINT PRIMARY KEY,
    first_row BIGINT NOT NULL CHECK (first_row > 0),
    last_row  BIGINT NOT NULL UNIQUE CHECK (last_row >= first_row),
    row_count BIGINT NOT NULL CHECK (row_count > 0),
    root      BYTEA NOT NULL CHECK (length(root) = 32),
    previous  BYTEA NOT NULL UNIQUE CHECK (length(previous) = 32),
    sealed_at TIMESTAMPTZ NOT NULL CHECK (isfinite(sealed_at)),
    key_id    TEXT NOT NULL,
    signature BYTEA NOT NULL CHECK (length(signature) = 64)
);

-- Rows are appended and read, nothing else, by the owner too. ALWAYS: also where session_replication_role would silence
-- an ordinary trigger.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER audit_logs_append_only;

CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_append_only;
