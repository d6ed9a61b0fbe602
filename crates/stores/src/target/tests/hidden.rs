//! Nothing that is hidden can be read, nor be told from what does not exist.

use super::support::Target;

const COMPANY: &str = "
    CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, salary INTEGER, team_id INTEGER, bonus AS (salary / 10));
    CREATE INDEX people_by_salary ON people(salary, name);
    CREATE INDEX people_by_team ON people(team_id, salary);
    CREATE INDEX people_by_lower_name ON people(lower(name));
    INSERT INTO people(id, name, salary, team_id) VALUES (1, 'Ada', 50000, 1), (2, 'Bob', 6000, 1), (3, 'Cy', 7000, 2);
    CREATE TABLE teams(id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO teams VALUES (1, 'Red'), (2, 'Blue');
    CREATE TABLE secrets(id INTEGER PRIMARY KEY, token TEXT, salary INTEGER);
    INSERT INTO secrets VALUES (1, 'canary', 50000);
    CREATE TABLE grades(salary INTEGER, grade TEXT, PRIMARY KEY(grade, salary)) WITHOUT ROWID;
    INSERT INTO grades VALUES (50000, 'A'), (6000, 'B');
    CREATE VIEW directory AS SELECT name, team_id FROM people;
    CREATE VIEW rich AS SELECT name FROM people WHERE salary > 10000;
    CREATE VIEW sneaky AS SELECT salary FROM people FULL JOIN (SELECT NULL AS salary) USING (salary);
    CREATE VIRTUAL TABLE notes USING fts5(title, body);
    INSERT INTO notes VALUES ('one', 'the quick fox'), ('two', 'the slow fox');
    CREATE VIRTUAL TABLE diary USING fts5(day, entry);
    INSERT INTO diary VALUES ('monday', 'canary');
    CREATE VIRTUAL TABLE old_notes USING fts4(body);
    INSERT INTO old_notes VALUES ('the old fox');
    CREATE VIRTUAL TABLE places USING rtree(id, min_x, max_x);
    INSERT INTO places VALUES (1, 0, 10), (2, 20, 30);
    CREATE TABLE wide(a, b AS (a * 2) VIRTUAL, c, d AS (c || '!') STORED, e);
    INSERT INTO wide(a, c, e) VALUES (1, 'c', 'hidden e');
    CREATE TABLE json_tree(key TEXT);
    INSERT INTO json_tree VALUES ('a table after all');
    ANALYZE;";

const HIDDEN: [&str; 7] = [
    "people.salary",
    "secrets",
    "grades.salary",
    "diary.entry",
    "wide.e",
    "json_tree",
    "places.max_x",
];

fn company() -> Target {
    Target::new(COMPANY, &HIDDEN)
}

#[test]
fn what_is_visible_can_be_read() {
    let company = company();
    for (sql, expected) in [
        ("SELECT name FROM people ORDER BY name", "Ada\nBob\nCy"),
        ("SELECT count(*) FROM people", "3"),
        ("SELECT count(*) FROM main.people", "3"),
        ("SELECT name FROM people WHERE id > 2", "Cy"),
        ("SELECT name FROM people WHERE id = 2 OR id = 3", "Bob\nCy"),
        ("SELECT name FROM people WHERE team_id = 2", "Cy"),
        ("SELECT name FROM people WHERE lower(name) = 'ada'", "Ada"),
        (
            "SELECT t.name, count(*) FROM people p JOIN teams t ON t.id = p.team_id GROUP BY 1 ORDER BY 1",
            "Blue|1\nRed|2",
        ),
        (
            "SELECT * FROM teams NATURAL JOIN (SELECT 2 AS id)",
            "2|Blue",
        ),
        ("SELECT teams.name FROM people JOIN teams USING (name)", ""),
        (
            "SELECT name FROM directory WHERE team_id = 1 ORDER BY 1 DESC",
            "Bob\nAda",
        ),
        ("SELECT count(*) FROM directory", "3"),
        (
            "SELECT grade FROM grades WHERE grade >= 'A' ORDER BY 1",
            "A\nB",
        ),
        ("SELECT a, b, c, d FROM wide", "1|2|c|c!"),
        (
            "SELECT body FROM notes WHERE notes MATCH 'quick'",
            "the quick fox",
        ),
        (
            "SELECT highlight(notes, 1, '[', ']') FROM notes('quick') ORDER BY rank",
            "the [quick] fox",
        ),
        ("SELECT title FROM notes ORDER BY title", "one\ntwo"),
        (
            "SELECT body FROM old_notes WHERE old_notes MATCH 'old'",
            "the old fox",
        ),
        ("SELECT value FROM json_each('[1,2]')", "1\n2"),
        ("SELECT count(*) FROM json_each('[1,2]')", "2"),
        ("WITH x(a) AS (SELECT 1) SELECT count(*) FROM x", "1"),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) FROM n",
            "6",
        ),
        ("SELECT '{\"a\":7}' ->> 'a'", "7"),
        ("VALUES (1), (2)", "1\n2"),
        ("SELECT 1; -- that is all", "1"),
    ] {
        assert_eq!(company.answer(sql), expected, "{sql}");
    }
}

#[test]
fn a_plan_is_refused_where_the_statement_is_and_names_nothing_hidden() {
    let company = company();
    let explain = |sql: &str| {
        let asked = company.explain(sql);
        asked.map(|plan| format!("{plan:?}"))
    };
    for sql in [
        "SELECT name FROM people WHERE team_id = 2",
        "SELECT name FROM people WHERE id = 2 OR team_id = 3",
        "SELECT name FROM directory WHERE team_id = 1 ORDER BY 1 DESC",
        "SELECT grade FROM grades WHERE grade >= 'A' ORDER BY 1",
        "SELECT name FROM people WHERE lower(name) = 'ada'",
        "SELECT body FROM notes WHERE notes MATCH 'quick'",
    ] {
        let told = explain(sql).expect(sql);
        for hidden in ["salary", "people_by_team", "sqlite_autoindex", "secrets"] {
            assert!(!told.contains(hidden), "{sql}: {told}");
        }
    }
    // This one holds nothing that is hidden.
    let told = explain("SELECT name FROM people WHERE lower(name) = 'ada'").expect("a plan");
    assert!(told.contains("USING INDEX people_by_lower_name"), "{told}");
    for sql in [
        "SELECT salary FROM people",
        "SELECT name FROM people WHERE salary > 1",
        "SELECT name FROM rich",
        "SELECT count(*) FROM secrets",
        "SELECT name FROM people JOIN (SELECT 50000 AS salary) USING (salary)",
        "EXPLAIN QUERY PLAN SELECT token FROM secrets",
        "SELECT 1; SELECT token FROM secrets",
        "DELETE FROM people",
    ] {
        let (asked, ran) = (
            explain(sql).expect_err(sql),
            company.ask(sql).expect_err(sql),
        );
        assert_eq!(
            (asked.code(), asked.message()),
            (ran.code(), ran.message()),
            "{sql}"
        );
    }
}

#[test]
fn a_name_given_to_something_else_hides_nothing_and_shows_nothing() {
    let company = company();
    for (sql, expected) in [
        (
            "WITH secrets AS (SELECT 1 AS a) SELECT count(*) FROM secrets",
            "1",
        ),
        (
            "WITH secrets(token) AS (SELECT 'mine') SELECT token FROM secrets",
            "mine",
        ),
        (
            "WITH sqlite_master(name) AS (VALUES ('mine')) SELECT name FROM sqlite_master",
            "mine",
        ),
        (
            "WITH sqlite_master(name) AS (VALUES ('mine')) SELECT count(*) FROM sqlite_master",
            "1",
        ),
        (
            "WITH people(salary) AS (SELECT 5) SELECT salary FROM people",
            "5",
        ),
        ("SELECT salary FROM (SELECT 5 AS salary)", "5"),
        (
            "SELECT people.salary FROM (SELECT 5 AS salary) AS people",
            "5",
        ),
    ] {
        assert_eq!(company.answer(sql), expected, "{sql}");
    }
}

#[test]
fn a_hidden_column_is_answered_like_one_that_does_not_exist() {
    let company = company();
    for sql in [
        "SELECT COL FROM people",
        "SELECT p.COL FROM people AS p",
        "SELECT people.COL FROM people",
        "SELECT main.people.COL FROM people",
        "SELECT name FROM people ORDER BY COL",
        "SELECT count(*) FROM people WHERE COL > 10",
        "SELECT count(*) FROM people GROUP BY COL",
        "SELECT 1 FROM teams WHERE EXISTS (SELECT 1 FROM people WHERE COL > teams.id)",
        "WITH pub AS (SELECT COL FROM people) SELECT * FROM pub",
        "WITH directory AS (SELECT COL FROM people) SELECT * FROM directory",
        "SELECT max(COL) OVER () FROM people",
        "SELECT count(*) FROM people JOIN (SELECT 50000 AS COL) USING (COL)",
        "SELECT COL FROM people FULL JOIN (SELECT NULL AS COL) USING (COL)",
    ] {
        let hidden = company.answer(&sql.replace("COL", "salary"));
        let missing = company.answer(&sql.replace("COL", "nosuch"));
        assert_eq!(hidden.replace("salary", "nosuch"), missing, "{sql}");
        assert!(
            missing.starts_with("unknown_column: ") || missing.contains("cannot join"),
            "{sql}: {missing}"
        );
    }
}

#[test]
fn a_hidden_table_is_answered_like_one_that_does_not_exist() {
    let company = company();
    for hidden_name in [
        "secrets",
        "rich",
        "notes_content",
        "diary_data",
        "sqlite_stat1",
    ] {
        for sql in [
            "SELECT * FROM TAB",
            "SELECT count(*) FROM TAB",
            "SELECT count(*) FROM main.TAB",
            "SELECT 1 FROM TAB LIMIT 1",
            "SELECT name FROM teams WHERE id IN TAB",
            "SELECT (SELECT count(*) FROM TAB)",
            "WITH pub AS (SELECT * FROM TAB) SELECT count(*) FROM pub",
            "SELECT 1 FROM teams JOIN TAB",
        ] {
            let hidden = company.answer(&sql.replace("TAB", hidden_name));
            let missing = company.answer(&sql.replace("TAB", "nosuch"));
            assert!(
                missing.starts_with("unknown_table: no such table: "),
                "{sql}: {missing}"
            );
            assert_eq!(
                hidden.replace(hidden_name, "nosuch"),
                missing,
                "{hidden_name}: {sql}"
            );
        }
    }
}

#[test]
fn what_sqlite_does_not_ask_the_authorizer_about_is_refused_by_the_program() {
    let company = company();
    for sql in [
        "SELECT salary FROM teams AS t JOIN people FULL JOIN (SELECT NULL AS salary) USING (salary)",
        "SELECT count(*) FROM people NATURAL JOIN (SELECT 50000 AS salary)",
        "SELECT count(*) FROM (SELECT 50000 AS salary) NATURAL JOIN people",
        "SELECT * FROM (SELECT NULL AS token) FULL JOIN secrets USING (token)",
        "SELECT t.salary FROM people JOIN (SELECT 1 AS salary) AS s JOIN (SELECT 50000 AS salary) AS t USING (salary)",
        "SELECT 1 FROM grades NATURAL JOIN (SELECT 50000 AS salary)",
        "SELECT 1 FROM grades NATURAL JOIN (SELECT 'A' AS grade, 50000 AS salary)",
        "SELECT * FROM wide",
        "SELECT * FROM people",
        "SELECT bonus FROM people",
        "SELECT sql FROM sqlite_master",
        "SELECT sql FROM sqlite_master FULL JOIN (SELECT NULL AS sql) USING (sql)",
        "SELECT count(*) FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_temp_master",
        "SELECT name FROM pragma_table_info('people')",
        "SELECT count(*) FROM pragma_table_info('people')",
        "SELECT name FROM pragma_table_info('people') FULL JOIN (SELECT NULL AS name) USING (name)",
        "SELECT name FROM dbstat FULL JOIN (SELECT NULL AS name) USING (name)",
        "SELECT * FROM json_tree",
        "SELECT count(*) FROM json_tree",
        "SELECT salary FROM sneaky",
        "SELECT * FROM sneaky",
        "SELECT day FROM diary WHERE diary MATCH 'canary'",
        "SELECT day FROM diary",
        "SELECT id FROM places WHERE max_x > 15",
        "SELECT count(*) FROM places",
    ] {
        let answer = company.answer(sql);
        assert!(
            answer.starts_with("unknown_column: no such column")
                || answer.starts_with("unknown_table: no such table")
                || answer.contains("cannot join"),
            "{sql}: {answer}"
        );
        for told in ["salary FROM", "canary", "50000", "rich", "people.salary"] {
            assert!(!answer.contains(told), "{sql}: {answer}");
        }
    }
}

#[test]
fn a_plan_is_not_told() {
    let company = company();
    for sql in [
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN SELECT name FROM people",
    ] {
        assert_eq!(
            company.answer(sql),
            "not_a_select: only SELECT may run",
            "{sql}"
        );
    }
}

#[test]
fn functions_outside_the_list_are_refused_by_name() {
    let company = company();
    for function in [
        "load_extension('x')",
        "randomblob(5)",
        "sqlite_version()",
        "fts3_tokenizer('x')",
        "zeroblob(9)",
    ] {
        let answer = company.answer(&format!("SELECT {function}"));
        assert!(
            answer.starts_with("function_not_allowed: "),
            "{function}: {answer}"
        );
    }
}
