-- Arithmetic and NULL
SELECT 1 + 2 * 3 - 4 / 5 % 6
SELECT 7 / 2, 7 / 2.0, 7 % 3, -7, +7, ~7
SELECT 1 << 4 | 1, 255 & 15, 8 >> 1
SELECT 1e3, 1.5E-2, .5, 5., 0x1F
SELECT abs(-1), round(2.567, 1), sign(-3), max(1, 2, 3), min(1, 2)
SELECT sqrt(2), pow(2, 10), power(2, 3), ln(10), log10(100), log(2, 8), log2(8), exp(1)
SELECT ceil(1.2), ceiling(1.2), floor(1.8), trunc(1.8), mod(7, 3), pi()
SELECT sin(1), cos(1), tan(1), asin(1), acos(1), atan(1), atan2(1, 2), degrees(1), radians(180)
SELECT sinh(1), cosh(1), tanh(1), asinh(1), acosh(1), atanh(0.5)
SELECT cast('12' AS INTEGER), cast(3.7 AS INTEGER), cast(5 AS TEXT), cast('1.5' AS REAL), cast(1 AS NUMERIC), cast(1.005 AS DECIMAL(10, 2))
SELECT coalesce(discount, 0), ifnull(discount, 0), nullif(discount, 0), iif(discount IS NULL, 'none', 'some') FROM orders
SELECT name FROM customers WHERE country IS NULL
SELECT name FROM customers WHERE country IS NOT NULL AND country NOTNULL
SELECT name FROM customers WHERE country ISNULL
SELECT name FROM customers WHERE country IS NOT 'Spain'
SELECT name FROM customers WHERE country IS DISTINCT FROM 'Spain'
SELECT name FROM customers WHERE country IS NOT DISTINCT FROM NULL
SELECT NULL = NULL, NULL IS NULL, NOT NULL
SELECT round(100.0 * sum(discount IS NOT NULL) / count(*), 1) FROM orders
SELECT random() % 10, abs(random())
SELECT amount FROM orders WHERE amount <> 10 AND amount != 20 AND amount == amount
SELECT amount FROM orders WHERE NOT (amount < 10 OR amount > 20)
SELECT (1, 2) = (1, 2), (1, 2) < (1, 3)
SELECT id FROM orders WHERE (customer_id, status) = (3, 'open')
SELECT total(discount), avg(coalesce(discount, 0)) FROM orders
SELECT 9223372036854775807, -9223372036854775808
