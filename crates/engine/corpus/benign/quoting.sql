-- Names in every kind of quotes
SELECT "name" FROM "customers"
SELECT [name] FROM [customers]
SELECT `name` FROM `customers`
SELECT "order id", "unit price" FROM "Order Details"
SELECT d."order id" FROM "Order Details" d
SELECT [d].[unit price] FROM [Order Details] AS [d]
SELECT "Order Details"."unit price" FROM "Order Details"
SELECT `Order Details`.`order id` FROM `Order Details`
SELECT name AS "Customer Name" FROM customers ORDER BY "Customer Name"
SELECT name AS 'Customer Name' FROM customers ORDER BY "Customer Name"
SELECT "c"."name" FROM "customers" AS "c" WHERE "c"."country" = 'Spain'
SELECT 'customers'.'name' FROM 'customers'
SELECT "NAME" FROM "CUSTOMERS"
SELECT x."a ""b"" c" FROM (SELECT 1 AS "a ""b"" c") AS x
SELECT "x y"."i" FROM (SELECT 1 AS i) AS "x y"
WITH "my cte"("first column") AS (SELECT 1) SELECT "first column" FROM "my cte"
SELECT "count"(*), "max"(amount) FROM orders
SELECT id AS "select", status AS "from" FROM orders WHERE "from" = 'open'
SELECT sum("unit price" * quantity) AS "total value" FROM "Order Details" GROUP BY product ORDER BY "total value" DESC
SELECT key FROM (SELECT 1 AS key)
SELECT abort, action, day FROM (SELECT 1 AS abort, 2 AS action, 3 AS day)
