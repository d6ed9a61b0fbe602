-- One rating for each user and query; a second one replaces the first.
CREATE TABLE feedback (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    query_id   INTEGER NOT NULL REFERENCES queries (id),
    user_id    INTEGER NOT NULL REFERENCES users (id),
    rating     INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment    TEXT,
    created_at TEXT NOT NULL,
    UNIQUE (query_id, user_id)
) STRICT;

CREATE INDEX feedback_by_query ON feedback (query_id, id);
CREATE INDEX feedback_by_user ON feedback (user_id, id);
