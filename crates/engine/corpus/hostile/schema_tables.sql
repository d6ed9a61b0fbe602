-- refused
-- The schema tables of SQLite, and writing to them
UPDATE sqlite_master SET sql = 'x'
UPDATE sqlite_schema SET sql = 'x' WHERE name = 'orders'
DELETE FROM sqlite_master
INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x(a)')
INSERT INTO sqlite_sequence VALUES ('orders', 1)
DELETE FROM sqlite_stat1
SELECT * FROM sqlite_temp_master
SELECT * FROM sqlite_temp_schema
SELECT * FROM sqlite_sequence
SELECT * FROM sqlite_stat1
SELECT * FROM sqlite_stat4
SELECT * FROM temp.sqlite_master
SELECT * FROM temp.sqlite_schema
SELECT salary FROM sqlite_master
SELECT rowid FROM sqlite_master
WITH sqlite_master AS (SELECT * FROM people) SELECT salary FROM sqlite_master
WITH sqlite_schema(a) AS (SELECT 1) SELECT * FROM sqlite_schema
WITH sqlite_temp_master(a) AS (SELECT 1) SELECT * FROM sqlite_temp_master
PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = 2
DROP TABLE sqlite_master
CREATE TABLE sqlite_evil(a)
ALTER TABLE sqlite_master RENAME TO x
SELECT * FROM sqlite_master, secrets
