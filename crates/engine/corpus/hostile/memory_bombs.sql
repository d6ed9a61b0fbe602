-- bounded
-- Values made large by degrees
SELECT group_concat(a.name || b.name) FROM customers AS a, customers AS b, customers AS c
SELECT group_concat(hex(a.name), hex(b.name)) FROM orders AS o, customers AS a, customers AS b
SELECT string_agg(a.profile, b.profile) FROM customers AS a, customers AS b, customers AS c
SELECT json_group_array(a.profile) FROM customers AS a, orders AS b, orders AS c
SELECT json_group_object(a.id, b.profile) FROM customers AS a, customers AS b, customers AS c
SELECT printf('%1000000000d', 1)
SELECT printf('%*d', 1000000000, 1)
SELECT format('%.1000000000f', 1.0)
SELECT printf('%1000000000s', name) FROM customers
SELECT printf('%s%s%s%s', printf('%900000000s', 'a'), printf('%900000000s', 'a'), 'a', 'b')
SELECT replace(replace(replace(replace(replace(replace(replace(replace('aaaaaaaaaa','a','aaaaaaaaaa'),'a','aaaaaaaaaa'),'a','aaaaaaaaaa'),'a','aaaaaaaaaa'),'a','aaaaaaaaaa'),'a','aaaaaaaaaa'),'a','aaaaaaaaaa'),'a','aaaaaaaaaa')
SELECT hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex(hex('abcdefgh')))))))))))))))))))))))))))
WITH RECURSIVE n(i, s) AS (SELECT 1, 'abcdefgh' UNION ALL SELECT i + 1, s || s FROM n WHERE i < 60) SELECT max(length(s)) FROM n
WITH RECURSIVE n(i, s) AS (SELECT 1, '[1]' UNION ALL SELECT i + 1, json_array(s, s) FROM n WHERE i < 60) SELECT length(s) FROM n
WITH RECURSIVE n(i, s) AS (SELECT 1, 'a' UNION ALL SELECT i + 1, replace(s, 'a', 'aaaaaaaa') FROM n WHERE i < 40) SELECT length(s) FROM n
WITH RECURSIVE n(i, s) AS (SELECT 1, 'a' UNION ALL SELECT i + 1, quote(s) || quote(s) FROM n WHERE i < 60) SELECT i FROM n
WITH RECURSIVE n(i, s) AS (SELECT 1, 'a' UNION ALL SELECT i + 1, printf('%s%s%s', s, s, s) FROM n WHERE i < 60) SELECT i FROM n
SELECT DISTINCT a.note, b.name, c.profile, a.id, b.id, c.id FROM orders AS a, customers AS b, customers AS c
SELECT a.id, b.id, c.id FROM orders AS a, orders AS b, orders AS c ORDER BY a.amount * b.amount * c.amount
SELECT a.profile || b.profile || c.profile AS p FROM customers AS a, customers AS b, customers AS c GROUP BY p
SELECT a.profile FROM customers AS a, customers AS b, customers AS c, customers AS d
SELECT sum(a.amount) OVER (ORDER BY a.amount, b.amount) FROM orders AS a, orders AS b
WITH big AS MATERIALIZED (SELECT a.profile AS p, b.profile AS q FROM orders AS o, customers AS a, customers AS b) SELECT count(*) FROM big AS x, big AS y
SELECT count(*) FROM (SELECT a.id, b.id AS c FROM orders AS a, orders AS b UNION SELECT a.amount, b.amount FROM orders AS a, orders AS b)
SELECT json_insert(profile, '$.a', (SELECT json_group_array(profile) FROM customers, orders)) FROM customers
SELECT concat_ws((SELECT group_concat(profile) FROM customers, orders), 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h') FROM orders
SELECT upper(group_concat(a.profile)) || lower(group_concat(b.profile)) FROM customers AS a, customers AS b, orders AS c, orders AS d
