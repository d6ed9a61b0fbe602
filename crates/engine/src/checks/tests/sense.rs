use super::*;

#[test]
fn a_subquery_gives_a_column_of_its_own() {
    check_kind(
        FindingKind::OuterColumn,
        "Which categories were never ordered?",
        "SELECT title FROM products JOIN categories ON categories.id = category_id WHERE category_id NOT IN (SELECT \
         category_id FROM order_lines)",
        Some(
            "SELECT title FROM products JOIN categories ON categories.id = category_id WHERE category_id NOT IN (SELECT \
             products.category_id FROM order_lines JOIN products ON products.id = order_lines.product_id)",
        ),
    );
    for sql in [
        "SELECT id FROM products WHERE id NOT IN (SELECT product_id FROM order_lines)",
        "SELECT id FROM products WHERE id IN (SELECT id FROM orders)",
        "SELECT id FROM products p WHERE EXISTS (SELECT category_id FROM order_lines l WHERE l.product_id = p.id)",
        "SELECT id FROM products p WHERE 3 IN (SELECT p.price)",
    ] {
        check_kind(FindingKind::OuterColumn, "Which products?", sql, None);
    }
}

#[test]
fn every_table_is_tied_to_another() {
    for sql in [
        "SELECT b.title, a.last_name FROM books b JOIN authors a ON a.author_id = a.author_id",
        "SELECT b.title, a.last_name FROM books b, authors a WHERE b.pages > 3",
        "SELECT b.title, a.last_name FROM books b CROSS JOIN authors a",
    ] {
        check_kind(
            FindingKind::UnjoinedTable,
            "Books and authors",
            sql,
            Some(""),
        );
    }
    for sql in [
        "SELECT b.title, a.last_name FROM books b JOIN authors a ON b.author_id = a.author_id",
        "SELECT b.title, a.last_name FROM books b JOIN authors a USING (author_id)",
        "SELECT b.title, a.last_name FROM books b NATURAL JOIN authors a",
        "SELECT b.title, a.last_name FROM books b, authors a WHERE a.age + b.pages > 3",
        "SELECT b.title, a.last_name FROM books b LEFT JOIN authors a ON 1",
        "SELECT b.title, m.pages FROM books b, (SELECT max(pages) AS pages FROM books) m",
        "SELECT b.title, a.age FROM books b, authors a WHERE b.pages = (SELECT max(a.age) FROM books)",
    ] {
        check_kind(FindingKind::UnjoinedTable, "Books and authors", sql, None);
    }
}

#[test]
fn the_oldest_come_first_where_they_are_asked_for() {
    for (question, sql, right) in [
        (
            "Who is the youngest customer?",
            "SELECT full_name FROM customers ORDER BY birth_year LIMIT 1",
            "SELECT full_name FROM customers ORDER BY birth_year DESC LIMIT 1",
        ),
        (
            "Who is the oldest author?",
            "SELECT last_name FROM authors ORDER BY age ASC LIMIT 1",
            "SELECT last_name FROM authors ORDER BY age DESC LIMIT 1",
        ),
    ] {
        check_kind(FindingKind::WrongOrder, question, sql, Some(right));
        check_kind(FindingKind::WrongOrder, question, right, None);
    }
    for (question, sql) in [
        (
            "Customers from the oldest to the youngest",
            "SELECT id FROM customers ORDER BY birth_year DESC LIMIT 3",
        ),
        (
            "The oldest customers first",
            "SELECT id FROM customers ORDER BY birth_year DESC",
        ),
        (
            "The oldest books",
            "SELECT title FROM books ORDER BY pages ASC LIMIT 1",
        ),
        (
            "The longest life",
            "SELECT id FROM customers ORDER BY birth_year DESC LIMIT 1",
        ),
    ] {
        check_kind(FindingKind::WrongOrder, question, sql, None);
    }
}
