-- Set operations and VALUES
SELECT city FROM customers UNION SELECT city FROM teams
SELECT city FROM customers UNION ALL SELECT city FROM teams ORDER BY city
SELECT city FROM customers INTERSECT SELECT city FROM teams
SELECT city FROM customers EXCEPT SELECT city FROM teams
SELECT city AS place FROM customers UNION SELECT city FROM teams ORDER BY place DESC LIMIT 3
SELECT city, 1 FROM customers UNION SELECT name, 2 FROM teams ORDER BY 2, 1
SELECT name FROM people UNION SELECT name FROM teams UNION SELECT name FROM customers ORDER BY 1
SELECT id FROM orders EXCEPT SELECT "order id" FROM "Order Details"
SELECT name FROM customers UNION SELECT city FROM teams ORDER BY name
SELECT name AS a FROM customers UNION SELECT city AS b FROM teams ORDER BY b
SELECT lower(name) FROM customers UNION SELECT city FROM teams ORDER BY lower(name)
SELECT * FROM (SELECT id FROM teams UNION SELECT id FROM people) WHERE id > 2
SELECT count(*) FROM (SELECT name FROM teams UNION ALL SELECT name FROM people)
SELECT * FROM teams UNION SELECT id, name, email FROM people
VALUES (1)
VALUES (1, 'a'), (2, 'b')
VALUES (1), (2) UNION SELECT 3
SELECT * FROM (VALUES (1, 'a'), (2, 'b'))
SELECT column1, column2 FROM (VALUES (1, 'a'), (2, 'b')) AS v WHERE v.column1 = 1
SELECT name FROM teams WHERE (id, name) IN (VALUES (1, 'Sales'), (2, 'Support'))
VALUES ((SELECT count(*) FROM orders))
SELECT status FROM orders INTERSECT SELECT 'open' UNION ALL SELECT 'none'
