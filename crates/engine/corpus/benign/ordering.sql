-- ORDER BY
SELECT name FROM customers ORDER BY credit_limit DESC, name ASC
SELECT name FROM customers ORDER BY country NULLS LAST
SELECT name FROM customers ORDER BY country DESC NULLS FIRST
SELECT name, credit_limit * 2 AS doubled FROM customers ORDER BY doubled
SELECT name, credit_limit * 2 AS doubled FROM customers WHERE doubled > 100
SELECT name FROM customers ORDER BY length(name), name
SELECT name AS n FROM customers ORDER BY upper(n)
SELECT name FROM customers ORDER BY 1
SELECT id, amount FROM orders ORDER BY amount DESC LIMIT 1
SELECT id, amount * 1.19 AS gross FROM orders ORDER BY gross - amount DESC
SELECT c.name FROM customers AS c JOIN orders AS o ON o.customer_id = c.id GROUP BY c.id ORDER BY sum(o.amount) DESC LIMIT 10
SELECT DISTINCT city FROM customers ORDER BY city COLLATE NOCASE DESC
SELECT country, count(*) FROM customers GROUP BY country ORDER BY count(*) DESC, country
SELECT name FROM customers ORDER BY random() LIMIT 1
SELECT name FROM customers ORDER BY customers.id, customers.rowid
SELECT country AS name, name AS country FROM customers ORDER BY country
SELECT name FROM people ORDER BY hired_on DESC LIMIT 3
