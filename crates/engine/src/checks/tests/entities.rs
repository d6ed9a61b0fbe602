use super::*;

#[test]
fn a_table_that_is_named_is_read() {
    for (question, sql) in [
        (
            "Which products sold by order lines of over 5 pieces?",
            "SELECT name FROM products WHERE price > 5",
        ),
        (
            "How many treatments are there for each patient?",
            "SELECT patient_name, count(*) FROM patients GROUP BY patient_id",
        ),
        (
            "Which category is most common among products?",
            "SELECT title FROM categories GROUP BY id ORDER BY count(*) DESC LIMIT 1",
        ),
    ] {
        check_kind(FindingKind::TableNotRead, question, sql, Some(""));
    }
}

#[test]
fn what_stands_for_a_table_is_enough() {
    for (question, sql) in [
        // Read, if only in a subquery.
        (
            "Which products are in no order lines?",
            "SELECT name FROM products WHERE id NOT IN (SELECT product_id FROM order_lines)",
        ),
        // A key to it.
        (
            "How many orders has each of the customers?",
            "SELECT customer_id, count(*) FROM orders GROUP BY customer_id",
        ),
        // A column of that name.
        ("Which genres have records?", "SELECT genre FROM records"),
        (
            "How many prizes had a jury of authors?",
            "SELECT count(jury) FROM prizes",
        ),
        // Not the whole name.
        ("How long is the line?", "SELECT max(pages) FROM books"),
        ("How many books are there?", "SELECT 1"),
    ] {
        check_kind(FindingKind::TableNotRead, question, sql, None);
    }
}
