use super::*;
use crate::ports::ValueMatch;

fn not_stored(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::LiteralNotStored, question, sql, expected);
}

fn invented(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::InventedLiteral, question, sql, expected);
}

fn value(table: &str, column: &str, value: &str, words: &str, matched: ValueMatch) -> StoredValue {
    StoredValue {
        table: table.into(),
        column: column.into(),
        value: value.into(),
        rows: 3,
        words: words.into(),
        matched,
    }
}

#[test]
fn a_literal_becomes_the_category_that_is_meant() {
    for (literal, meant) in [
        ("SHIPPED", "shipped"),
        ("paid", "Not paid"),
        ("not paid", "Not paid"),
    ] {
        not_stored(
            &format!("Orders that are {literal}"),
            &format!("SELECT id FROM orders WHERE status = '{literal}'"),
            Some(&format!("SELECT id FROM orders WHERE status = '{meant}'")),
        );
    }
    not_stored(
        "Customers from france or Spain",
        "SELECT id FROM customers WHERE country IN ('france', 'Spain')",
        Some("SELECT id FROM customers WHERE country IN ('France', 'Spain')"),
    );
    let found = findings("Lost orders", "SELECT id FROM orders WHERE status = 'lost'");
    assert_eq!(
        found[0].message,
        "orders.status never is 'lost'; it is one of 'shipped', 'canceled', 'Not paid'"
    );
    assert_eq!(found[0].rewrite, None);
}

#[test]
fn a_literal_becomes_the_value_that_was_found_for_its_words() {
    let sql = "SELECT id FROM customers WHERE city = 'cordoba'";
    let stored = |value_: &str, matched| [value("customers", "city", value_, "cordoba", matched)];
    let rewrite = |stored: &[StoredValue]| {
        let found = findings_with("Customers in cordoba", sql, stored);
        let rewrite = found.into_iter().next().and_then(|finding| finding.rewrite);
        rewrite.map(|sql| sql.as_str().to_owned())
    };
    let right = Some("SELECT id FROM customers WHERE city = 'Córdoba'".to_owned());
    assert_eq!(rewrite(&stored("Córdoba", ValueMatch::Folded)), right);
    assert_eq!(rewrite(&stored("cordoba", ValueMatch::Exact)), None);
    assert_eq!(rewrite(&stored("Cordoba Norte", ValueMatch::Part)), None);
}

#[test]
fn literals_of_one_list_are_put_right_together() {
    not_stored(
        "Customers from france or SPAIN",
        "SELECT id FROM customers WHERE country IN ('france', 'SPAIN')",
        Some("SELECT id FROM customers WHERE country IN ('France', 'Spain')"),
    );
}

#[test]
fn a_key_is_not_compared_with_a_name() {
    not_stored(
        "How many products are in the category Tea?",
        "SELECT count(*) FROM products WHERE category_id = 'Tea' AND price > 1",
        Some(
            "SELECT count(*) FROM products WHERE category_id IN (SELECT id FROM categories WHERE title = 'Tea') AND price \
             > 1",
        ),
    );
    for sql in [
        "SELECT count(*) FROM products WHERE category_id = '7'",
        // A code may well be called so.
        "SELECT count(*) FROM patients WHERE ward_code = 'North'",
        "SELECT count(*) FROM orders WHERE coupon_id = 'Spring'",
        "SELECT count(*) FROM products WHERE category_id <> 'Tea'",
    ] {
        not_stored("Category Tea, ward North, coupon Spring", sql, None);
    }
}

#[test]
fn a_literal_that_may_be_stored_is_left_alone() {
    for sql in [
        "SELECT id FROM orders WHERE status = 'shipped'",
        "SELECT id FROM orders WHERE lower(status) = 'not paid'",
        "SELECT id FROM orders WHERE status LIKE '%paid'",
        "SELECT id FROM orders WHERE status <> 'lost'",
        "SELECT id FROM orders WHERE total = '15'",
        "SELECT id FROM customers WHERE city = 'paris'",
        "SELECT id FROM orders WHERE status > 'lost'",
        "SELECT 'lost' FROM orders",
    ] {
        not_stored("Shipped orders not paid in paris, lost", sql, None);
    }
}

#[test]
fn a_condition_that_nobody_asked_for_goes() {
    invented(
        "List the names of products above a price of 5",
        "SELECT name FROM products WHERE price > 5 AND name = 'Example'",
        Some("SELECT name FROM products WHERE price > 5"),
    );
    invented(
        "List the patients with a weight above 70",
        "SELECT patient_name FROM patients WHERE street = 'Sample Street' AND (weight > 70 OR weight IS NULL)",
        // The street is a word of the question only where it is asked for.
        Some("SELECT patient_name FROM patients WHERE (weight > 70 OR weight IS NULL)"),
    );
    // Alone, under OR, or while a word is unexplained, it is only reported.
    invented(
        "List the names of products",
        "SELECT name FROM products WHERE name = 'Example'",
        Some(""),
    );
    invented(
        "List the names of products above a price of 5",
        "SELECT name FROM products WHERE price > 5 OR name = 'Example'",
        Some(""),
    );
    invented(
        "List the names of crunchy products above a price of 5",
        "SELECT name FROM products WHERE price > 5 AND name = 'Example'",
        Some(""),
    );
}

#[test]
fn a_condition_that_something_supports_stays() {
    for (question, sql) in [
        (
            "Products called Example",
            "SELECT id FROM products WHERE name = 'example'",
        ),
        (
            "Products with an apple in them",
            "SELECT id FROM products WHERE name LIKE '%Apples%'",
        ),
        (
            "Members",
            "SELECT id FROM customers WHERE is_member = 'Y' AND id > 0",
        ),
        (
            "Members",
            "SELECT id FROM customers WHERE is_member <> 'false' AND id > 0",
        ),
        (
            "American customers",
            "SELECT id FROM customers WHERE city = 'USA' AND id > 0",
        ),
        // `undone` is explained by no name, so it may mean a category.
        (
            "Undone orders",
            "SELECT id FROM orders WHERE status = 'canceled' AND id > 0",
        ),
        (
            "Orders of May",
            "SELECT id FROM orders WHERE placed_on LIKE '2024-05%' AND id > 0",
        ),
        (
            "Years",
            "SELECT id FROM orders WHERE strftime('%Y', placed_on) = 'abcd' AND id > 0",
        ),
    ] {
        invented(question, sql, None);
    }
    let stored = [value(
        "products",
        "name",
        "Green tea",
        "matcha",
        ValueMatch::Fuzzy,
    )];
    let found = findings_with(
        "Price of matcha",
        "SELECT price FROM products WHERE name = 'Green tea' AND price > 0",
        &stored,
    );
    assert_eq!(found, []);
}

#[test]
fn what_the_question_gives_is_missed() {
    let missed = |question: &str, sql: &str| -> Vec<String> {
        findings(question, sql)
            .into_iter()
            .filter(|finding| finding.kind == FindingKind::LiteralMissing)
            .map(|finding| finding.message)
            .collect()
    };
    assert_eq!(
        missed(
            "Books called 'Blue Door' with more than 300 pages since 2004",
            "SELECT isbn FROM books WHERE pages > 300"
        ),
        [
            "the question says \"Blue Door\", and the SQL does not use it",
            "the question says 2004, and the SQL does not use it"
        ]
    );
    for (question, sql) in [
        (
            "Books with at least 300 pages",
            "SELECT isbn FROM books WHERE pages > 299",
        ),
        (
            "Books called 'Blue Door'",
            "SELECT isbn FROM books WHERE title LIKE '%blue door%'",
        ),
        ("Top 5 books", "SELECT isbn FROM books LIMIT 5"),
        (
            "Authors with three or more books",
            "SELECT author_id FROM books GROUP BY 1 HAVING count(*) >= 3",
        ),
        (
            "Orders placed in May 2024",
            "SELECT id FROM orders WHERE placed_on LIKE '2024-05-%'",
        ),
        (
            "Orders above the 10% mark",
            "SELECT id FROM orders WHERE total > 0.1",
        ),
        (
            "Orders above 2 thousand",
            "SELECT id FROM orders WHERE total > 2000",
        ),
        (
            "The customers' orders and the shop's",
            "SELECT id FROM orders",
        ),
    ] {
        assert_eq!(missed(question, sql), Vec::<String>::new(), "{question}");
    }
}
