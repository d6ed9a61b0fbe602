-- The value of a secret is encrypted before it comes here.
CREATE TABLE configurations (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    value       TEXT NOT NULL,
    description TEXT,
    is_secret   INTEGER NOT NULL DEFAULT 0 CHECK (is_secret IN (0, 1)),
    updated_at  TEXT NOT NULL
) STRICT;
