-- bounded
-- Large but lawful texts
SELECT count(*) FROM orders WHERE id IN ({repeat:8000:1,}1)
SELECT count(*) FROM orders WHERE {repeat:150:id = 1 OR }id = 2
VALUES {repeat:4000:(1),}(2)
SELECT {repeat:90:(}1{repeat:90:)}
SELECT {repeat:1500:id, }id FROM orders
SELECT 1{repeat:300: UNION ALL SELECT 1}
SELECT '{repeat:20000:x}' FROM orders
SELECT length('{repeat:10000:''}') FROM orders
SELECT 1 FROM {repeat:60:orders, }teams
SELECT coalesce({repeat:120:NULL, }1)
SELECT CASE id {repeat:500:WHEN 1 THEN 2 } END FROM orders
WITH {repeat:0:x}a AS (SELECT 1 AS i), b AS (SELECT a.i FROM a, a AS c), d AS (SELECT b.i FROM b, b AS e), f AS (SELECT d.i FROM d, d AS g) SELECT count(*) FROM f, f AS h
SELECT id FROM orders ORDER BY {repeat:300:id, }id
SELECT {repeat:40:abs(}id{repeat:40:)} FROM orders
SELECT 1 UNION SELECT 2 ORDER BY (SELECT 1 UNION SELECT 2 ORDER BY (SELECT 1 UNION SELECT 2 ORDER BY 1))
WITH a AS (SELECT * FROM orders), b AS (SELECT x.*, y.*, z.* FROM a AS x, a AS y, a AS z), c AS (SELECT x.*, y.*, z.* FROM b AS x, b AS y, b AS z), d AS (SELECT x.*, y.*, z.* FROM c AS x, c AS y, c AS z), e AS (SELECT x.*, y.*, z.* FROM d AS x, d AS y, d AS z), f AS (SELECT x.*, y.*, z.* FROM e AS x, e AS y, e AS z) SELECT count(*) FROM f
