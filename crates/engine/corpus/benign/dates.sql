-- Dates and times
SELECT date('now'), time('now'), datetime('now'), julianday('now'), unixepoch('now')
SELECT date('now', 'start of month', '+1 month', '-1 day')
SELECT strftime('%Y-%m', ordered_on), count(*) FROM orders GROUP BY 1
SELECT id FROM orders WHERE ordered_on BETWEEN '2022-01-01' AND '2022-03-31'
SELECT id FROM orders WHERE ordered_on >= date('2023-06-30', '-90 days')
SELECT julianday(max(ordered_on)) - julianday(min(ordered_on)) FROM orders
SELECT cast(strftime('%m', ordered_on) AS INTEGER) AS month, sum(amount) FROM orders GROUP BY month
SELECT name, (strftime('%Y', 'now') - strftime('%Y', hired_on)) AS years FROM people
SELECT CASE cast(strftime('%w', ordered_on) AS INTEGER) WHEN 0 THEN 'Sunday' WHEN 6 THEN 'Saturday' ELSE 'weekday' END AS day, count(*) FROM orders GROUP BY day
SELECT date(ordered_on, 'weekday 1', '-7 days') AS week, count(*) FROM orders GROUP BY week
SELECT timediff('2024-03-01', '2023-01-15')
SELECT datetime(1700000000, 'unixepoch', 'utc')
SELECT ordered_on FROM orders WHERE date(ordered_on) = date('2021-05-05')
SELECT CURRENT_DATE > '2020-01-01', datetime(CURRENT_TIMESTAMP, '+1 hour')
SELECT ((cast(strftime('%m', ordered_on) AS INTEGER) + 2) / 3) AS quarter, sum(amount) FROM orders GROUP BY quarter
