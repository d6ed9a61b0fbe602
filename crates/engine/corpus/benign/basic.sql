-- Plain reading
SELECT 1
SELECT 1;
select name from customers
SELECT * FROM teams
SELECT * FROM people
SELECT people.* FROM people
SELECT p.* FROM people AS p WHERE p.id < 5
SELECT teams.*, people.* FROM teams JOIN people ON people.team_id = teams.id
SELECT name, email FROM people WHERE team_id = 2
SELECT DISTINCT country FROM customers
SELECT ALL country FROM customers
SELECT name AS customer, credit_limit AS "limit in euro" FROM customers
SELECT name customer FROM customers c
SELECT main.customers.name FROM main.customers
SELECT customers.name FROM main.customers
SELECT rowid, name FROM customers WHERE rowid = 7
SELECT _rowid_, oid FROM orders LIMIT 3
SELECT count(*) FROM people
SELECT count(*) FROM people AS p, teams
SELECT name FROM customers LIMIT 5 OFFSET 10
SELECT name FROM customers LIMIT 10, 5
SELECT name FROM customers LIMIT -1
SELECT name FROM customers WHERE id = 1 -- the first
/* a report */ SELECT name /* of the customer */ FROM customers
\u{2d}- a comment first\nSELECT name\nFROM customers
SELECT\tname\r\nFROM\tcustomers\n;\n
SELECT name FROM customers; -- done
SELECT name FROM customers NOT INDEXED WHERE id = 1
SELECT id FROM orders INDEXED BY orders_by_customer WHERE customer_id = 3
SELECT NULL, TRUE, FALSE, CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP
SELECT true AND false, 1 IS TRUE, 0 IS NOT FALSE
SELECT NAME FROM Customers WHERE COUNTRY = 'Norway'
