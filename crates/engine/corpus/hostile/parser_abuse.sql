-- refused
-- Texts meant for the parser rather than the database
SELECT {repeat:5000:(}1{repeat:5000:)}
SELECT {repeat:16000:(}
{repeat:5000:(}SELECT 1{repeat:5000:)}
SELECT {repeat:3000:NOT }1
SELECT {repeat:15000:-}1
SELECT {repeat:10000:- }1
SELECT {repeat:15000:~}1
SELECT {repeat:15000:+}1
SELECT 1{repeat:12000:+1}
SELECT 1{repeat:6000: OR 1}
SELECT 'a'{repeat:6000:||'a'}
SELECT {repeat:2000:CASE WHEN 1 THEN }1{repeat:2000: END}
SELECT {repeat:2000:abs(}1{repeat:2000:)}
SELECT {repeat:2000:(SELECT }1{repeat:2000:)}
SELECT * FROM {repeat:2000:(SELECT * FROM }orders{repeat:2000:)}
SELECT * FROM {repeat:4000:(}orders{repeat:4000:)}
{repeat:1500:WITH a AS (}SELECT 1{repeat:1500:) SELECT 1}
SELECT 1{repeat:3000: COLLATE NOCASE}
SELECT 1{repeat:3000: IS NULL}
SELECT '{}'{repeat:3000:->'a'}
SELECT 1{repeat:3000: BETWEEN 1 AND 1}
SELECT 1{repeat:3000: IN (1)}
SELECT 1{repeat:3000: LIKE 1}
SELECT {repeat:40000:a}
SELECT "{repeat:40000:a}"
SELECT '{repeat:2000000:a}'
SELECT {repeat:20000:1,}1 FROM orders
{repeat:100000:;}
{repeat:100000:/**/}SELECT 1
SELECT {repeat:3000:x.}y FROM orders AS x
SELECT x'{repeat:30000:0}0'
SELECT 1 FROM {repeat:4000:orders,}orders
SELECT 1{repeat:4000: UNION SELECT 1}
SELECT {repeat:1000:[}1{repeat:1000:]}
SELECT id FROM orders WHERE {repeat:1000:EXISTS (SELECT 1 WHERE }1{repeat:1000:)}
SELECT id FROM orders WHERE {repeat:600:id IN (SELECT id FROM orders WHERE }1{repeat:600:)}
SELECT
SELECT FROM
SELECT * FROM
WITH
WITH a
WITH a AS
WITH a AS ()
VALUES
VALUES ()
'
"
[
`
x'
x'0
1
?
(
)
;
,
SELECT 1 1 1
SELECT 1 FROM orders WHERE
SELECT 1 FROM orders GROUP BY
SELECT 0x
SELECT 1e
SELECT 1__000
SELECT x'0g'
SELECT @
SELECT $
SELECT !
SELECT * * * FROM orders
