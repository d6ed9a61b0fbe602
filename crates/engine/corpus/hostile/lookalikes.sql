-- refused
-- Unicode that looks like something else
ＳＥＬＥＣＴ 1
SELECT\u{a0}1\u{a0}FROM\u{a0}orders
SELECT\u{2003}token\u{2003}FROM\u{2003}secrets
\u{feff}DELETE FROM orders
\u{feff}SELECT token FROM secrets
SELECT 1；DROP TABLE orders
SELECT salаry FROM people
SELECT token FROM ѕecrets
SELECT token FROM secretſ
SELECT token FROM secrets\u{200b}
SELECT token FROM \u{200b}secrets
SELECT token FROM sec\u{ad}rets
SELECT \u{202e}yralas\u{202c} FROM people
SELECT ʺsalaryʺ FROM people
SELECT * FROM orders WHERE status = ‘open’
SELECT * FROM orders WHERE status = “open”
DELETE\u{2028}FROM\u{2028}orders
DЕLETE FROM orders
UPDATE\u{3000}orders SET amount = 0
SELECT＊FROM orders
SELECT l᠎oad_extension('x')
SELECT ｌｏａｄ_extension('x')
SELECT name FROM customers WHERE id ＝ 1
SELECT "sa\u{301}lary" FROM people
SELECT token FROM \u{ff53}ecrets
SELECT \u{feff}salary FROM people, (SELECT 1 AS "\u{feff}salary")
SELECT name FROM people WHERE people.\u{feff}salary > 1
