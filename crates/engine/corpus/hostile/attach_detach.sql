-- refused
-- Reaching another file
ATTACH DATABASE 'other.db' AS other
ATTACH 'other.db' AS other
ATTACH ':memory:' AS scratch
ATTACH '' AS scratch
ATTACH 'file:other.db?mode=rwc' AS other
ATTACH DATABASE 'other.db' AS other KEY 'secret'
ATTACH (SELECT name FROM customers LIMIT 1) AS other
ATTACH 'oth' || 'er.db' AS other
attach "/etc/passwd" as p
ATTACH DATABASE x'2f746d702f78' AS other
DETACH DATABASE main
DETACH other
DETACH 'main'
SELECT * FROM other.customers
SELECT temp.x.y FROM temp.x
WITH x AS (SELECT 1) ATTACH 'a' AS b
EXPLAIN ATTACH 'other.db' AS other
