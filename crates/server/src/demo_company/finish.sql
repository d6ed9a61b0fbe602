CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX orders_by_date ON orders (order_date);
CREATE INDEX order_lines_by_order ON order_lines (order_id);
CREATE INDEX order_lines_by_product ON order_lines (product_id);
CREATE INDEX transactions_by_account ON accounting_transactions (account_id, transaction_date);
CREATE INDEX transactions_by_order ON accounting_transactions (order_id);

CREATE VIEW monthly_revenue AS
SELECT strftime('%Y-%m', order_date) AS month, COUNT(*) AS order_count, ROUND(SUM(total_amount), 2) AS revenue
FROM orders
WHERE status <> 'cancelled'
GROUP BY strftime('%Y-%m', order_date);

CREATE VIEW account_balances AS
SELECT accounts.account_id, account_name, account_type, ROUND(SUM(debit - credit), 2) AS balance
FROM accounts
JOIN accounting_transactions ON accounting_transactions.account_id = accounts.account_id
GROUP BY accounts.account_id, account_name, account_type;
