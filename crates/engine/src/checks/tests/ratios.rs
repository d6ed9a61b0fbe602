use super::*;

fn ratio(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::WholeNumberDivision, question, sql, expected);
}

#[test]
fn a_ratio_of_whole_numbers_keeps_what_is_behind_the_point() {
    for (sql, rewrite) in [
        (
            "SELECT count(*) / (SELECT count(*) FROM customers) FROM orders",
            "SELECT 1.0 * count(*) / (SELECT count(*) FROM customers) FROM orders",
        ),
        (
            "SELECT sum(total) * 100 / count(*) FROM orders",
            "SELECT 1.0 * sum(total) * 100 / count(*) FROM orders",
        ),
        (
            "SELECT round(100 * (sum(CASE WHEN status = 'shipped' THEN 1 ELSE 0 END) / count(*)), 2) FROM orders",
            "SELECT round(100 * (1.0 * sum(CASE WHEN status = 'shipped' THEN 1 ELSE 0 END) / count(*)), 2) FROM orders",
        ),
        (
            "SELECT customer_id FROM orders GROUP BY customer_id ORDER BY sum(total) / count(id) DESC",
            "SELECT customer_id FROM orders GROUP BY customer_id ORDER BY 1.0 * sum(total) / count(id) DESC",
        ),
    ] {
        ratio("What percentage of orders was shipped?", sql, Some(rewrite));
    }
}

#[test]
fn other_divisions_are_left_alone() {
    let asked = "What is the average share per customer?";
    for (question, sql) in [
        (asked, "SELECT count(*) * 1.0 / 3 FROM orders"),
        (
            asked,
            "SELECT CAST(count(*) AS REAL) / count(id) FROM orders",
        ),
        (asked, "SELECT sum(price) / count(*) FROM products"),
        (asked, "SELECT avg(total) / count(*) FROM orders"),
        (asked, "SELECT count(*) % 7 / count(id) FROM orders"),
        (asked, "SELECT id FROM orders WHERE total / id > 2"),
        (
            "Customers per decade",
            "SELECT birth_year / 10, count(*) FROM customers GROUP BY 1",
        ),
        (
            "Orders of a dozen",
            "SELECT count(*) / count(id) FROM orders",
        ),
    ] {
        ratio(question, sql, None);
    }
}
