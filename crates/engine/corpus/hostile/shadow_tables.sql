-- refused
-- The tables behind virtual tables
SELECT * FROM notes_data
SELECT * FROM notes_idx
SELECT * FROM notes_content
SELECT c0, c1 FROM notes_content
SELECT * FROM notes_docsize
SELECT * FROM notes_config
SELECT * FROM places_node
SELECT * FROM places_rowid
SELECT * FROM places_parent
DELETE FROM notes_data
UPDATE notes_content SET c0 = 'x'
INSERT INTO notes_config VALUES ('pgsz', 1)
DROP TABLE notes_idx
UPDATE places_node SET data = x'00'
INSERT INTO notes(notes, rank) VALUES ('rank', 'bm25(10.0)')
CREATE VIRTUAL TABLE v USING fts5vocab('notes', 'row')
CREATE VIRTUAL TABLE temp.v USING fts5vocab('main', 'notes', 'row')
SELECT * FROM fts5vocab
SELECT id FROM notes, notes_content
SELECT (SELECT block FROM notes_data LIMIT 1) FROM notes
SELECT title FROM notes WHERE rowid IN (SELECT id FROM notes_content)
SELECT title FROM notes WHERE rowid IN notes_idx
