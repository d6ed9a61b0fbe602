-- Text: LIKE, GLOB, functions, quoting
SELECT name FROM customers WHERE name LIKE 'Customer 1%'
SELECT name FROM customers WHERE name NOT LIKE '%9'
SELECT note FROM orders WHERE note LIKE '%100\\%%' ESCAPE '\\'
SELECT name FROM customers WHERE name GLOB 'Customer [0-9]'
SELECT name FROM customers WHERE name NOT GLOB '*1*'
SELECT name FROM customers WHERE like('%er 5%', name)
SELECT name FROM customers WHERE name LIKE '%' || '12' || '%'
SELECT upper(name), lower(name), length(name), substr(name, 1, 3), substring(name, 2) FROM teams
SELECT trim('  x '), ltrim('xxa', 'x'), rtrim('axx', 'x'), replace(name, 'a', 'b') FROM teams
SELECT instr(email, '@'), substr(email, instr(email, '@') + 1) FROM people
SELECT name || ' <' || email || '>' FROM people
SELECT printf('%05.2f', amount), format('%s: %d', status, id) FROM orders
SELECT quote(name), hex(name), unicode(name), char(72, 105), soundex(name) FROM teams
SELECT concat(name, ' ', city), concat_ws(', ', name, city) FROM teams
SELECT 'it''s', 'say "hi"', 'semi;colon', '-- no comment', '/* nor this */'
SELECT name FROM teams WHERE name = 'Sales' COLLATE NOCASE
SELECT name FROM customers ORDER BY name COLLATE RTRIM
SELECT typeof(name), typeof(id), typeof(NULL), typeof(1.5), typeof(x'00') FROM teams
SELECT x'48656c6c6f', cast(x'48656c6c6f' AS TEXT)
SELECT name FROM customers WHERE name IN ('Customer 1', 'Customer 2')
SELECT 'Zürich', 'naïve', '東京', '🙂'
SELECT name FROM customers WHERE city BETWEEN 'City 1' AND 'City 2'
SELECT octet_length(name), likelihood(id > 3, 0.5), likely(id), unlikely(id) FROM teams
SELECT title FROM notes WHERE notes MATCH 'order'
SELECT title, highlight(notes, 1, '[', ']') FROM notes WHERE notes MATCH 'order' ORDER BY rank LIMIT 3
SELECT title, snippet(notes, 1, '<', '>', '...', 5), bm25(notes) FROM notes WHERE notes MATCH 'order AND customer'
SELECT title FROM notes WHERE body MATCH 'order'
SELECT n.rowid, n.title FROM notes AS n WHERE n.title LIKE 'Order 1%'
SELECT id FROM places WHERE min_x >= 10 AND max_x <= 20
