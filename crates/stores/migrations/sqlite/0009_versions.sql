-- Which state the rows of a table are in that every question needs and that seldom change. Every change of them draws a
-- new token, in its own transaction and whoever makes it; no two states ever have the same one. So whoever remembers
-- the rows with their token knows from the token alone whether they are still what they were. A count, the highest
-- identifier and the newest time would not do: a change can leave all three as they are.
CREATE TABLE versions (
    name  TEXT PRIMARY KEY,
    token TEXT NOT NULL
) STRICT;

INSERT INTO versions (name, token)
VALUES ('business_ontologies', lower(hex(randomblob(16)))), ('verified_queries', lower(hex(randomblob(16))));

CREATE TRIGGER business_ontologies_version_insert AFTER INSERT ON business_ontologies
BEGIN UPDATE versions SET token = lower(hex(randomblob(16))) WHERE name = 'business_ontologies'; END;

CREATE TRIGGER business_ontologies_version_update AFTER UPDATE ON business_ontologies
BEGIN UPDATE versions SET token = lower(hex(randomblob(16))) WHERE name = 'business_ontologies'; END;

CREATE TRIGGER business_ontologies_version_delete AFTER DELETE ON business_ontologies
BEGIN UPDATE versions SET token = lower(hex(randomblob(16))) WHERE name = 'business_ontologies'; END;

CREATE TRIGGER verified_queries_version_insert AFTER INSERT ON verified_queries
BEGIN UPDATE versions SET token = lower(hex(randomblob(16))) WHERE name = 'verified_queries'; END;

CREATE TRIGGER verified_queries_version_update AFTER UPDATE ON verified_queries
BEGIN UPDATE versions SET token = lower(hex(randomblob(16))) WHERE name = 'verified_queries'; END;

CREATE TRIGGER verified_queries_version_delete AFTER DELETE ON verified_queries
BEGIN UPDATE versions SET token = lower(hex(randomblob(16))) WHERE name = 'verified_queries'; END;
