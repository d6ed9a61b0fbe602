CREATE TABLE audit_logs (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id   INTEGER REFERENCES users (id),
    action    TEXT NOT NULL,
    resource  TEXT NOT NULL,
    changes   TEXT NOT NULL CHECK (json_valid(changes)),
    timestamp TEXT NOT NULL
) STRICT;

CREATE INDEX audit_logs_by_user ON audit_logs (user_id, id);

-- Rows are appended and read, nothing else.
CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END;

CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END;
