CREATE TABLE conversations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    title      TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX conversations_by_user ON conversations (user_id, id);

CREATE TABLE queries (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id            INTEGER NOT NULL REFERENCES users (id),
    conversation_id    INTEGER REFERENCES conversations (id),
    question           TEXT,
    sql                TEXT,
    status             TEXT NOT NULL CHECK (status IN ('pending', 'success', 'error')),
    error_code         TEXT,
    error_message      TEXT,
    result_count       INTEGER,
    duration_ms        INTEGER,
    generator          TEXT,
    cached             INTEGER NOT NULL DEFAULT 0 CHECK (cached IN (0, 1)),
    target_fingerprint TEXT,
    receipt            TEXT CHECK (receipt IS NULL OR json_valid(receipt)),
    instance_id        TEXT NOT NULL,
    lease_until        TEXT NOT NULL,
    created_at         TEXT NOT NULL,
    executed_at        TEXT
) STRICT;

CREATE INDEX queries_by_user ON queries (user_id, id);
CREATE INDEX queries_by_status ON queries (status, id);
CREATE INDEX queries_by_conversation ON queries (conversation_id, id) WHERE conversation_id IS NOT NULL;
CREATE INDEX queries_pending ON queries (lease_until) WHERE status = 'pending';
