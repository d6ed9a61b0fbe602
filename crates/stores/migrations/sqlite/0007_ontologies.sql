-- `synonyms` is a JSON array of texts; `term_folded` is the name in lower case, all of Unicode.
CREATE TABLE business_ontologies (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    term_name   TEXT NOT NULL,
    term_folded TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    synonyms    TEXT NOT NULL DEFAULT '[]' CHECK (json_type(synonyms) = 'array'),
    data_source TEXT,
    owner       TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;

CREATE TABLE verified_queries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    question    TEXT NOT NULL,
    sql         TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('proposed', 'approved', 'rejected')),
    query_id    INTEGER REFERENCES queries (id),
    proposed_by INTEGER REFERENCES users (id),
    approved_by INTEGER REFERENCES users (id),
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;

CREATE INDEX verified_queries_by_status ON verified_queries (status, id);
CREATE INDEX verified_queries_by_query ON verified_queries (query_id) WHERE query_id IS NOT NULL;
