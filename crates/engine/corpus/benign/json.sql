-- JSON
SELECT json_extract(profile, '$.tier') FROM customers
SELECT profile ->> '$.tier', profile -> 'tags' FROM customers
SELECT name FROM customers WHERE profile ->> 'tier' = 2
SELECT c.name, t.value FROM customers AS c, json_each(c.profile, '$.tags') AS t
SELECT c.name, t.value FROM customers AS c JOIN json_each(c.profile, '$.tags') AS t WHERE t.key = 0
SELECT key, value, type, atom, id, parent, fullkey, path FROM json_tree('{"a":[1,{"b":2}]}')
SELECT json_each.value FROM customers, json_each(customers.profile, '$.tags')
SELECT value FROM json_each('[1,2,3]')
SELECT count(*) FROM customers WHERE 't1' IN (SELECT value FROM json_each(profile, '$.tags'))
SELECT name FROM customers WHERE EXISTS (SELECT 1 FROM json_each(customers.profile, '$.tags') WHERE value = 't2')
SELECT json_object('name', name, 'city', city) FROM customers
SELECT json_group_array(name) FROM teams
SELECT json_group_object(name, city) FROM teams
SELECT json_array(1, 2, 'x'), json_array_length('[1,2]'), json_type('{"a":1}', '$.a'), json_valid('{}')
SELECT json_set('{}', '$.a', 1), json_insert('{}', '$.a', 1), json_replace('{"a":0}', '$.a', 1), json_remove('{"a":0}', '$.a'), json_patch('{}', '{"a":1}')
SELECT json_quote(name) FROM teams
SELECT c.id, j.fullkey FROM customers AS c, json_tree(c.profile) AS j WHERE j.atom IS NOT NULL
SELECT avg(json_array_length(profile, '$.tags')) FROM customers
SELECT json_extract(profile, '$.contact.phone') AS phone FROM customers WHERE phone IS NOT NULL
SELECT json_pretty(profile) FROM customers LIMIT 1
