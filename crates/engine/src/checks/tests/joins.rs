use super::*;

fn unused(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::UnusedJoin, question, sql, expected);
}

fn fan_out(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::FanOut, question, sql, expected);
}

#[test]
fn a_parent_of_which_nothing_is_used_goes() {
    for (sql, rewrite) in [
        (
            "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id WHERE b.pages > 300",
            "SELECT b.title FROM books b WHERE b.pages > 300",
        ),
        (
            "SELECT b.title FROM authors a JOIN books b ON b.author_id = a.author_id ORDER BY b.pages",
            "SELECT b.title FROM books b ORDER BY b.pages",
        ),
        (
            "SELECT b.title FROM books b, authors a WHERE b.author_id = a.author_id AND b.pages > 300",
            "SELECT b.title FROM books b WHERE b.pages > 300",
        ),
        (
            "SELECT title FROM authors, books WHERE books.author_id = authors.author_id",
            "SELECT title FROM books",
        ),
        (
            "SELECT title FROM books JOIN authors USING (author_id)",
            "SELECT title FROM books",
        ),
        (
            "SELECT count(*) FROM books b LEFT JOIN authors a ON a.author_id = b.author_id",
            "SELECT count(*) FROM books b",
        ),
    ] {
        unused(
            "List the titles of books above 300 pages",
            sql,
            Some(rewrite),
        );
    }
}

#[test]
fn a_parent_that_may_be_missing_or_is_used_stays() {
    for sql in [
        // An order without a coupon would come back.
        "SELECT o.id FROM orders o JOIN coupons c ON o.coupon_id = c.id",
        "SELECT b.title, a.age FROM books b JOIN authors a ON b.author_id = a.author_id",
        "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id WHERE a.age > 30",
        "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id AND a.age > 30",
        "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id ORDER BY age",
        "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id GROUP BY a.author_id",
        "SELECT * FROM books b JOIN authors a ON b.author_id = a.author_id",
        "SELECT a.* FROM books b JOIN authors a ON b.author_id = a.author_id",
        "SELECT a.author_id FROM books b JOIN authors a ON b.author_id = a.author_id",
        "SELECT b.title FROM books b JOIN authors a ON b.pages = a.age",
        "SELECT b.title FROM books b NATURAL JOIN authors a",
        "SELECT b.title FROM books b RIGHT JOIN authors a ON b.author_id = a.author_id",
        "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id WHERE EXISTS (SELECT 1 FROM prizes p \
         WHERE p.author_id = a.author_id)",
        "SELECT b.title FROM authors a LEFT JOIN books b ON b.author_id = a.author_id",
        // The bridge between two tables is used twice.
        "SELECT c.full_name FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_lines l ON l.order_id = \
         o.id WHERE l.quantity > 2",
    ] {
        unused("List the titles of long texts", sql, None);
    }
    unused(
        "List the titles of books that have an author",
        "SELECT b.title FROM books b JOIN authors a ON b.author_id = a.author_id",
        None,
    );
}

#[test]
fn a_child_that_no_word_means_goes() {
    unused(
        "What are the last names of authors older than 40?",
        "SELECT a.last_name FROM authors AS a JOIN prizes AS p ON a.author_id = p.author_id WHERE a.age > 40",
        Some("SELECT a.last_name FROM authors AS a WHERE a.age > 40"),
    );
    unused(
        "How many authors are older than 40?",
        "SELECT count(*) FROM authors AS a JOIN prizes AS p ON a.author_id = p.author_id WHERE a.age > 40",
        Some("SELECT count(*) FROM authors AS a WHERE a.age > 40"),
    );
}

#[test]
fn a_child_that_the_question_may_mean_stays_or_is_only_reported() {
    let sql = "SELECT a.last_name FROM authors AS a JOIN prizes AS p ON a.author_id = p.author_id";
    for question in [
        "Last names of authors with a prize",
        "Which authors were prized?",
        "Last names of authors and the jury",
    ] {
        unused(question, sql, None);
    }
    unused("Last names of authors who won something", sql, Some(""));
    unused(
        "How many customers bought something?",
        "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id",
        None,
    );
    unused(
        "Last names of authors with a count of at least 2",
        "SELECT a.last_name FROM authors a JOIN prizes p ON a.author_id = p.author_id GROUP BY a.author_id HAVING count(*) > 1",
        None,
    );
    // In a subquery it is a condition.
    unused(
        "Last names of authors",
        "SELECT last_name FROM authors WHERE author_id IN (SELECT a.author_id FROM authors a JOIN prizes p ON \
         p.author_id = a.author_id)",
        None,
    );
    let value = StoredValue {
        table: "prizes".into(),
        column: "jury".into(),
        value: "Academy".into(),
        rows: 3,
        words: "academy".into(),
        matched: crate::ports::ValueMatch::Folded,
    };
    let found = findings_with("Last names of academy authors", sql, &[value]);
    assert!(
        found
            .iter()
            .all(|finding| finding.kind != FindingKind::UnusedJoin)
    );
}

#[test]
fn rows_that_a_join_repeats_are_counted_once() {
    fan_out(
        "How many customers placed an order?",
        "SELECT count(c.id) FROM customers c JOIN orders o ON o.customer_id = c.id",
        Some("SELECT count(DISTINCT c.id) FROM customers c JOIN orders o ON o.customer_id = c.id"),
    );
    fan_out(
        "What is the total of all orders with more than 2 of a product?",
        "SELECT SUM(o.total) FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE l.quantity > 2",
        Some(""),
    );
}

#[test]
fn aggregates_that_no_join_repeats_are_left_alone() {
    for (question, sql) in [
        (
            "How many orders do customers from France have?",
            "SELECT count(c.id) FROM customers c JOIN orders o ON o.customer_id = c.id",
        ),
        (
            "Number of orders for each customer",
            "SELECT c.full_name, count(c.id) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id",
        ),
        (
            "How many customers placed an order?",
            "SELECT count(DISTINCT c.id) FROM customers c JOIN orders o ON o.customer_id = c.id",
        ),
        (
            "How many customers placed an order?",
            "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id",
        ),
        (
            "Total of orders of customers from France",
            "SELECT SUM(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id",
        ),
        (
            "What did the order lines of all orders bring in total?",
            "SELECT SUM(o.total) FROM orders o JOIN order_lines l ON l.order_id = o.id",
        ),
        (
            "Highest total",
            "SELECT MAX(o.total) FROM orders o JOIN order_lines l ON l.order_id = o.id",
        ),
        (
            "Revenue",
            "SELECT SUM(l.quantity * p.price) FROM order_lines l JOIN products p ON p.id = l.product_id",
        ),
        (
            "Total of each order line",
            "SELECT SUM(c.birth_year) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY o.id",
        ),
        (
            "Total of order 7",
            "SELECT SUM(c.birth_year) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = 7",
        ),
    ] {
        fan_out(question, sql, None);
    }
}
