use std::sync::Arc;

use super::*;
use crate::guard::guard;
use crate::policy::{Visibility, VisibleSchema};
use crate::prompt::GeneratedSql;
use crate::schema::{Column, Schema, Table, TableKind};

fn table(name: &str, columns: &[&str]) -> Table {
    Table {
        name: name.into(),
        kind: TableKind::Table,
        columns: columns
            .iter()
            .map(|name| Column {
                name: (*name).into(),
                ..Column::default()
            })
            .collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        row_count: None,
        ddl: String::new(),
        reads: Vec::new(),
    }
}

fn reading(sql: &str) -> Reading {
    read(&guarded(sql))
}

/// Guards a statement over a small shop.
pub(crate) fn guarded(sql: &str) -> GuardedSql {
    let schema = Schema {
        tables: vec![
            table("Customers", &["CustomerID", "city", "name"]),
            table(
                "orders",
                &["order_id", "customer_id", "order_date", "status", "total"],
            ),
        ],
    };
    let visible = Arc::new(VisibleSchema::new(&schema, &Visibility::everything()));
    guard(&GeneratedSql::new(sql), &visible).expect("it may run")
}

fn check(sql: &str, expected: &str) {
    assert_eq!(reading(sql).sentence, expected, "{sql}");
}

#[test]
fn statements_read_as_a_person_would_say_them() {
    check(
        "SELECT count(*) FROM orders",
        "The number of rows of orders.",
    );
    check(
        "SELECT T1.name FROM Customers AS T1 WHERE T1.city = 'Oslo' AND T1.name LIKE '%ltd%'",
        "Name of customers where city is 'Oslo' and name contains 'ltd'.",
    );
    check(
        "SELECT c.city, SUM(o.total) FROM orders o JOIN Customers c ON o.customer_id = c.CustomerID \
         WHERE strftime('%Y', o.order_date) = '2024' GROUP BY c.city HAVING SUM(o.total) > 10 \
         ORDER BY SUM(o.total) DESC LIMIT 3",
        "City of customers, the sum of total of orders of orders with their customers where the year of order date of \
         orders is '2024', for each city of customers where the sum of total of orders is more than 10, by the sum of \
         total of orders from the highest down, the first 3.",
    );
    check(
        "SELECT DISTINCT status FROM orders WHERE order_date BETWEEN '2024-01-01' AND '2024-12-31' OR total IS NULL",
        "Status, each once of orders where order date is between '2024-01-01' and '2024-12-31' or total is not known.",
    );
    check(
        "SELECT name FROM Customers WHERE CustomerID NOT IN (SELECT customer_id FROM orders WHERE status = 'open')",
        "Name of customers where customer ID is not among (customer id of orders where status is 'open').",
    );
    check(
        "SELECT name FROM Customers EXCEPT SELECT status FROM orders",
        "Name of customers, without status of orders.",
    );
}

#[test]
fn what_shaped_the_rows_stands_part_by_part() {
    let Reading { assumptions, .. } = reading(
        "SELECT c.city, AVG(o.total) FROM orders o JOIN Customers c ON o.customer_id = c.CustomerID \
         WHERE o.status <> 'cancelled' AND o.total > 0 GROUP BY c.city ORDER BY 2 DESC LIMIT 5",
    );
    let kinds: Vec<_> = assumptions.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [
            AssumptionKind::Measure,
            AssumptionKind::Join,
            AssumptionKind::Filter,
            AssumptionKind::Filter,
            AssumptionKind::Grouping,
            AssumptionKind::Order,
        ]
    );
    assert_eq!(
        assumptions[1].text,
        "with their customers; those without are left out"
    );
    assert_eq!(assumptions[2].text, "status of orders is not 'cancelled'");
    assert_eq!(assumptions[2].sql, "o.status <> 'cancelled'");
    assert_eq!(assumptions[5].sql, "ORDER BY 2 DESC LIMIT 5");
}

/// A condition that is not told would be a reading of another statement.
#[test]
fn what_has_no_words_stands_as_sql() {
    for (sql, part) in [
        (
            "SELECT name FROM Customers WHERE name GLOB 'A*'",
            "GLOB 'A*'",
        ),
        (
            "SELECT name FROM Customers WHERE name LIKE 'a_c%'",
            "LIKE 'a_c%'",
        ),
        ("SELECT upper(name) FROM Customers", "upper"),
        (
            "SELECT name FROM Customers WHERE length(name) % 2 = 1",
            "% 2",
        ),
        (
            "SELECT CASE WHEN total > 1 THEN 2 END FROM orders",
            "CASE WHEN",
        ),
        (
            "SELECT total, row_number() OVER (ORDER BY total) FROM orders",
            "row_number",
        ),
        (
            "SELECT count(*) FILTER (WHERE status = 'open') FROM orders",
            "FILTER",
        ),
        (
            "WITH big AS (SELECT * FROM orders WHERE total > 100) SELECT count(*) FROM big",
            "total is more than 100",
        ),
        (
            "SELECT a.name FROM (SELECT name FROM Customers WHERE city = 'Oslo') AS a",
            "city is 'Oslo'",
        ),
        (
            "SELECT o.total FROM orders o JOIN Customers c ON o.customer_id = c.CustomerID AND c.city = 'Oslo'",
            "city of customers is 'Oslo'",
        ),
    ] {
        let sentence = reading(sql).sentence;
        let has = sentence.to_lowercase().contains(&part.to_lowercase());
        assert!(has, "{sql}: {sentence}");
    }
}
