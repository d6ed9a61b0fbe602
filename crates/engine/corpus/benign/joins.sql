-- Joins of every kind
SELECT c.name, o.amount FROM customers AS c JOIN orders AS o ON o.customer_id = c.id
SELECT c.name, o.amount FROM customers c INNER JOIN orders o ON o.customer_id = c.id WHERE o.status = 'open'
SELECT c.name, o.id FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id WHERE o.id IS NULL
SELECT c.name, count(o.id) FROM customers c LEFT OUTER JOIN orders o ON o.customer_id = c.id GROUP BY c.id
SELECT t.name, p.name FROM teams AS t RIGHT JOIN people AS p ON p.team_id = t.id
SELECT t.name, p.name FROM teams AS t FULL OUTER JOIN people AS p ON p.team_id = t.id
SELECT t.name, u.name FROM teams AS t CROSS JOIN teams AS u
SELECT c.name, o.amount FROM customers c, orders o WHERE o.customer_id = c.id
SELECT p.name, m.name AS manager FROM people AS p JOIN people AS m ON m.id = p.manager_id
SELECT id, amount, order_count FROM orders JOIN order_totals USING (customer_id)
SELECT customer_id FROM orders JOIN order_totals USING (customer_id)
SELECT orders.customer_id, order_totals.customer_id FROM orders JOIN order_totals USING (customer_id)
SELECT * FROM orders NATURAL JOIN order_totals
SELECT customer_id, total FROM orders NATURAL JOIN order_totals
SELECT name FROM people NATURAL JOIN (SELECT 1 AS id)
SELECT o.id, d.product FROM orders AS o JOIN "Order Details" AS d ON d."order id" = o.id
SELECT c.name, t.city FROM (customers AS c JOIN teams AS t ON t.city = c.city)
SELECT * FROM (customers JOIN orders ON orders.customer_id = customers.id)
SELECT p.name, t.name FROM (people p JOIN teams t ON t.id = p.team_id) WHERE t.city = 'Berlin'
SELECT c.name FROM customers c JOIN (orders o JOIN people p ON p.id = o.seller_id) ON o.customer_id = c.id
SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id JOIN people p ON p.id = o.seller_id JOIN teams t ON t.id = p.team_id WHERE t.name = 'Sales'
SELECT c.name, x.total FROM customers AS c JOIN (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) AS x ON x.customer_id = c.id
SELECT a.id, b.id FROM orders AS a JOIN orders AS b ON b.customer_id = a.customer_id AND b.id > a.id LIMIT 10
SELECT * FROM people JOIN teams ON teams.id = people.team_id
SELECT x.name FROM (SELECT * FROM people) AS x
SELECT name FROM (people)
SELECT * FROM (SELECT 1 AS a) JOIN (SELECT 2 AS b)
SELECT c.name FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id AND o.status = 'returned' LEFT JOIN people AS p ON p.id = o.seller_id
SELECT p.id, t.id FROM people AS p JOIN teams AS t USING (id)
