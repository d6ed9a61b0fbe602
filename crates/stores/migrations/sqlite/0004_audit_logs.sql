-- `canonical` is the entry as RFC 8785 JSON and `hash` its SHA-256; `changes` is for people and filters.
CREATE TABLE audit_logs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     INTEGER REFERENCES users (id),
    action      TEXT NOT NULL,
    resource    TEXT NOT NULL,
    resource_id INTEGER,
    changes     TEXT NOT NULL CHECK (json_valid(changes)),
    timestamp   TEXT NOT NULL,
    canonical   BLOB NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_logs_by_user ON audit_logs (user_id, id);
CREATE INDEX audit_logs_by_action ON audit_logs (action, id);
CREATE INDEX audit_logs_by_resource ON audit_logs (resource, resource_id, id);
CREATE INDEX audit_logs_by_time ON audit_logs (timestamp);

-- Each seal closes the entries above the last row of the one before, up to its own last row.
CREATE TABLE audit_seals (
    number    INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL CHECK (first_row > 0),
    last_row  INTEGER NOT NULL UNIQUE CHECK (last_row >= first_row),
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    root      BLOB NOT NULL CHECK (length(root) = 32),
    previous  BLOB NOT NULL UNIQUE CHECK (length(previous) = 32),
    sealed_at TEXT NOT NULL,
    key_id    TEXT NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;

-- Rows are appended and read, nothing else. INSERT OR REPLACE removes a row without a DELETE, so a row must come after
-- all others; NEW.id is -1 where the statement gives none.
CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END;

CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END;

CREATE TRIGGER audit_logs_no_replace BEFORE INSERT ON audit_logs
WHEN NEW.id > 0 AND NEW.id <= (SELECT max(id) FROM audit_logs)
BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only'); END;

CREATE TRIGGER audit_seals_no_update BEFORE UPDATE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'audit_seals is append-only'); END;

CREATE TRIGGER audit_seals_no_delete BEFORE DELETE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'audit_seals is append-only'); END;

CREATE TRIGGER audit_seals_no_replace BEFORE INSERT ON audit_seals
WHEN NEW.number <= (SELECT max(number) FROM audit_seals) OR NEW.last_row <= (SELECT max(last_row) FROM audit_seals)
BEGIN SELECT RAISE(ABORT, 'audit_seals is append-only'); END;
