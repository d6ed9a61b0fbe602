-- refused
-- Parameters, which nobody binds
SELECT ?
SELECT ?1
SELECT :name
SELECT @name
SELECT $name
SELECT $name::text
SELECT name FROM customers WHERE id = ?
SELECT name FROM customers LIMIT ?1 OFFSET ?2
SELECT name FROM customers WHERE country IN (?, ?, ?)
SELECT #1
SELECT name FROM customers WHERE name LIKE :pattern ESCAPE :escape
