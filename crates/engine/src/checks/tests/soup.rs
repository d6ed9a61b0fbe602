//! Statements put together at random: whatever the guard accepts can be checked, and every rewrite passes the guard.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::result::{ResultSet, Value};

const OUTPUTS: &[&str] = &[
    "*",
    "o.*",
    "count(*)",
    "count(c.id)",
    "c.id",
    "o.customer_id",
    "sum(o.total) / count(*)",
    "full_name AS n",
    "rowid",
    "avg(total)",
    "(SELECT count(*) FROM books)",
    "CASE WHEN o.status = 'x' THEN 1 ELSE NULL END",
    "NULL",
    "max(o.id, 1)",
    "row_number() OVER (PARTITION BY c.city ORDER BY o.total)",
    "'it''s'",
    "count(*) FILTER (WHERE o.total / 2 > 1)",
    "x'00ff'",
    "-o.total % 3 / 2",
    "\"status\"",
    "EXISTS (SELECT 1)",
    "o.total || ''",
    "coalesce(o.coupon_id, 0)",
];
const SOURCES: &[&str] = &[
    "orders o JOIN customers c ON o.customer_id = c.id",
    "customers c, orders AS o",
    "customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 3",
    "orders o NATURAL JOIN customers c",
    "orders o JOIN customers c USING (id)",
    "(orders o JOIN customers c ON o.customer_id = c.id)",
    "(SELECT * FROM orders) AS o JOIN (SELECT id, full_name, city FROM customers) AS c ON c.id = o.customer_id",
    "orders o CROSS JOIN customers c JOIN coupons k ON k.id = o.coupon_id",
    "w AS o JOIN customers c ON o.customer_id = c.id",
    "customers c JOIN orders o ON o.customer_id = c.id JOIN order_lines l ON l.order_id = o.id JOIN products p ON \
     l.product_id = p.id",
    "orders o FULL JOIN customers c ON c.id = o.customer_id",
    "json_each('[1]') AS o, customers c",
];
const CONDITIONS: &[&str] = &[
    "o.status = 'lost'",
    "o.customer_id = c.id",
    "(c.country IN ('france', 'Spain') OR c.city LIKE '%x_%')",
    "'Example' = c.full_name",
    "o.id IN (SELECT order_id FROM order_lines WHERE product_id = o.id)",
    "NOT o.total > 3",
    "c.city = 'a' AND c.city = 'b'",
    "EXISTS (SELECT 1 FROM orders x WHERE x.customer_id = c.id)",
    "o.total BETWEEN 1 AND 2",
    "c.city COLLATE NOCASE = 'Oslo'",
    "lower(c.city) = 'oslo'",
    "1",
    "o.status IS NOT NULL",
    "total / 2 = 3",
];
const ENDINGS: &[&str] = &[
    "",
    "GROUP BY c.id",
    "GROUP BY country HAVING count(*) > 2",
    "ORDER BY o.total DESC",
    "ORDER BY 1 LIMIT 3",
    "GROUP BY o.id ORDER BY count(*) DESC LIMIT 1 OFFSET 2",
    "UNION SELECT 1",
    "EXCEPT SELECT c.id FROM customers c",
    "ORDER BY n",
    "WINDOW v AS (ORDER BY o.id)",
];
const QUESTIONS: &[&str] = &[
    "How many customers are there?",
    "Which customer has the most orders?",
    "What is the percentage of 'lost' orders?",
    "Top 3 orders",
    "List the names of customers above 50",
    "Who placed the order?",
    "",
    "’‘'\"",
    "ratio per 7 million 7,7.7.7",
    "How many countries have 3 customers",
    "What is the oldest customer?",
    "ÄÖ 'ü 2% ﬁ",
];

fn holds(question: &str, sql: &str) {
    thread_local! {
        static TOWN: Arc<VisibleSchema> = town();
    }
    TOWN.with(|visible| {
        let Ok(guarded) = guard(&GeneratedSql::new(sql), visible) else {
            return;
        };
        let evidence = Evidence {
            question,
            note: "",
            visible,
            stored: &[],
        };
        let mut found = check(&guarded, &evidence);
        for rows in [vec![], vec![vec![Value::Integer(1)], vec![Value::Null]]] {
            let rows = ResultSet {
                rows,
                ..ResultSet::default()
            };
            found.extend(check_result(&guarded, &evidence, &rows));
        }
        for finding in found {
            assert!(!finding.message.is_empty());
            if let Some(rewrite) = finding.rewrite {
                assert!(guard(&rewrite, visible).is_ok(), "{sql} became {rewrite:?}");
                assert_ne!(rewrite.as_str(), guarded.text());
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Statements of pieces that fit together, mostly.
    #[test]
    fn whatever_is_accepted_can_be_checked(
        question in select(QUESTIONS),
        with in any::<bool>(),
        distinct in any::<bool>(),
        outputs in proptest::collection::vec(select(OUTPUTS), 1..4),
        source in select(SOURCES),
        conditions in proptest::collection::vec(select(CONDITIONS), 0..4),
        ending in select(ENDINGS),
    ) {
        let mut sql = String::new();
        if with || source.starts_with("w ") {
            sql.push_str("WITH w AS (SELECT id, customer_id, status, total FROM orders) ");
        }
        sql.push_str(if distinct { "SELECT DISTINCT " } else { "SELECT " });
        sql.push_str(&outputs.join(", "));
        sql.push_str(&format!(" FROM {source}"));
        if !conditions.is_empty() {
            sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
        }
        sql.push_str(&format!(" {ending}"));
        holds(question, &sql);
    }

    /// Any question at all.
    #[test]
    fn any_question_can_be_asked(question in ".{0,60}", output in select(OUTPUTS)) {
        holds(&question, &format!("SELECT {output} FROM orders o JOIN customers c ON o.customer_id = c.id ORDER BY 1"));
    }
}

/// Nesting as deep as the guard accepts, on a stack a quarter of a worker's.
#[test]
fn no_depth_overflows_the_stack() {
    let texts: Vec<String> = [50, 90, 190, 390]
        .into_iter()
        .flat_map(|count| {
            let nested = |open: &str, close: &str| {
                format!(
                    "SELECT {}1{} FROM orders",
                    open.repeat(count),
                    close.repeat(count)
                )
            };
            [
                nested("(", ")"),
                nested("NOT ", ""),
                nested("(SELECT ", ")"),
                nested("", " + 1"),
                nested("abs(", ")"),
                format!(
                    "SELECT * FROM {}orders{}",
                    "(SELECT * FROM ".repeat(count),
                    ")".repeat(count)
                ),
                format!(
                    "{} SELECT 1 FROM orders",
                    (0..count).fold("WITH a AS (SELECT 1)".to_owned(), |all, n| {
                        format!("{all}, a{n} AS (SELECT 1)")
                    })
                ),
            ]
        })
        .collect();
    let walk = move || {
        for text in texts {
            holds("What percentage?", &text);
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(walk);
    thread
        .expect("a thread")
        .join()
        .expect("no overflow and no panic");
}
