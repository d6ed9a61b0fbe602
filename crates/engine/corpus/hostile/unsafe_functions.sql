-- refused
-- Functions that load code, touch files, or tell about the process
SELECT load_extension('evil.so')
SELECT load_extension('evil.so', 'entry')
SELECT LOAD_EXTENSION('evil' || '.so')
SELECT "load_extension"('evil.so')
SELECT [load_extension]('evil.so')
SELECT readfile('/etc/passwd')
SELECT writefile('out.txt', 'x')
SELECT writefile('out.txt', name) FROM customers
SELECT edit('x')
SELECT fts3_tokenizer('simple')
SELECT fts3_tokenizer('simple', x'4141414141414141')
SELECT sqlite_compileoption_get(0)
SELECT sqlite_compileoption_used('DEBUG')
SELECT sqlite_source_id()
SELECT sqlite_version()
SELECT sqlite_log(1, 'x')
SELECT sqlite_rename_table(0, 0, 0, 0, 0, 0, 0)
SELECT sqlite_attach('x.db', 'x', '')
SELECT sqlite_detach('main')
SELECT sqlite_drop_column(0, 'CREATE TABLE t(a)', 0)
SELECT sqlite_filestat('x')
SELECT sqlite_offset(name) FROM customers
SELECT * FROM fsdir('/')
SELECT * FROM zipfile('x.zip')
SELECT * FROM sqlite_dbpage
SELECT * FROM sqlite_dbdata
SELECT * FROM dbstat
SELECT * FROM sqlite_stmt
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM tables_used('SELECT * FROM secrets')
SELECT name FROM customers WHERE load_extension('x') IS NULL
SELECT name FROM customers ORDER BY load_extension('x')
SELECT name FROM customers GROUP BY name HAVING load_extension('x')
SELECT sum(amount) FILTER (WHERE load_extension('x')) FROM orders
SELECT sum(amount) OVER (ORDER BY load_extension('x')) FROM orders
SELECT name FROM customers LIMIT load_extension('x')
SELECT CASE WHEN 0 THEN load_extension('x') END
VALUES (1), (load_extension('x'))
SELECT * FROM customers JOIN orders ON load_extension('x')
SELECT * FROM json_each(load_extension('x'))
SELECT name REGEXP 'a' FROM customers
SELECT name MATCH 'a' FROM customers
SELECT eval('DELETE FROM orders')
SELECT nosuchfunction(1)
SELECT fts5(1)
SELECT last_insert_rowid(), changes(), total_changes()
SELECT rtreecheck('places')
SELECT rtreenode(2, data) FROM places
SELECT fts5_source_id()
SELECT unistr_quote('x')
