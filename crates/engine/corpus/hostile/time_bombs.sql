-- bounded
-- Joins and expressions that take for ever
SELECT count(*) FROM orders AS a, orders AS b, orders AS c, orders AS d
SELECT count(*) FROM orders AS a CROSS JOIN orders AS b CROSS JOIN orders AS c
SELECT max(a.amount + b.amount + c.amount) FROM orders AS a, orders AS b, orders AS c
SELECT * FROM orders AS a, orders AS b, orders AS c WHERE a.note = b.note || c.note
SELECT count(*) FROM orders AS a JOIN orders AS b ON a.amount < b.amount JOIN orders AS c ON b.amount < c.amount
SELECT a.id FROM orders AS a WHERE (SELECT count(*) FROM orders AS b, orders AS c WHERE b.amount < c.amount + a.amount) > 0
SELECT count(*) FROM customers WHERE name LIKE '%{repeat:60:a%}b' OR {repeat:8:name LIKE '%a%b%c%d%' OR }0
SELECT count(*) FROM orders AS a, orders AS b, orders AS c WHERE a.note LIKE '%' || b.note || '%' || c.note
SELECT count(*) FROM orders AS a, orders AS b, orders AS c WHERE a.note GLOB '*{repeat:40:?*}z'
SELECT '{repeat:20000:a}' LIKE '{repeat:5000:a%}b' FROM orders
SELECT count(*) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) AS a, orders AS b, orders AS c, orders AS d
SELECT a.id, (SELECT group_concat(b.id) FROM orders AS b, orders AS c WHERE c.amount > a.amount) FROM orders AS a
SELECT count(*) FROM orders AS a NATURAL JOIN orders AS b, orders AS c, orders AS d, orders AS e
SELECT sum(x.a) FROM (SELECT a.id AS a FROM orders AS a, orders AS b, orders AS c LIMIT -1) AS x
SELECT count(*) FROM json_each('[{repeat:200:1,}1]') AS a, json_each('[{repeat:200:1,}1]') AS b, json_each('[{repeat:200:1,}1]') AS c, json_each('[{repeat:200:1,}1]') AS d
SELECT count(*) FROM orders AS a FULL JOIN orders AS b ON a.amount <> b.amount FULL JOIN orders AS c ON a.amount <> c.amount
SELECT abs(a.amount) FROM orders AS a ORDER BY (SELECT sum(b.amount * c.amount) FROM orders AS b, orders AS c WHERE b.id <> a.id)
SELECT count(*) FROM orders AS a, orders AS b, orders AS c LIMIT 1 OFFSET 9223372036854775807
