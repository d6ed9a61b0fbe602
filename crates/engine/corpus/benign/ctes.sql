-- Common table expressions
WITH big AS (SELECT * FROM orders WHERE amount > 900) SELECT count(*) FROM big
WITH big(order_id, euro) AS (SELECT id, amount FROM orders) SELECT order_id FROM big WHERE euro > 900
WITH a AS (SELECT id FROM customers), b AS (SELECT id FROM a WHERE id < 10) SELECT * FROM b JOIN a USING (id)
WITH totals AS (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) SELECT c.name, t.total FROM customers AS c JOIN totals AS t ON t.customer_id = c.id ORDER BY t.total DESC LIMIT 5
WITH x AS MATERIALIZED (SELECT id FROM orders) SELECT count(*) FROM x
WITH x AS NOT MATERIALIZED (SELECT id FROM orders) SELECT count(*) FROM x
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12) SELECT i FROM n
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 12) SELECT sum(i) FROM n
WITH n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n
WITH RECURSIVE chain(id, name, depth) AS (SELECT id, name, 0 FROM people WHERE manager_id IS NULL UNION ALL SELECT p.id, p.name, c.depth + 1 FROM people AS p JOIN chain AS c ON p.manager_id = c.id) SELECT depth, count(*) FROM chain GROUP BY depth
WITH RECURSIVE chain AS (SELECT id, manager_id, 0 AS depth FROM people WHERE manager_id IS NULL UNION ALL SELECT p.id, p.manager_id, depth + 1 FROM people AS p, chain WHERE p.manager_id = chain.id) SELECT max(depth) FROM chain
WITH RECURSIVE months(m) AS (SELECT '2021-01-01' UNION ALL SELECT date(m, '+1 month') FROM months WHERE m < '2021-12-01') SELECT m, (SELECT count(*) FROM orders WHERE substr(ordered_on, 1, 7) = substr(m, 1, 7)) FROM months
WITH RECURSIVE fib(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM fib WHERE b < 1000) SELECT a FROM fib
WITH a AS (WITH b AS (SELECT 1 AS i) SELECT i FROM b) SELECT i FROM a
SELECT * FROM (WITH a AS (SELECT 1 AS i) SELECT i FROM a)
SELECT name FROM customers WHERE id IN (WITH a AS (SELECT customer_id FROM orders WHERE amount > 900) SELECT customer_id FROM a)
WITH a AS (SELECT 1 AS i), a2 AS (SELECT i FROM a UNION ALL SELECT i FROM a) SELECT count(*) FROM a2
WITH later AS (SELECT * FROM sooner), sooner AS (SELECT 1 AS i) SELECT i FROM later
WITH c AS (SELECT * FROM people) SELECT name FROM c WHERE c.id = 3
WITH c AS (SELECT p.*, t.city FROM people AS p JOIN teams AS t ON t.id = p.team_id) SELECT name, city FROM c
WITH v(a, b) AS (VALUES (1, 'x'), (2, 'y')) SELECT b FROM v WHERE a = 2
WITH a AS (SELECT 1 AS i) SELECT a.* FROM a
WITH a AS (SELECT 1 AS i) SELECT x.i FROM a AS x, a AS y WHERE x.i = y.i
WITH a AS (SELECT 1 AS i) SELECT i FROM a UNION SELECT 2 ORDER BY i
WITH RECURSIVE sudoku(s) AS (SELECT 'a' UNION ALL SELECT s || 'b' FROM sudoku WHERE length(s) < 4) SELECT s FROM sudoku ORDER BY length(s)
WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT i + 10 FROM t WHERE i < 50) SELECT i FROM t
WITH unused AS (SELECT 1) SELECT name FROM teams
