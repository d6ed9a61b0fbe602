-- refused
-- Strings in double quotes, which SQLite would read as text when no column has the name
SELECT "hello"
SELECT name FROM customers WHERE country = "Germany"
SELECT name FROM customers WHERE country IN ("Germany", "France")
SELECT name FROM customers WHERE country LIKE "G%"
SELECT "not a column", name FROM customers
SELECT count(*) FROM orders WHERE status = "shipped" AND ordered_on >= "2022-01-01"
SELECT strftime("%Y", ordered_on) FROM orders
SELECT name FROM people WHERE "salary" = "salary"
SELECT CASE WHEN status = "open" THEN 1 ELSE 0 END FROM orders
SELECT group_concat(name, ", ") FROM customers
SELECT name FROM customers ORDER BY "no such column"
SELECT coalesce(country, "unknown") FROM customers
SELECT json_extract(profile, "$.tier") FROM customers
SELECT name || " (" || country || ")" FROM customers
SELECT name FROM customers WHERE country = "it""s"
SELECT * FROM orders WHERE note = ""
SELECT "load_extension"
