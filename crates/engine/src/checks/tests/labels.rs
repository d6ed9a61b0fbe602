use super::*;

fn label(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::KeyInsteadOfName, question, sql, expected);
}

#[test]
fn a_key_gives_way_to_the_name_that_is_asked_for() {
    label(
        "Which customer has placed the most orders?",
        "SELECT customer_id FROM orders GROUP BY customer_id ORDER BY count(*) DESC LIMIT 1",
        Some(
            "SELECT (SELECT customers.full_name FROM customers WHERE customers.id = orders.customer_id) FROM orders GROUP \
             BY customer_id ORDER BY count(*) DESC LIMIT 1",
        ),
    );
    label(
        "Which product was sold most often?",
        "SELECT product_id FROM order_lines GROUP BY product_id ORDER BY count(*) DESC LIMIT 1",
        Some(
            "SELECT (SELECT products.name FROM products WHERE products.id = order_lines.product_id) FROM order_lines \
             GROUP BY product_id ORDER BY count(*) DESC LIMIT 1",
        ),
    );
    label(
        "Which product was sold most often?",
        "SELECT l.product_id FROM order_lines l JOIN products p ON p.id = l.product_id GROUP BY p.id ORDER BY \
         sum(l.quantity) DESC LIMIT 1",
        Some(
            "SELECT p.name FROM order_lines l JOIN products p ON p.id = l.product_id GROUP BY p.id ORDER BY \
             sum(l.quantity) DESC LIMIT 1",
        ),
    );
    label(
        "What are the wards with heavy patients?",
        "SELECT DISTINCT ward_code FROM patients WHERE weight > 100",
        Some(
            "SELECT DISTINCT (SELECT wards.ward_name FROM wards WHERE wards.code = patients.ward_code) FROM patients \
             WHERE weight > 100",
        ),
    );
    label(
        "Which products were never sold?",
        "SELECT id FROM products EXCEPT SELECT product_id FROM order_lines",
        Some(
            "SELECT name FROM products WHERE id IN (SELECT id FROM products EXCEPT SELECT product_id FROM order_lines)",
        ),
    );
    label(
        "Which genre has the most records?",
        "SELECT genre FROM records GROUP BY genre ORDER BY count(*) DESC LIMIT 1",
        Some(
            "SELECT (SELECT genres.genre FROM genres WHERE genres.id = records.genre) FROM records GROUP BY genre ORDER BY \
             count(*) DESC LIMIT 1",
        ),
    );
    // Joined, though nothing declares that one refers to the other.
    label(
        "Which wards have as many beds as there are years in a prize?",
        "SELECT p.jury FROM prizes p JOIN wards w ON p.jury = w.code",
        Some("SELECT w.ward_name FROM prizes p JOIN wards w ON p.jury = w.code"),
    );
    label(
        "List the categories",
        "SELECT id FROM categories",
        Some("SELECT categories.title FROM categories"),
    );
    label(
        "Which patients had aspirin, and at what cost?",
        "SELECT t.patient_id AS who, t.cost FROM treatments AS t WHERE t.drug = 'aspirin'",
        Some(
            "SELECT (SELECT patients.patient_name FROM patients WHERE patients.patient_id = t.patient_id) AS who, \
             t.cost FROM treatments AS t WHERE t.drug = 'aspirin'",
        ),
    );
}

#[test]
fn a_key_that_is_asked_for_stays() {
    let sql =
        "SELECT product_id FROM order_lines GROUP BY product_id ORDER BY count(*) DESC LIMIT 1";
    for question in [
        "What is the id of the product that was sold most often?",
        "Which product number was sold most often?",
        "Product key with the most lines",
        "Which order has the most products?",
        "How many products are there?",
        "",
    ] {
        label(question, sql, None);
    }
    for (question, sql) in [
        ("Which products are there?", "SELECT id, name FROM products"),
        ("Which products are there?", "SELECT * FROM products"),
        ("Which authors are there?", "SELECT author_id FROM authors"),
        ("Which books are long?", "SELECT pages FROM books"),
        ("Which ward code is used?", "SELECT ward_code FROM patients"),
        (
            "Which products are dear?",
            "SELECT id FROM products UNION SELECT product_id FROM order_lines LIMIT 3",
        ),
        (
            "Which products are dear?",
            "SELECT id, price FROM products UNION SELECT product_id, 1 FROM order_lines",
        ),
        (
            "Which products are dear?",
            "SELECT name FROM products WHERE id IN (SELECT product_id FROM order_lines)",
        ),
        ("Which products are dear?", "SELECT count(id) FROM products"),
    ] {
        label(question, sql, None);
    }
}
