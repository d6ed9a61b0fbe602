-- refused
-- A NUL byte ends the text for C, not for us
SELECT 1\0
\0SELECT 1
SELECT 1\0; DROP TABLE orders
SELECT 1 -- \0\nDROP TABLE orders
SELECT '\0'
SELECT name FROM customers WHERE name = 'a\0b'
SELECT na\0me FROM customers
SELECT "na\0me" FROM customers
DELETE FROM orders\0 SELECT 1
SEL\0ECT 1
SELECT 1 /* \0 */
\0
\0\0\0\0
SELECT token FROM secrets\0
SELECT x'00\000'
