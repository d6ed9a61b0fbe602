-- refused
-- Reaching people.salary, pay and secrets by every road
SELECT salary FROM people
SELECT people.salary FROM people
SELECT main.people.salary FROM people
SELECT p.salary FROM people AS p
SELECT name FROM people WHERE salary > 50000
SELECT name FROM people ORDER BY salary DESC
SELECT name FROM people GROUP BY name HAVING max(salary) > 1
SELECT count(*) FROM people GROUP BY salary
SELECT avg(salary) FROM people
SELECT count(salary) FROM people
SELECT name, rank() OVER (ORDER BY salary) FROM people
SELECT name FROM people WINDOW w AS (PARTITION BY salary)
SELECT sum(id) FILTER (WHERE salary > 1) FROM people
SELECT CASE WHEN salary > 1 THEN 1 END FROM people
SELECT name FROM people LIMIT (SELECT max(salary) FROM people)
SELECT * FROM pay
SELECT salary FROM pay
SELECT count(*) FROM pay
SELECT * FROM secrets
SELECT count(*) FROM secrets
SELECT 1 FROM secrets
SELECT EXISTS (SELECT 1 FROM secrets WHERE token LIKE 'c%')
SELECT name FROM people WHERE id IN secrets
SELECT name FROM people WHERE name IN (SELECT owner FROM secrets)
SELECT name FROM people JOIN secrets ON owner = name
SELECT name FROM people LEFT JOIN secrets USING (id)
SELECT name FROM people NATURAL JOIN secrets
SELECT name FROM people UNION SELECT token FROM secrets
SELECT name FROM people INTERSECT SELECT owner FROM secrets
SELECT name FROM people EXCEPT SELECT owner FROM secrets
WITH s AS (SELECT token FROM secrets) SELECT * FROM s
WITH s AS (SELECT salary FROM people) SELECT * FROM s
WITH pub AS (SELECT salary FROM people) SELECT * FROM pub
WITH pay AS (SELECT salary FROM people) SELECT * FROM pay
WITH s(a, b) AS (SELECT * FROM people WHERE salary > 1) SELECT a FROM s
WITH RECURSIVE s(v) AS (SELECT max(salary) FROM people UNION ALL SELECT v - 1 FROM s WHERE v > 0) SELECT count(*) FROM s
SELECT (SELECT salary FROM people LIMIT 1)
SELECT (SELECT max(salary) FROM people WHERE people.id = o.seller_id) FROM orders AS o
SELECT o.id FROM orders AS o WHERE EXISTS (SELECT 1 FROM people WHERE id = o.seller_id AND salary > 1)
SELECT o.id FROM people AS p JOIN orders AS o ON p.salary > o.amount
SELECT o.id FROM orders AS o JOIN people AS p USING (salary)
SELECT x.salary FROM (SELECT * FROM people) AS x
SELECT salary FROM (SELECT * FROM people)
WITH p AS (SELECT * FROM people) SELECT salary FROM p
WITH p AS (SELECT * FROM people) SELECT p.salary FROM p
SELECT a.salary FROM (people AS a JOIN teams AS t ON t.id = a.team_id)
SELECT salary FROM (people JOIN teams)
SELECT json_object('s', salary) FROM people
SELECT json_group_array(salary) FROM people
SELECT value FROM people, json_each(people.salary)
SELECT name FROM people ORDER BY abs(salary)
SELECT name AS n FROM people UNION SELECT name FROM teams ORDER BY salary
SELECT DISTINCT salary FROM people
SELECT cast(salary AS TEXT) FROM people
SELECT name FROM people WHERE (name, salary) IN (VALUES ('Person 1', 30997))
SELECT name FROM people WHERE salary BETWEEN 1 AND 2
SELECT name FROM people WHERE salary IS NOT NULL
SELECT name FROM people WHERE salary COLLATE NOCASE = 1
SELECT SALARY FROM PEOPLE
SELECT rowid FROM people
SELECT _rowid_, name FROM people
SELECT oid FROM people
SELECT people.rowid FROM people
SELECT name FROM people WHERE rowid = 3
SELECT name FROM main.secrets, people
SELECT (SELECT token FROM secrets WHERE secrets.id = people.id) FROM people
SELECT customers.salary FROM customers JOIN people
SELECT name FROM people WHERE "salary" > 1
SELECT lead(salary) OVER () FROM people
SELECT sum(salary) OVER w FROM people WINDOW w AS (ORDER BY id)
SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN salary PRECEDING AND CURRENT ROW) FROM people
VALUES ((SELECT max(salary) FROM people))
SELECT people.name FROM people, (SELECT token FROM secrets)
