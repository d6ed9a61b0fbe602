-- refused
-- Common table expressions that take the name of a table
WITH orders AS (SELECT * FROM customers) SELECT * FROM orders
WITH ORDERS AS (SELECT 1 AS id) SELECT id FROM orders
WITH "Order Details" AS (SELECT 1) SELECT * FROM "Order Details"
WITH order_totals AS (SELECT 1 AS total) SELECT total FROM order_totals
WITH notes AS (SELECT 'x' AS title) SELECT title FROM notes
WITH a AS (WITH people AS (SELECT 1 AS salary) SELECT salary FROM people) SELECT * FROM a
SELECT (WITH teams AS (SELECT 1 AS x) SELECT x FROM teams)
WITH RECURSIVE people(id, salary) AS (SELECT 1, 2 UNION ALL SELECT id + 1, salary FROM people WHERE id < 3) SELECT salary FROM people
WITH sqlite_master(name) AS (SELECT token FROM secrets) SELECT name FROM sqlite_master
WITH sqlite_sequence(name) AS (VALUES ('x')) SELECT name FROM sqlite_sequence
WITH SQLITE_anything AS (SELECT 1) SELECT 1
WITH a AS (SELECT 1), customers AS (SELECT 2) SELECT * FROM a
