CREATE TABLE queries (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id            INTEGER NOT NULL REFERENCES users (id),
    question           TEXT,
    sql                TEXT,
    status             TEXT NOT NULL CHECK (status IN ('pending', 'success', 'error')),
    error_code         TEXT,
    error_message      TEXT,
    result_count       INTEGER,
    duration_ms        INTEGER,
    generator          TEXT,
    target_fingerprint TEXT,
    receipt            TEXT CHECK (receipt IS NULL OR json_valid(receipt)),
    instance_id        TEXT NOT NULL,
    lease_until        TEXT NOT NULL,
    created_at         TEXT NOT NULL,
    executed_at        TEXT
) STRICT;

CREATE INDEX queries_by_user ON queries (user_id, id);
CREATE INDEX queries_pending ON queries (lease_until) WHERE status = 'pending';
