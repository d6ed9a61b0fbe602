-- refused
-- VACUUM, and VACUUM INTO, which writes a whole new file
VACUUM
VACUUM main
VACUUM INTO 'copy.db'
VACUUM main INTO 'copy.db'
VACUUM INTO '/tmp/copy.db'
VACUUM INTO (SELECT 'copy.db')
VACUUM INTO 'file:copy.db?mode=rwc'
VACUUM INTO 'a' || 'b'
vacuum/**/into/**/'copy.db'
EXPLAIN VACUUM INTO 'copy.db'
VACUUM temp
VACUUM; SELECT 1
SELECT 1; VACUUM INTO 'copy.db'
