-- refused
-- Comments, white space, case and quoting around a forbidden thing
/* SELECT 1 */ DELETE FROM orders
\u{2d}- SELECT 1\nDELETE FROM orders
/**/DROP/**/TABLE/**/orders/**/
dRoP\tTaBlE\norders
\n\n\n   DELETE   \n\n FROM \r\n orders
/* unterminated comment SELECT 1
SELECT 1 /* unterminated
SELECT 1 -- \nFROM secrets
SELECT token FROM/**/secrets
SELECT token FROM"secrets"
SELECT token FROM[secrets]
SELECT token FROM`secrets`
SELECT token FROM 'secrets'
SELECT "token" FROM "SECRETS"
SELECT token FROM main.secrets
SELECT token FROM "main"."secrets"
SELECT token FROM main . secrets
SELECT p."salary" FROM people AS p
SELECT [p].[salary] FROM [people] AS [p]
SELECT /*+ hint */ salary FROM people
SELECT 1 UNION SELECT/**/token/**/FROM/**/secrets
SELECT(salary)FROM(people)
/*!50000 DROP TABLE orders */
SELECT 1;--\nDROP TABLE orders
#DELETE\nSELECT salary FROM people
SELECT * FROM orders WHERE id = 1 OR 1=1; DROP TABLE orders -- '
EXEC xp_cmdshell('dir')
COPY orders TO '/tmp/x'
SELECT * INTO OUTFILE '/tmp/x' FROM orders
LOAD DATA INFILE 'x' INTO TABLE orders
.shell ls
.load evil.so
\\copy orders to 'x'
GRANT ALL ON orders TO public
TRUNCATE TABLE orders
MERGE INTO orders USING customers ON 1 WHEN MATCHED THEN DELETE
CALL drop_everything()
```sql\nDELETE FROM orders\n```
EXPLAIN DELETE FROM orders
EXPLAIN QUERY PLAN SELECT token FROM secrets
EXPLAIN SELECT salary FROM people
