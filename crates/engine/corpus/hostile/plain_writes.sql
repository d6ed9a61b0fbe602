-- refused
-- Statements that write in the open
INSERT INTO customers(name) VALUES ('x')
INSERT INTO customers DEFAULT VALUES
INSERT OR REPLACE INTO customers(id, name) VALUES (1, 'x')
INSERT OR IGNORE INTO orders SELECT * FROM orders
INSERT INTO customers(id, name) VALUES (1, 'x') ON CONFLICT(id) DO UPDATE SET name = 'y'
INSERT INTO customers(name) VALUES ('x') RETURNING id
REPLACE INTO customers(id, name) VALUES (1, 'x')
UPDATE customers SET credit_limit = 0
UPDATE OR IGNORE customers SET id = id + 1
UPDATE customers SET name = 'x' WHERE id = 1 RETURNING *
UPDATE orders SET amount = 0 FROM customers WHERE customers.id = orders.customer_id
DELETE FROM customers
DELETE FROM orders WHERE id IN (SELECT id FROM orders) RETURNING amount
DELETE FROM orders ORDER BY id LIMIT 1
DELETE FROM nosuchtable
DROP TABLE customers
DROP TABLE IF EXISTS nosuchtable
DROP INDEX orders_by_customer
DROP VIEW order_totals
CREATE TABLE stolen AS SELECT * FROM customers
CREATE TABLE t(a, b)
CREATE INDEX i ON orders(amount)
CREATE UNIQUE INDEX IF NOT EXISTS i ON orders(amount) WHERE amount > 0
ALTER TABLE customers RENAME TO clients
ALTER TABLE customers ADD COLUMN x
ALTER TABLE customers DROP COLUMN city
ALTER TABLE customers RENAME COLUMN city TO town
REINDEX
REINDEX orders_by_customer
ANALYZE
ANALYZE orders
insert into customers(name) values ('lower case')
INSERT INTO notes(notes) VALUES ('rebuild')
INSERT INTO notes(notes, rank) VALUES ('merge', 500)
UPDATE pay SET salary = 0
INSERT INTO customers(name) VALUES ('unterminated
DELETE customers
UPDATE
