-- Looking at the schema, answered from what the actor may see
SELECT name FROM sqlite_master WHERE type = 'table'
SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name
SELECT sql FROM sqlite_master WHERE name = 'orders'
SELECT * FROM sqlite_master
SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'
SELECT m.name FROM sqlite_master AS m WHERE m.type IN ('table', 'view')
SELECT count(*) FROM sqlite_master WHERE tbl_name = 'secrets'
select NAME from SQLITE_MASTER
SELECT "name" FROM "sqlite_master"
WITH t AS (SELECT name FROM sqlite_master WHERE type = 'table') SELECT count(*) FROM t
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i, name FROM n, sqlite_master
SELECT c.name, (SELECT sql FROM sqlite_master WHERE name = 'customers') FROM customers AS c LIMIT 1
SELECT a.name FROM sqlite_master AS a JOIN sqlite_schema AS b ON a.name = b.name
PRAGMA table_info(orders)
PRAGMA table_info('orders')
PRAGMA table_info("Order Details")
PRAGMA table_info = orders
PRAGMA main.table_info(orders)
pragma TABLE_INFO(People);
PRAGMA table_xinfo(customers)
PRAGMA table_list
PRAGMA table_list(orders)
PRAGMA foreign_key_list(orders)
PRAGMA foreign_key_list(teams)
SELECT * FROM pragma_table_info('orders')
SELECT name, type FROM pragma_table_info('people') WHERE pk = 0
SELECT p.name FROM pragma_table_info('customers') AS p ORDER BY p.cid
SELECT "notnull", dflt_value FROM pragma_table_info('teams')
SELECT pragma_table_info.name FROM pragma_table_info('teams')
SELECT m.name, f."table" FROM sqlite_master AS m, pragma_foreign_key_list('orders') AS f
SELECT name FROM pragma_table_list
SELECT name FROM customers WHERE 'city' IN (SELECT name FROM pragma_table_info('customers'))
