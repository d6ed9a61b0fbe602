-- CASE
SELECT CASE status WHEN 'open' THEN 1 WHEN 'shipped' THEN 2 ELSE 0 END FROM orders
SELECT CASE WHEN amount > 500 THEN 'high' WHEN amount > 100 THEN 'middle' ELSE 'low' END AS band, count(*) FROM orders GROUP BY band
SELECT sum(CASE WHEN status = 'returned' THEN amount ELSE 0 END) / sum(amount) FROM orders
SELECT name FROM customers ORDER BY CASE WHEN country = 'Germany' THEN 0 ELSE 1 END, name
SELECT CASE WHEN EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id) THEN 'yes' ELSE 'no' END FROM customers AS c
SELECT count(CASE WHEN discount > 0 THEN 1 END) FROM orders
SELECT CASE WHEN country IS NULL THEN 'unknown' ELSE CASE country WHEN 'Spain' THEN 'ES' ELSE upper(substr(country, 1, 2)) END END FROM customers
SELECT max(CASE WHEN status = 'open' THEN amount END) AS open, max(CASE WHEN status = 'shipped' THEN amount END) AS shipped FROM orders
SELECT id FROM orders WHERE CASE WHEN discount IS NULL THEN amount ELSE amount * (1 - discount) END > 900
SELECT CASE (SELECT count(*) FROM teams) WHEN 4 THEN 'four' END
SELECT iif(amount > 500, 'large', 'small') AS size, sum(amount) FROM orders GROUP BY size HAVING size = 'large'
