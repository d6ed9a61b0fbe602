-- Names of tables and columns compare as SQLite compares them: without regard to ASCII case.
CREATE TABLE policies (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    role        TEXT NOT NULL CHECK (role IN ('admin', 'analyst', 'viewer')),
    table_name  TEXT NOT NULL COLLATE NOCASE,
    column_name TEXT COLLATE NOCASE,
    created_at  TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX policies_of_tables ON policies (role, table_name) WHERE column_name IS NULL;
CREATE UNIQUE INDEX policies_of_columns ON policies (role, table_name, column_name) WHERE column_name IS NOT NULL;
