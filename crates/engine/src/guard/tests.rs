//! The corpora of `corpus/`, and the rules of the guard one by one, over the company of `corpus/schema.sql`.

use proptest::prelude::*;

pub(crate) mod company;

use super::*;
use company::{lines, visible};

fn run(sql: &str) -> Result<GuardedSql, Error> {
    guard(&GeneratedSql::new(sql), &visible())
}

/// Checks one statement: the text that runs, or `code: message | hint`.
fn check(sql: &str, expected: &str) {
    let answer = match run(sql) {
        Ok(guarded) => guarded.text().to_owned(),
        Err(error) => {
            let hint = error
                .hint()
                .map_or(String::new(), |hint| format!(" | {hint}"));
            format!("{}: {}{hint}", error.code(), error.message())
        }
    };
    assert_eq!(answer, expected, "{sql}");
}

#[test]
fn every_hostile_line_that_must_be_refused_is_refused() {
    let visible = visible();
    let mut passed = Vec::new();
    let lines = lines("hostile");
    assert!(lines.len() >= 250);
    for (file, heading, sql) in lines {
        assert!(
            heading == "-- refused" || heading == "-- bounded",
            "{file}: {heading}"
        );
        let answer = guard(&GeneratedSql::new(sql.as_str()), &visible);
        if heading == "-- refused" && answer.is_ok() {
            passed.push(format!(
                "{file}: {}",
                sql.chars().take(120).collect::<String>()
            ));
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn every_hostile_class_has_eight_tricks_and_none_occurs_twice() {
    let lines = lines("hostile");
    let mut counts = std::collections::BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    for (file, _, sql) in &lines {
        *counts.entry(file).or_insert(0) += 1;
        assert!(seen.insert(sql), "{file}: {sql}");
    }
    assert!(counts.values().all(|count| *count >= 8), "{counts:?}");
}

#[test]
fn every_benign_line_is_accepted_and_accepting_it_again_changes_nothing() {
    let visible = visible();
    let mut refused = Vec::new();
    let lines = lines("benign");
    assert!(lines.len() >= 250);
    for (file, _, sql) in lines {
        match guard(&GeneratedSql::new(sql.as_str()), &visible) {
            Ok(once) => {
                let twice = guard(&GeneratedSql::new(once.text()), &visible);
                let twice = twice.unwrap_or_else(|error| {
                    panic!("{sql} became {} and then {error:?}", once.text())
                });
                assert_eq!(twice.text(), once.text());
            }
            Err(error) => refused.push(format!("{file}: {sql}: {error:?}")),
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn writes_are_answered_in_the_words_of_sqlite() {
    let answer = "sql_not_read_only: attempt to write a readonly database";
    for (file, _, sql) in lines("hostile") {
        let writes = [
            "plain_writes.sql",
            "cte_writes.sql",
            "vacuum.sql",
            "triggers_views_temp.sql",
        ];
        if writes.contains(&file.as_str()) {
            check(&sql, answer);
        }
    }
    for sql in [
        "ATTACH 'a' AS b",
        "PRAGMA query_only = 0",
        "BEGIN",
        "SELECT 1; DROP TABLE orders",
        "TRUNCATE TABLE x",
    ] {
        check(sql, answer);
    }
}

#[test]
fn what_is_hidden_is_answered_like_what_does_not_exist() {
    for (hidden, missing, sql) in [
        ("salary", "salarx", "SELECT # FROM people"),
        ("salary", "salarx", "SELECT p.# FROM people AS p"),
        ("salary", "salarx", "SELECT name FROM people ORDER BY #"),
        (
            "salary",
            "salarx",
            "SELECT name FROM people JOIN teams USING (#)",
        ),
        (
            "salary",
            "salarx",
            "SELECT name FROM people WHERE \"#\" > 1",
        ),
        ("secrets", "secretx", "SELECT * FROM #"),
        ("secrets", "secretx", "SELECT * FROM main.#"),
        ("secrets", "secretx", "SELECT 1 WHERE 1 IN #"),
        ("secrets", "secretx", "PRAGMA table_info(#)"),
        ("secrets", "secretx", "SELECT * FROM pragma_table_info('#')"),
        ("pay", "pax", "SELECT * FROM #"),
        ("pay", "pax", "WITH # AS (SELECT 1 AS x) SELECT x FROM #"),
    ] {
        let answer = |name: &str| {
            format!(
                "{:?}",
                run(&sql.replace('#', name)).map(|guarded| guarded.text().to_owned())
            )
        };
        assert_eq!(
            answer(hidden),
            answer(missing).replace(missing, hidden),
            "{sql}"
        );
    }
}

#[test]
fn a_table_with_hidden_columns_is_cut_where_they_could_matter() {
    let cut =
        r#"(SELECT "id", "name", "team_id", "manager_id", "hired_on", "email" FROM "people")"#;
    for (sql, expected) in [
        (
            "SELECT name FROM people WHERE id = 1",
            "SELECT name FROM people WHERE id = 1".to_owned(),
        ),
        (
            "SELECT count(*) FROM people;",
            "SELECT count(*) FROM people".to_owned(),
        ),
        (
            "SELECT * FROM people",
            format!("SELECT * FROM {cut} AS \"people\""),
        ),
        (
            "SELECT p.* FROM main.people AS p",
            format!("SELECT p.* FROM {cut} AS p"),
        ),
        (
            "SELECT main.people.name, people.* FROM main.people",
            format!("SELECT people.name, people.* FROM {cut} AS \"people\""),
        ),
        (
            "SELECT teams.* FROM teams, people",
            "SELECT teams.* FROM teams, people".to_owned(),
        ),
        (
            "SELECT people.name FROM people NATURAL JOIN teams",
            format!("SELECT people.name FROM {cut} AS \"people\" NATURAL JOIN teams"),
        ),
        // SQLite would call this ambiguous, and so tell of the hidden column.
        (
            "SELECT salary FROM people, (SELECT 1 AS salary)",
            format!("SELECT salary FROM {cut} AS \"people\", (SELECT 1 AS salary)"),
        ),
        (
            "SELECT (SELECT salary FROM people LIMIT 1) FROM (SELECT 1 AS salary)",
            format!(
                "SELECT (SELECT salary FROM {cut} AS \"people\" LIMIT 1) FROM (SELECT 1 AS salary)"
            ),
        ),
    ] {
        check(sql, &expected);
    }
}

#[test]
fn hints_say_what_to_write() {
    for (sql, answer) in [
        (
            "SELECT name FROM custmers",
            "unknown_table: no such table: custmers | did you mean customers?",
        ),
        (
            "SELECT nam FROM customers",
            "unknown_column: no such column: nam | did you mean name?",
        ),
        (
            "SELECT c.amount FROM customers AS c JOIN orders AS o ON o.customer_id = c.id",
            "unknown_column: no such column: c.amount | amount is a column of o: write o.amount",
        ),
        (
            "SELECT c.name FROM customers JOIN orders AS o ON o.customer_id = customers.id",
            "unknown_column: no such column: c.name | name is a column of customers: write customers.name",
        ),
        (
            "SELECT amount * 2 AS doubled, doubled + 1 FROM orders",
            "unknown_column: no such column: doubled | doubled is an alias of this SELECT, whose columns cannot use it: repeat its expression",
        ),
        (
            "SELECT order_id FROM \"Order Details\"",
            "unknown_column: no such column: order_id | did you mean \"order id\"?",
        ),
        (
            "SELECT amount FROM customers",
            "unknown_column: no such column: amount | amount is a column of orders, which is not in FROM here and may have to be joined",
        ),
        (
            "SELECT name FROM customers WHERE country = \"Germany\"",
            "double_quoted_string: no such column: \"Germany\"; text is written in single quotes | write 'Germany' in single quotes",
        ),
        (
            "SELECT year(ordered_on) FROM orders",
            "function_not_allowed: the function year may not be called | write cast(strftime('%Y', x) AS INTEGER)",
        ),
        (
            "EXPLAIN SELECT 1",
            "not_a_select: only SELECT may run | leave out EXPLAIN",
        ),
        (
            "SELECT 1; SELECT 2",
            "more_than_one_statement: there are 2 statements, one is allowed",
        ),
        ("SELECT FROM x", "invalid_sql: near \"FROM\": syntax error"),
        (
            "WITH orders AS (SELECT 1) SELECT 1",
            "name_shadows_table: the common table expression orders has the name of a table | give it a name that no table has",
        ),
        (
            "SELECT ?1",
            "invalid_sql: parameters cannot be used: 1 | write the value itself",
        ),
    ] {
        check(sql, answer);
    }
}

#[test]
fn the_tables_read_are_named_once_in_order() {
    let guarded = run(
        "SELECT 1 FROM orders o, (SELECT id FROM CUSTOMERS) c WHERE o.id IN (SELECT id FROM orders)",
    );
    assert_eq!(
        guarded.expect("is accepted").tables(),
        ["orders", "customers"]
    );
}

#[test]
fn schema_inspection_shows_what_is_visible_and_nothing_else() {
    for sql in [
        "SELECT * FROM sqlite_master",
        "WITH RECURSIVE a AS (SELECT 1) SELECT sql FROM main.sqlite_schema, a",
        "PRAGMA table_info(people)",
        "PRAGMA table_list",
        "SELECT name FROM pragma_table_info('people')",
    ] {
        let text = run(sql).expect("is accepted").text().to_owned();
        assert!(
            text.contains("'email'") || text.contains("'people'"),
            "{text}"
        );
        assert!(
            !text.contains("salary") && !text.contains("secrets") && !text.contains("pay"),
            "{text}"
        );
    }
    check(
        "PRAGMA table_info(teams)",
        "SELECT column1 AS \"cid\", column2 AS \"name\", column3 AS \"type\", column4 AS \"notnull\", column5 AS \"dflt_value\", \
         column6 AS \"pk\" FROM (VALUES (0, 'id', 'INTEGER', 0, NULL, 1), (1, 'name', 'TEXT', 0, NULL, 0), (2, 'city', 'TEXT', 0, NULL, 0))",
    );
}

#[test]
fn a_forged_schema_table_is_refused() {
    let real = run("SELECT name FROM sqlite_master")
        .expect("is accepted")
        .text()
        .to_owned();
    assert!(run(&real).is_ok());
    let forged = real.replacen("'teams'", "'forged'", 1);
    assert_eq!(
        run(&forged).map_err(|error| error.code()).err(),
        Some(Code::NameShadowsTable)
    );
}

/// Every kind of nesting, just within the limits and far beyond, on a stack a quarter of a worker's.
#[test]
fn no_depth_overflows_the_stack() {
    let nested = |count: usize| {
        let wrap = |open: &str, inner: &str, close: &str| {
            format!(
                "SELECT {}{inner}{}",
                open.repeat(count),
                close.repeat(count)
            )
        };
        vec![
            wrap("(", "1", ")"),
            wrap("NOT ", "1", ""),
            wrap("- ", "1", ""),
            wrap("CASE WHEN 1 THEN ", "1", " END"),
            wrap("abs(", "1", ")"),
            wrap("(SELECT ", "1", ")"),
            wrap("EXISTS (SELECT * FROM people WHERE ", "1", ")"),
            wrap("1 IN (SELECT id FROM people WHERE ", "1", ")"),
            wrap("", "1", " + 1"),
            wrap("", "1", " IS NULL"),
            wrap("sum(1) OVER (ORDER BY ", "1", ")"),
            format!(
                "SELECT * FROM {}people{}",
                "(SELECT * FROM ".repeat(count),
                ")".repeat(count)
            ),
            format!(
                "SELECT * FROM {}people{}",
                "(".repeat(count),
                ")".repeat(count)
            ),
            format!(
                "{}SELECT 1{}",
                "WITH a AS (".repeat(count),
                ") SELECT 1".repeat(count)
            ),
            format!(
                "{}SELECT 1 ORDER BY x{}",
                "SELECT 1 UNION SELECT 1 ORDER BY (".repeat(count),
                ")".repeat(count)
            ),
        ]
    };
    let visible = visible();
    let walk = move || {
        for count in [10, 95, 100, 195, 390, 400, 2_000, 10_000] {
            for sql in nested(count) {
                let _ = guard(&GeneratedSql::new(sql), &visible);
            }
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

/// Texts whose cost would grow out of hand without a limit.
#[test]
fn no_text_keeps_the_guard_busy() {
    let wide = |count: usize| vec!["w"; count].join(", ");
    let mut growing = String::from("WITH a0 AS (SELECT * FROM orders)");
    for level in 0..8 {
        growing += &format!(
            ", a{} AS (SELECT * FROM a{level} AS x, a{level} AS y, a{level} AS z)",
            level + 1
        );
    }
    let using: Vec<_> = (0..4_000).map(|index| format!("c{index:x}")).collect();
    for sql in [
        growing + " SELECT count(*) FROM a8",
        format!(
            "WITH w AS (SELECT {} FROM orders) SELECT {} FROM {}",
            vec!["id"; 1_000].join(", "),
            vec!["nix"; 1_000].join(", "),
            wide(64)
        ),
        format!(
            "WITH w AS (SELECT {} FROM orders) SELECT {} FROM {}",
            vec!["note"; 1_900].join(", "),
            vec!["w.note"; 1_900].join(", "),
            wide(60)
        ),
        format!(
            "SELECT 1 FROM orders AS a JOIN orders AS b USING ({})",
            using.join(", ")
        ),
        format!("SELECT 1 {}", "UNION SELECT * FROM people ".repeat(450)),
    ] {
        let start = std::time::Instant::now();
        let _ = run(&sql);
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 1.0, "{seconds} s for {}", &sql[..60]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random tokens, in any order, are refused or accepted; what is accepted is one SELECT and stays as it is.
    #[test]
    fn token_soup_never_panics(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40)) {
        holds(&words.join(" "));
        holds(&format!("SELECT {}", words.join(" ")));
    }

    /// Any text at all.
    #[test]
    fn random_text_never_panics(text in ".{0,80}") {
        holds(&text);
        holds(&format!("SELECT {text}"));
        holds(&format!("SELECT name FROM customers WHERE {text}"));
    }

    /// Lines of the corpora with a piece cut out, doubled or put elsewhere.
    #[test]
    fn mutated_corpus_lines_never_panic(
        line in proptest::sample::select(mutable_lines()),
        from in 0_usize..400,
        length in 0_usize..40,
        to in 0_usize..400,
        keep in any::<bool>(),
    ) {
        let chars: Vec<char> = line.chars().collect();
        let from = from.min(chars.len());
        let piece = &chars[from..(from + length).min(chars.len())];
        let mut rest: Vec<char> = if keep { chars.clone() } else { [&chars[..from], &chars[from + piece.len()..]].concat() };
        let to = to.min(rest.len());
        rest.splice(to..to, piece.iter().copied());
        holds(&rest.into_iter().collect::<String>());
    }
}

/// What must hold of every text.
fn holds(sql: &str) {
    thread_local! {
        static VISIBLE: Arc<VisibleSchema> = visible();
    }
    VISIBLE.with(|visible| {
        let Ok(once) = guard(&GeneratedSql::new(sql), visible) else {
            return;
        };
        let arena = Bump::new();
        let mut parser = Parser::new(&arena, once.text().as_bytes());
        assert!(
            matches!(parser.next(), Ok(Some(Cmd::Stmt(Stmt::Select(_))))),
            "{}",
            once.text()
        );
        assert!(matches!(parser.next(), Ok(None)), "{}", once.text());
        let twice = guard(&GeneratedSql::new(once.text()), visible);
        let twice =
            twice.unwrap_or_else(|error| panic!("{sql} became {} and then {error:?}", once.text()));
        assert_eq!((twice.text(), twice.tables()), (once.text(), once.tables()));
    });
}

fn mutable_lines() -> Vec<String> {
    let all = lines("benign").into_iter().chain(lines("hostile"));
    all.map(|(_, _, sql)| sql)
        .filter(|sql| sql.len() < 400)
        .collect()
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "HAVING",
    "LIMIT",
    "WITH",
    "RECURSIVE",
    "AS",
    "(",
    ")",
    ",",
    "*",
    "=",
    "<",
    "people",
    "orders",
    "customers",
    "sqlite_master",
    "name",
    "id",
    "salary",
    "secrets",
    "p",
    ".",
    "'x'",
    "\"y\"",
    "1",
    "2.5",
    "x'00'",
    "NULL",
    "UNION",
    "ALL",
    "EXCEPT",
    "VALUES",
    "JOIN",
    "LEFT",
    "NATURAL",
    "USING",
    "ON",
    "IN",
    "EXISTS",
    "NOT",
    "BETWEEN",
    "AND",
    "OR",
    "LIKE",
    "IS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "count",
    "max",
    "OVER",
    "PARTITION",
    "ROWS",
    "UNBOUNDED",
    "PRECEDING",
    "CAST",
    "INTEGER",
    "COLLATE",
    "NOCASE",
    "DISTINCT",
    ";",
    "--",
    "/*",
    "*/",
    "INSERT",
    "DELETE",
    "PRAGMA",
    "table_info",
    "pragma_table_info",
    "json_each",
    "?",
    "->",
    "->>",
    "||",
    "-",
    "~",
    "[a]",
    "`b`",
    "main",
    "ASC",
    "DESC",
    "NULLS",
    "FIRST",
    "FILTER",
    "WINDOW",
    "w",
    "INDEXED",
    "MATERIALIZED",
    "EXPLAIN",
    "RAISE",
    "IGNORE",
];
