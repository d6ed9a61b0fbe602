-- refused
-- More than one statement in one text
SELECT 1; SELECT 2
SELECT 1; DROP TABLE orders
SELECT name FROM customers; DELETE FROM customers
SELECT 1;; SELECT 2;
SELECT 1; -- done\nSELECT 2
SELECT 1 /* ; */ ; SELECT 2
;;;SELECT 1;;;SELECT 2
SELECT 1; PRAGMA query_only = 0; DELETE FROM orders
SELECT 1; ATTACH 'x.db' AS x
SELECT 1;\nUPDATE orders SET amount = 0;
SELECT 1; BEGIN; DELETE FROM orders; COMMIT
DELETE FROM orders; SELECT 1
SELECT 1; VALUES (2)
SELECT ';'; SELECT ';'
SELECT 1;\r\nCREATE TABLE t(a);\r\n
WITH a AS (SELECT 1) SELECT * FROM a; WITH b AS (SELECT 2) SELECT * FROM b
SELECT 1; EXPLAIN SELECT 2
{repeat:500:SELECT 1;}
SELECT 1; this is not sql
SELECT name FROM customers WHERE name = 'x'; DROP TABLE customers; --'
