-- Aggregates, grouping, having
SELECT count(*), count(country), count(DISTINCT country) FROM customers
SELECT min(amount), max(amount), avg(amount), sum(amount), total(amount) FROM orders
SELECT country, count(*) FROM customers GROUP BY country
SELECT country AS land, count(*) AS n FROM customers GROUP BY land HAVING n > 3 ORDER BY n DESC
SELECT country, count(*) FROM customers GROUP BY 1 ORDER BY 2 DESC
SELECT country, count(*) AS n FROM customers GROUP BY country HAVING count(*) > 10
SELECT status, round(avg(amount), 2) AS mean FROM orders GROUP BY status ORDER BY mean
SELECT group_concat(name) FROM teams
SELECT group_concat(name, '; ') FROM teams
SELECT group_concat(DISTINCT country) FROM customers
SELECT group_concat(name, ', ' ORDER BY name DESC) FROM teams
SELECT string_agg(name, ', ') FROM teams
SELECT sum(amount) FILTER (WHERE status = 'shipped') AS shipped, sum(amount) FROM orders
SELECT count(*) FILTER (WHERE discount IS NOT NULL) * 100.0 / count(*) FROM orders
SELECT customer_id, max(ordered_on), amount FROM orders GROUP BY customer_id
SELECT strftime('%Y', ordered_on) AS year, sum(amount) AS revenue FROM orders GROUP BY year
SELECT substr(ordered_on, 1, 7) AS month, count(*) FROM orders GROUP BY month ORDER BY month
SELECT team_id, count(*) FROM people GROUP BY team_id HAVING team_id IS NOT NULL
SELECT country, city, sum(credit_limit) FROM customers GROUP BY country, city
SELECT sum(amount * (1 - coalesce(discount, 0))) FROM orders
SELECT max(n) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id)
SELECT count(*) FROM (SELECT DISTINCT customer_id, status FROM orders)
SELECT avg(cnt) FROM (SELECT customer_id, count(*) cnt FROM orders GROUP BY customer_id)
SELECT sum(status = 'open') FROM orders
SELECT CASE WHEN amount > 500 THEN 'large' ELSE 'small' END AS size, count(*) FROM orders GROUP BY size
SELECT name FROM customers GROUP BY name ORDER BY count(*) DESC LIMIT 1
SELECT count(*) AS n FROM orders HAVING n > 0
