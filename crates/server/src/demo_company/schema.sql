-- The demo company: a wholesaler of household and workshop goods. Amounts are euros with two decimals, dates are
-- ISO 8601 text (YYYY-MM-DD).

CREATE TABLE departments (
    department_id   INTEGER PRIMARY KEY,
    department_name TEXT NOT NULL UNIQUE,
    city            TEXT NOT NULL,
    annual_budget   REAL NOT NULL CHECK (annual_budget > 0)
);

CREATE TABLE employees (
    employee_id    INTEGER PRIMARY KEY,
    first_name     TEXT NOT NULL,
    last_name      TEXT NOT NULL,
    email          TEXT NOT NULL UNIQUE,
    job_title      TEXT NOT NULL,
    department_id  INTEGER NOT NULL REFERENCES departments (department_id),
    manager_id     INTEGER REFERENCES employees (employee_id), -- NULL for the managing director
    hired_on       DATE NOT NULL,
    left_on        DATE CHECK (left_on > hired_on), -- NULL while employed
    monthly_salary REAL NOT NULL CHECK (monthly_salary > 0)
);

CREATE TABLE categories (
    category_id   INTEGER PRIMARY KEY,
    category_name TEXT NOT NULL UNIQUE,
    description   TEXT
);

CREATE TABLE suppliers (
    supplier_id    INTEGER PRIMARY KEY,
    supplier_name  TEXT NOT NULL UNIQUE,
    contact_name   TEXT,
    phone          TEXT,
    city           TEXT NOT NULL,
    country        TEXT NOT NULL,
    lead_time_days INTEGER NOT NULL CHECK (lead_time_days BETWEEN 1 AND 120)
);

CREATE TABLE products (
    product_id      INTEGER PRIMARY KEY,
    product_code    TEXT NOT NULL UNIQUE,
    product_name    TEXT NOT NULL UNIQUE,
    category_id     INTEGER NOT NULL REFERENCES categories (category_id),
    supplier_id     INTEGER NOT NULL REFERENCES suppliers (supplier_id),
    unit_price      REAL NOT NULL CHECK (unit_price > 0), -- today's list price
    unit_cost       REAL NOT NULL CHECK (unit_cost > 0),  -- what the supplier charges
    units_in_stock  INTEGER NOT NULL CHECK (units_in_stock >= 0),
    reorder_level   INTEGER NOT NULL CHECK (reorder_level >= 0),
    discontinued_on DATE -- NULL while it is sold
);

CREATE TABLE customers (
    customer_id        INTEGER PRIMARY KEY,
    company_name       TEXT NOT NULL,
    contact_name       TEXT,
    email              TEXT,
    phone              TEXT,
    city               TEXT NOT NULL,
    country            TEXT NOT NULL,
    segment            TEXT NOT NULL CHECK (segment IN ('retail', 'hospitality', 'trade', 'public sector')),
    credit_limit       REAL CHECK (credit_limit > 0), -- NULL: pays in advance
    registered_on      DATE NOT NULL,
    account_manager_id INTEGER REFERENCES employees (employee_id)
);

CREATE TABLE orders (
    order_id       INTEGER PRIMARY KEY,
    customer_id    INTEGER NOT NULL REFERENCES customers (customer_id),
    employee_id    INTEGER REFERENCES employees (employee_id), -- NULL: placed in the web shop
    order_date     DATE NOT NULL,
    required_date  DATE NOT NULL,
    shipped_date   DATE,
    channel        TEXT NOT NULL CHECK (channel IN ('web', 'phone', 'field sales')),
    payment_method TEXT NOT NULL CHECK (payment_method IN ('invoice', 'card', 'prepaid')),
    status         TEXT NOT NULL CHECK (status IN ('delivered', 'shipped', 'open', 'cancelled')),
    total_amount   REAL NOT NULL CHECK (total_amount >= 0), -- the sum of its line totals, without VAT
    CHECK (required_date >= order_date),
    CHECK (shipped_date >= order_date)
);

CREATE TABLE order_lines (
    order_line_id INTEGER PRIMARY KEY,
    order_id      INTEGER NOT NULL REFERENCES orders (order_id),
    product_id    INTEGER NOT NULL REFERENCES products (product_id),
    quantity      INTEGER NOT NULL CHECK (quantity > 0),
    unit_price    REAL NOT NULL CHECK (unit_price > 0), -- the list price on the day of the order
    discount      REAL NOT NULL DEFAULT 0 CHECK (discount >= 0 AND discount < 1), -- 0.05 is five per cent off
    line_total    REAL NOT NULL CHECK (line_total >= 0) -- quantity * unit_price * (1 - discount), rounded
);

CREATE TABLE returns (
    return_id     INTEGER PRIMARY KEY,
    order_line_id INTEGER NOT NULL UNIQUE REFERENCES order_lines (order_line_id),
    return_date   DATE NOT NULL,
    quantity      INTEGER NOT NULL CHECK (quantity > 0),
    reason        TEXT CHECK (reason IN ('damaged', 'wrong item', 'late', 'not as described')), -- NULL: not given
    refund_amount REAL NOT NULL CHECK (refund_amount >= 0) -- without VAT
);

CREATE TABLE accounts (
    account_id   INTEGER PRIMARY KEY, -- the number in the chart of accounts
    account_name TEXT NOT NULL UNIQUE,
    account_type TEXT NOT NULL CHECK (account_type IN ('asset', 'liability', 'equity', 'revenue', 'expense'))
);

-- Double entry: within one voucher the debits and the credits add up to the same amount.
CREATE TABLE accounting_transactions (
    transaction_id   INTEGER PRIMARY KEY,
    voucher_number   INTEGER NOT NULL,
    transaction_date DATE NOT NULL,
    account_id       INTEGER NOT NULL REFERENCES accounts (account_id),
    debit            REAL NOT NULL DEFAULT 0 CHECK (debit >= 0),
    credit           REAL NOT NULL DEFAULT 0 CHECK (credit >= 0),
    description      TEXT NOT NULL,
    order_id         INTEGER REFERENCES orders (order_id),
    supplier_id      INTEGER REFERENCES suppliers (supplier_id),
    CHECK ((debit > 0) <> (credit > 0))
);
