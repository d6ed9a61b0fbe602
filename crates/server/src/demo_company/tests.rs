use rusqlite::types::ValueRef;

use super::*;

/// Generates a company in a folder of its own.
fn generated(options: &DemoOptions) -> (tempfile::TempDir, DemoSummary, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let summary = generate(&folder.path().join("demo.sqlite"), options, &mut |_, _| ()).unwrap();
    let connection = Connection::open(&summary.path).unwrap();
    (folder, summary, connection)
}

fn small(seed: u64) -> DemoOptions {
    DemoOptions {
        orders: 2_500,
        seed,
        ..DemoOptions::default()
    }
}

/// Returns the first value of the first row as a number.
fn number(connection: &Connection, sql: &str) -> f64 {
    connection
        .query_row(sql, [], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(number) => number as f64,
                ValueRef::Real(number) => number,
                other => panic!("{sql} gives {other:?}"),
            })
        })
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Hashes the schema and every value of every row.
fn dump_hash(connection: &Connection) -> String {
    let mut hasher = blake3::Hasher::new();
    let queries = std::iter::once("SELECT sql FROM sqlite_master ORDER BY name".to_owned()).chain(
        TABLES
            .iter()
            .map(|table| format!("SELECT * FROM {table} ORDER BY 1")),
    );
    for sql in queries {
        let mut statement = connection.prepare(&sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                hasher.update(format!("{:?};", row.get_ref(column).unwrap()).as_bytes());
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[test]
fn the_same_seed_gives_the_same_rows_and_another_seed_others() {
    let hash = |seed| dump_hash(&generated(&small(seed)).2);
    let first = hash(7);
    assert_eq!(first, hash(7));
    assert_ne!(first, hash(8));
}

#[test]
fn the_default_company_has_about_a_hundred_thousand_rows_in_tables_of_every_kind() {
    let (_folder, summary, connection) = generated(&DemoOptions::default());
    let rows = summary.rows();
    assert!((95_000..=115_000).contains(&rows), "{rows} rows");
    assert_eq!(
        summary
            .tables
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>(),
        TABLES
    );
    assert!(
        summary.tables.contains(&("orders", 12_000)),
        "{:?}",
        summary.tables
    );
    for (table, rows) in &summary.tables {
        assert!(*rows >= 7, "{table} has {rows} rows");
    }
    assert_eq!(
        summary.size_bytes,
        std::fs::metadata(&summary.path).unwrap().len()
    );
    assert_eq!(
        number(&connection, "SELECT COUNT(*) FROM monthly_revenue"),
        36.0
    );
    assert_eq!(
        number(&connection, "SELECT COUNT(*) FROM account_balances"),
        15.0
    );
}

#[test]
fn every_reference_holds_and_the_file_is_sound() {
    let (_folder, _, connection) = generated(&small(1));
    let broken: i64 = connection
        .query_row("SELECT COUNT(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, 0);
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn nothing_contradicts_anything_else() {
    let (_folder, _, connection) = generated(&small(2));
    // Each statement counts contradictions.
    for sql in [
        // Vouchers balance and have at least two sides.
        "SELECT COUNT(*) FROM (SELECT 1 FROM accounting_transactions GROUP BY voucher_number
         HAVING ROUND(SUM(debit) - SUM(credit), 2) <> 0 OR COUNT(*) < 2 OR COUNT(DISTINCT transaction_date) > 1)",
        // Amounts have two decimals.
        "SELECT COUNT(*) FROM orders WHERE total_amount <> ROUND(total_amount, 2)",
        "SELECT COUNT(*) FROM accounting_transactions WHERE debit <> ROUND(debit, 2) OR credit <> ROUND(credit, 2)",
        // Lines add up to their order, and each line to its parts.
        "SELECT COUNT(*) FROM (SELECT 1 FROM orders LEFT JOIN order_lines USING (order_id) GROUP BY order_id
         HAVING COUNT(order_line_id) = 0 OR ROUND(SUM(line_total) - total_amount, 2) <> 0)",
        "SELECT COUNT(*) FROM order_lines WHERE ABS(quantity * unit_price * (1 - discount) - line_total) > 0.0051",
        "SELECT COUNT(*) FROM (SELECT 1 FROM order_lines GROUP BY order_id, product_id HAVING COUNT(*) > 1)",
        // What left is in the books as revenue, once and with its amount; what did not leave is not.
        "SELECT COUNT(*) FROM orders LEFT JOIN accounting_transactions AS entry
         ON entry.order_id = orders.order_id AND account_id = 4000
         WHERE CASE WHEN status IN ('delivered', 'shipped') THEN entry.credit IS NOT total_amount
         ELSE entry.credit IS NOT NULL END",
        // Returns are in the books too.
        "SELECT ABS((SELECT ROUND(SUM(refund_amount), 2) FROM returns)
         - (SELECT ROUND(SUM(debit), 2) FROM accounting_transactions WHERE account_id = 4100))",
        "SELECT COUNT(*) FROM returns JOIN order_lines USING (order_line_id) JOIN orders USING (order_id)
         WHERE returns.quantity > order_lines.quantity OR refund_amount > line_total
         OR status <> 'delivered' OR return_date <= shipped_date",
        // Nobody acts outside their time.
        "SELECT COUNT(*) FROM orders JOIN customers USING (customer_id) WHERE order_date < registered_on",
        "SELECT COUNT(*) FROM orders JOIN employees USING (employee_id)
         WHERE order_date < hired_on OR order_date >= left_on",
        "SELECT COUNT(*) FROM orders WHERE (channel = 'web') <> (employee_id IS NULL)",
        "SELECT COUNT(*) FROM orders JOIN order_lines USING (order_id) JOIN products USING (product_id)
         WHERE order_date >= discontinued_on",
        "SELECT COUNT(*) FROM orders WHERE status IN ('open', 'cancelled') AND shipped_date IS NOT NULL",
        "SELECT COUNT(*) FROM orders WHERE order_date NOT BETWEEN '2023-01-01' AND '2025-12-31'
         OR shipped_date > '2025-12-31'",
        "SELECT COUNT(*) FROM accounting_transactions AS a JOIN accounting_transactions AS b
         ON b.transaction_id = a.transaction_id + 1 WHERE b.transaction_date < a.transaction_date",
    ] {
        assert_eq!(number(&connection, sql), 0.0, "{sql}");
    }
}

#[test]
fn the_business_grows_and_has_seasons() {
    let (_folder, _, connection) = generated(&DemoOptions::default());
    let revenue = |which: &str| {
        number(
            &connection,
            &format!("SELECT SUM(revenue) FROM monthly_revenue WHERE month LIKE '{which}'"),
        )
    };
    assert!(revenue("2024-%") > 1.1 * revenue("2023-%"));
    assert!(revenue("2025-%") > 1.1 * revenue("2024-%"));
    assert!(revenue("%-11") > 1.3 * revenue("%-02"));
    let gifts = |months: &str| {
        number(
            &connection,
            &format!(
                "SELECT SUM(quantity) FROM order_lines JOIN orders USING (order_id) JOIN products USING (product_id)
                 JOIN categories USING (category_id)
                 WHERE category_name = 'Seasonal Gifts' AND strftime('%m', order_date) IN ({months})"
            ),
        )
    };
    assert!(gifts("'11', '12'") > 3.0 * gifts("'05', '06'"));
    // It earns money, and not unbelievably much.
    let margin = number(
        &connection,
        "SELECT SUM(CASE WHEN account_type IN ('revenue', 'expense') THEN -balance END)
         / SUM(CASE WHEN account_id = 4000 THEN -balance END) FROM account_balances",
    );
    assert!(
        (0.02..0.25).contains(&margin),
        "profit is {margin} of revenue"
    );
    assert!(
        number(
            &connection,
            "SELECT balance FROM account_balances WHERE account_id = 1000"
        ) > 0.0
    );
}

#[test]
fn the_blemishes_are_there_and_few() {
    let (_folder, _, connection) = generated(&DemoOptions::default());
    for (sql, expected) in [
        ("SELECT COUNT(*) FROM orders WHERE status = 'delivered' AND shipped_date IS NULL", 3.0..10.0),
        ("SELECT COUNT(*) FROM orders WHERE status = 'cancelled'", 250.0..500.0),
        ("SELECT COUNT(*) FROM orders WHERE status = 'open'", 5.0..120.0),
        ("SELECT COUNT(*) FROM customers WHERE phone IS NULL", 30.0..100.0),
        ("SELECT COUNT(*) FROM customers WHERE NOT EXISTS
          (SELECT 1 FROM orders WHERE orders.customer_id = customers.customer_id)", 40.0..200.0),
        ("SELECT COUNT(*) FROM customers AS a JOIN customers AS b ON a.customer_id < b.customer_id
          AND a.city = b.city AND (LOWER(REPLACE(REPLACE(b.company_name, ' ', ''), '-', ''))
          LIKE LOWER(REPLACE(REPLACE(a.company_name, ' ', ''), '-', '')) || '%')", 4.0..12.0),
        ("SELECT COUNT(*) FROM returns WHERE reason IS NULL", 20.0..150.0),
        ("SELECT COUNT(*) FROM employees WHERE left_on IS NOT NULL", 2.0..9.0),
        ("SELECT COUNT(*) FROM employees WHERE manager_id IS NULL", 1.0..2.0),
        ("SELECT COUNT(*) FROM categories WHERE description IS NULL", 1.0..2.0),
    ] {
        let found = number(&connection, sql);
        assert!(expected.contains(&found), "{found} of {sql}");
    }
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("demo.sqlite");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "mine").unwrap();
    let mut options = DemoOptions {
        orders: 50,
        ..DemoOptions::default()
    };
    let error = generate(&path, &options, &mut |_, _| ()).unwrap_err();
    assert_eq!(error.code(), Code::Conflict);
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    options.overwrite = true;
    generate(&path, &options, &mut |_, _| ()).unwrap();
    assert!(
        std::fs::read(&path)
            .unwrap()
            .starts_with(b"SQLite format 3\0")
    );
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "a scratch file is left");
}

#[test]
fn a_single_order_is_a_company_too_and_none_is_not() {
    let one = DemoOptions {
        orders: 1,
        ..DemoOptions::default()
    };
    let (_folder, summary, _) = generated(&one);
    assert!(summary.tables.contains(&("orders", 1)));
    let none = DemoOptions { orders: 0, ..one };
    let folder = tempfile::tempdir().unwrap();
    let error = generate(&folder.path().join("x"), &none, &mut |_, _| ()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidSetting);
}

#[test]
fn progress_ends_at_the_number_of_orders() {
    let folder = tempfile::tempdir().unwrap();
    let mut heard = Vec::new();
    generate(&folder.path().join("x"), &small(3), &mut |done, total| {
        heard.push((done, total))
    })
    .unwrap();
    assert_eq!(heard.last(), Some(&(2_500, 2_500)));
    assert!(heard.is_sorted());
}
