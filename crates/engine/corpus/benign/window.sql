-- Window functions
SELECT name, row_number() OVER (ORDER BY name) FROM customers
SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS r FROM orders
SELECT id, dense_rank() OVER (ORDER BY status), percent_rank() OVER (ORDER BY amount), cume_dist() OVER (ORDER BY amount) FROM orders
SELECT id, ntile(4) OVER (ORDER BY amount) FROM orders
SELECT id, lag(amount) OVER (PARTITION BY customer_id ORDER BY ordered_on), lead(amount, 1, 0) OVER (ORDER BY id) FROM orders
SELECT id, first_value(amount) OVER w, last_value(amount) OVER w, nth_value(amount, 2) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY id)
SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM orders
SELECT id, avg(amount) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM orders
SELECT id, sum(amount) OVER (ORDER BY amount RANGE BETWEEN 10 PRECEDING AND 10 FOLLOWING) FROM orders
SELECT id, count(*) OVER (ORDER BY status GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM orders
SELECT id, count(*) OVER () FROM orders LIMIT 3
SELECT id, sum(amount) FILTER (WHERE status = 'open') OVER (PARTITION BY customer_id) FROM orders
SELECT id, sum(amount) OVER (base ROWS 3 PRECEDING) FROM orders WINDOW base AS (ORDER BY id)
SELECT * FROM (SELECT customer_id, amount, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS rn FROM orders) WHERE rn <= 3
WITH ranked AS (SELECT *, rank() OVER (PARTITION BY status ORDER BY amount DESC) AS place FROM orders) SELECT id, status FROM ranked WHERE place = 1
SELECT status, sum(amount) AS s, sum(sum(amount)) OVER () AS everything FROM orders GROUP BY status
SELECT status, rank() OVER (ORDER BY sum(amount) DESC) FROM orders GROUP BY status
SELECT name, row_number() OVER (ORDER BY hired_on, id) FROM people
SELECT id, group_concat(status) OVER (ORDER BY id ROWS 1 PRECEDING) FROM orders
SELECT id, max(amount) OVER (PARTITION BY strftime('%Y-%m', ordered_on)) FROM orders
SELECT id, amount - lag(amount) OVER w AS change FROM orders WINDOW w AS (ORDER BY ordered_on), v AS (ORDER BY id)
SELECT id FROM orders ORDER BY row_number() OVER (ORDER BY amount DESC)
