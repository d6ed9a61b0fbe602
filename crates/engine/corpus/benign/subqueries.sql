-- Subqueries in every position
SELECT (SELECT count(*) FROM orders)
SELECT name, (SELECT count(*) FROM orders AS o WHERE o.customer_id = c.id) AS n FROM customers AS c
SELECT name, (SELECT count(*) FROM orders WHERE customer_id = customers.id) AS n FROM customers ORDER BY n DESC LIMIT 3
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE amount > 1000)
SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders)
SELECT name FROM customers AS c WHERE EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id AND status = 'open')
SELECT name FROM customers AS c WHERE NOT EXISTS (SELECT * FROM orders AS o WHERE o.customer_id = c.id)
SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders)
SELECT id FROM orders AS o WHERE amount = (SELECT max(amount) FROM orders WHERE customer_id = o.customer_id)
SELECT country FROM customers GROUP BY country HAVING count(*) > (SELECT count(*) FROM teams)
SELECT name FROM customers ORDER BY (SELECT count(*) FROM orders WHERE customer_id = customers.id) DESC
SELECT name FROM customers LIMIT (SELECT count(*) FROM teams)
SELECT name FROM customers LIMIT 2 OFFSET (SELECT 1)
SELECT x.a FROM (SELECT id AS a FROM orders) AS x
SELECT a FROM (SELECT id AS a FROM orders)
SELECT * FROM (SELECT * FROM (SELECT * FROM teams))
SELECT c.name FROM customers AS c JOIN orders AS o ON o.id = (SELECT max(id) FROM orders WHERE customer_id = c.id)
SELECT CASE WHEN (SELECT count(*) FROM orders) > 10 THEN 'many' ELSE 'few' END
SELECT coalesce((SELECT name FROM teams WHERE id = 99), 'none')
SELECT sum(amount) / (SELECT sum(amount) FROM orders) FROM orders WHERE status = 'open'
SELECT (SELECT (SELECT c.name FROM teams LIMIT 1) FROM orders LIMIT 1) FROM customers AS c
SELECT o.id FROM orders AS o WHERE EXISTS (SELECT 1 FROM customers AS c WHERE c.id = o.customer_id AND EXISTS (SELECT 1 FROM teams AS t WHERE t.city = c.city AND t.id <> o.seller_id))
SELECT (customer_id, status) IN (SELECT customer_id, status FROM orders WHERE id = 3) FROM orders LIMIT 2
SELECT name AS n FROM customers WHERE n IN (SELECT n FROM people)
SELECT id AS i, (SELECT sum(amount) FROM orders WHERE customer_id = i) FROM (SELECT id, id AS i FROM customers)
SELECT name FROM customers WHERE (SELECT count(*) FROM orders WHERE orders.customer_id = customers.id) >= 3
SELECT o.id FROM orders o WHERE o.amount >= (SELECT avg(i.amount) FROM orders i WHERE i.customer_id = o.customer_id GROUP BY i.status LIMIT 1)
SELECT t.name FROM teams AS t WHERE t.id = (SELECT p.team_id FROM people AS p GROUP BY p.team_id ORDER BY count(*) DESC LIMIT 1)
SELECT sum(n) FROM (SELECT count(*) AS n FROM orders UNION ALL SELECT count(*) FROM customers)
SELECT max(total) FROM order_totals WHERE customer_id IN (SELECT id FROM customers WHERE country = 'Italy')
SELECT row_number() OVER (ORDER BY (SELECT count(*) FROM orders WHERE customer_id = c.id)) FROM customers AS c
SELECT id FROM teams WHERE id IN (1, (SELECT min(id) FROM teams), 1 + 1)
SELECT id FROM customers WHERE id IN ()
SELECT name FROM people WHERE team_id = (SELECT id FROM teams WHERE name = 'Sales')
SELECT value FROM json_each((SELECT json_group_array(id) FROM teams))
