-- refused
-- Values made large by one call
SELECT zeroblob(2000000000)
SELECT zeroblob(9223372036854775807)
SELECT length(zeroblob(1000000000))
SELECT hex(zeroblob(500000000))
SELECT randomblob(2000000000)
SELECT hex(randomblob(500000000))
SELECT quote(zeroblob(300000000))
SELECT zeroblob(id * 1000000) FROM customers
SELECT replace(hex(zeroblob(100000000)), '0', 'abcdefghij')
SELECT ZEROBLOB(1e9)
SELECT sum(length(randomblob(1000000))) FROM orders
SELECT a.id FROM orders AS a ORDER BY randomblob(1000000)
SELECT substr(zeroblob(1000000000), 1, 1)
SELECT cast(zeroblob(1000000000) AS TEXT)
