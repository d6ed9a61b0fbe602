use super::*;
use crate::result::{ResultColumn, ResultSet, Value};

fn shape(question: &str, sql: &str, expected: Option<&str>) {
    check_kind(FindingKind::Shape, question, sql, expected);
}

fn rows(values: &[&[Value]]) -> ResultSet {
    let width = values.first().map_or(1, |row| row.len());
    ResultSet {
        columns: vec![
            ResultColumn {
                name: "a".into(),
                kind: "mixed".into(),
            };
            width
        ],
        rows: values.iter().map(|row| row.to_vec()).collect(),
        truncated: false,
    }
}

fn result_findings(question: &str, sql: &str, values: &[&[Value]]) -> Vec<Finding> {
    let visible = town();
    let guarded = guard(&GeneratedSql::new(sql), &visible).expect("is accepted");
    let evidence = Evidence {
        question,
        note: "",
        visible: &visible,
        stored: &[],
    };
    check_result(&guarded, &evidence, &rows(values))
}

#[test]
fn one_number_is_no_list_and_no_groups() {
    shape(
        "How many customers are there?",
        "SELECT full_name FROM customers",
        Some(""),
    );
    shape(
        "How many countries have more than 5 customers?",
        "SELECT count(*) FROM customers GROUP BY country HAVING count(*) > 5",
        Some(
            "SELECT count(*) FROM (SELECT count(*) FROM customers GROUP BY country HAVING count(*) > 5)",
        ),
    );
    for (question, sql) in [
        (
            "How many customers are there?",
            "SELECT count(*) FROM customers",
        ),
        ("How many beds has the ward?", "SELECT beds FROM wards"),
        (
            "How many customers per country?",
            "SELECT country, count(*) FROM customers GROUP BY country",
        ),
        (
            "How many orders has the customer with the most orders?",
            "SELECT count(*) FROM orders GROUP BY customer_id ORDER BY count(*) DESC LIMIT 1",
        ),
        (
            "Customers and how many orders they have",
            "SELECT full_name FROM customers",
        ),
    ] {
        shape(question, sql, None);
    }
}

#[test]
fn the_best_are_not_all() {
    shape(
        "What is the longest book?",
        "SELECT title FROM books ORDER BY pages DESC",
        Some("SELECT title FROM books ORDER BY pages DESC LIMIT 1"),
    );
    for question in ["Show the top 3 books by pages", "The three longest books"] {
        shape(
            question,
            "SELECT title FROM books ORDER BY pages DESC",
            Some("SELECT title FROM books ORDER BY pages DESC LIMIT 3"),
        );
    }
    for (question, sql) in [
        (
            "Show the top 3 books",
            "SELECT title FROM books ORDER BY pages DESC LIMIT 3",
        ),
        (
            "Show the top 3 books of each author",
            "SELECT title FROM books ORDER BY pages DESC",
        ),
        (
            "Show the top 10% of books",
            "SELECT title FROM books ORDER BY pages DESC",
        ),
        (
            "What are the books from the longest to the shortest?",
            "SELECT title FROM books ORDER BY pages DESC",
        ),
        ("What is the longest book?", "SELECT max(pages) FROM books"),
        (
            "What is the longest book?",
            "SELECT title FROM books WHERE pages = (SELECT max(pages) FROM books) ORDER BY title",
        ),
        (
            "Which books have the most pages?",
            "SELECT title FROM books ORDER BY pages DESC",
        ),
        (
            "Which book has at least 3 pages?",
            "SELECT title FROM books ORDER BY pages DESC",
        ),
    ] {
        shape(question, sql, None);
    }
}

#[test]
fn names_are_no_numbers() {
    shape(
        "What are the names of the authors?",
        "SELECT age FROM authors",
        Some(""),
    );
    for (question, sql) in [
        (
            "What are the names of the authors?",
            "SELECT last_name, age FROM authors",
        ),
        (
            "What are the names of the authors?",
            "SELECT * FROM authors",
        ),
        (
            "What are the ages of the authors?",
            "SELECT age FROM authors",
        ),
    ] {
        shape(question, sql, None);
    }
}

#[test]
fn rows_are_held_against_the_question() {
    let found = |question: &str, values: &[Value]| {
        let rows: Vec<&[Value]> = values.chunks(1).collect();
        result_findings(question, "SELECT title FROM books", &rows).len()
    };
    let number = Value::Integer(1);
    let text = || Value::Text("a".into());
    let two = [number.clone(), number.clone()];
    assert_eq!(found("How many books are there?", &two), 1);
    assert_eq!(found("How many books are there?", &[text()]), 1);
    assert_eq!(found("How many books are there?", &[number]), 0);
    assert_eq!(found("How many books by each author?", &two), 0);
    assert_eq!(found("Top 1 book", &[text(), text()]), 1);
    assert_eq!(found("Top 2 books", &[text(), text()]), 0);
}

#[test]
fn no_rows_have_a_likely_reason() {
    let found = result_findings(
        "Patients of Mill Lane",
        "SELECT patient_name FROM patients AS p WHERE p.street = 'Mill Lane' AND p.weight > 3",
        &[],
    );
    assert_eq!(
        found[0].message,
        "no row matches, likely because of patients.street = 'Mill Lane'; compare with a value that the column has"
    );
    assert_eq!(
        found[0].rewrite.as_ref().map(GeneratedSql::as_str),
        Some(
            "SELECT patient_name FROM patients AS p WHERE p.street LIKE '%Mill Lane%' AND p.weight > 3"
        )
    );
    let counted = result_findings(
        "How many patients live in Mill Lane?",
        "SELECT count(*) FROM patients WHERE 'Mill Lane' = street",
        &[&[Value::Integer(0)]],
    );
    assert_eq!(
        counted[0].rewrite.as_ref().map(GeneratedSql::as_str),
        Some("SELECT count(*) FROM patients WHERE street LIKE '%Mill Lane%'")
    );
}

#[test]
fn no_rows_may_be_the_answer() {
    for sql in [
        "SELECT patient_name FROM patients WHERE weight > 900",
        "SELECT id FROM orders WHERE status = 'shipped'",
        "SELECT patient_name FROM patients WHERE street = 'On or near Mill Lane'",
        "SELECT patient_name FROM patients WHERE street LIKE '%Mill Lane%'",
    ] {
        assert_eq!(result_findings("Which?", sql, &[]), [], "{sql}");
    }
    // What is not stored and cannot be a part of anything is only named.
    let found = result_findings(
        "Lost orders",
        "SELECT id FROM orders WHERE status = 'lost'",
        &[],
    );
    assert_eq!(found[0].rewrite, None);
    assert_eq!(found[0].kind, FindingKind::NoRows);
}
