-- Which state the rows of a table are in that every question needs and that seldom change. Every change of them draws a
-- new token, in its own transaction and whoever makes it; no two states ever have the same one. So whoever remembers
-- the rows with their token knows from the token alone whether they are still what they were. A count, the highest
-- identifier and the newest time would not do: a change can leave all three as they are.
CREATE TABLE versions (
    name  TEXT COLLATE "C" PRIMARY KEY,
    token TEXT NOT NULL
);

INSERT INTO versions (name, token)
VALUES ('business_ontologies', gen_random_uuid()), ('verified_queries', gen_random_uuid());

CREATE FUNCTION draw_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE versions SET token = gen_random_uuid() WHERE name = TG_TABLE_NAME;
    RETURN NULL;
END
$$;

CREATE TRIGGER business_ontologies_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON business_ontologies
    FOR EACH STATEMENT EXECUTE FUNCTION draw_version();
ALTER TABLE business_ontologies ENABLE ALWAYS TRIGGER business_ontologies_version;

CREATE TRIGGER verified_queries_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON verified_queries
    FOR EACH STATEMENT EXECUTE FUNCTION draw_version();
ALTER TABLE verified_queries ENABLE ALWAYS TRIGGER verified_queries_version;
