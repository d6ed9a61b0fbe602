//! What every target database keeps to, stated once against the port and run on each implementation.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::guard::{GuardedSql, guard};
use engine::policy::{Visibility, VisibleSchema};
use engine::ports::{PlanStep, QueryLimits, TargetGeneration};
use engine::prompt::GeneratedSql;
use engine::question::Provenance;
use engine::result::Value;
use engine::schema::{Column, ColumnRef, Schema, Table, TableKind};
use engine::{Code, Error};
use stores::target::SqliteGeneration;

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// A generation of a company, and what one of its people sees of it.
struct Company {
    generation: Arc<dyn TargetGeneration>,
    visible: Arc<VisibleSchema>,
    /// What somebody sees from whom nothing is hidden.
    everything: Arc<VisibleSchema>,
    _folder: tempfile::TempDir,
}

impl Company {
    fn guarded(&self, sql: &str) -> GuardedSql {
        guard(&GeneratedSql::new(sql), &self.visible).expect(sql)
    }

    async fn ask(&self, sql: &str, limits: &QueryLimits) -> Result<Vec<Vec<Value>>, Error> {
        let result = self.generation.query(&self.guarded(sql), limits).await?;
        Ok(result.rows)
    }

    async fn explain(&self, sql: &str, visible: &Arc<VisibleSchema>) -> Vec<PlanStep> {
        let guarded = guard(&GeneratedSql::new(sql), visible).expect(sql);
        let plan = self.generation.explain(&guarded, &within(5_000)).await;
        plan.expect(sql)
    }
}

fn sqlite() -> Company {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("com pany?#%.db");
    let connection = rusqlite::Connection::open(Path::new(&path)).expect("a file");
    connection
        .execute_batch(
            "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, salary INTEGER);
             INSERT INTO people VALUES (1, 'Ada', 50000), (2, 'Bob', 6000), (3, NULL, 7000);
             CREATE INDEX people_by_name_and_salary ON people(name, salary);
             CREATE VIEW staff AS SELECT id AS number, name FROM people;
             CREATE TABLE teams(id INTEGER PRIMARY KEY, name TEXT);
             CREATE INDEX teams_by_name ON teams(name);
             CREATE TABLE secrets(token TEXT);
             INSERT INTO secrets VALUES ('canary');",
        )
        .expect("a schema");
    drop(connection);
    let people = |column: &str| ColumnRef {
        table: "people".to_owned(),
        column: column.to_owned(),
    };
    let staff = Table {
        kind: TableKind::View,
        reads: vec![people("id"), people("name")],
        ..table("staff", &["number", "name"])
    };
    let schema = Arc::new(Schema {
        tables: vec![
            table("people", &["id", "name", "salary"]),
            staff,
            table("teams", &["id", "name"]),
            table("secrets", &["token"]),
        ],
    });
    let visible = VisibleSchema::new(&schema, &Visibility::hiding(["people.salary", "secrets"]));
    let everything = VisibleSchema::new(&schema, &Visibility::default());
    let provenance = Box::new(|| Provenance {
        fingerprint: "f".to_owned(),
        data_as_of: "2026-01-01T00:00:00Z".to_owned(),
        copied_at: "2026-01-02T00:00:00Z".to_owned(),
        original_changed: true,
    });
    Company {
        generation: Arc::new(SqliteGeneration::new(path, schema, provenance)),
        visible,
        everything,
        _folder: folder,
    }
}

fn table(name: &str, columns: &[&str]) -> Table {
    Table {
        name: name.to_owned(),
        kind: TableKind::Table,
        columns: columns
            .iter()
            .map(|name| Column {
                name: (*name).to_owned(),
                ..Column::default()
            })
            .collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        row_count: None,
        ddl: String::new(),
        reads: Vec::new(),
    }
}

fn within(timeout_ms: u64) -> QueryLimits {
    QueryLimits {
        timeout: Duration::from_millis(timeout_ms),
        ..QueryLimits::default()
    }
}

/// Runs each of the suite's functions on one implementation, a fresh company for each.
macro_rules! target_database_suite {
    ($implementation:ident: $($test:ident),+ $(,)?) => {
        mod $implementation {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::$implementation()).await;
            })+
        }
    };
}

target_database_suite!(
    sqlite: values_keep_their_types,
    columns_are_named_and_typed_by_what_came,
    text_that_no_result_can_hold_is_mended,
    mathematics_is_there,
    rows_and_bytes_are_capped,
    time_is_capped,
    a_dropped_query_stops,
    queries_run_side_by_side,
    hidden_columns_stay_hidden,
    a_plan_is_told_as_a_tree_and_nothing_runs,
    a_plan_names_nothing_that_is_hidden,
    errors_in_the_data_are_the_querys,
    provenance_is_asked_anew,
    the_file_that_is_gone_is_said_to_be_down,
);

async fn values_keep_their_types(company: Company) {
    let sql = "SELECT NULL, -9223372036854775808, 9223372036854775807, 0.1, 1e308 * 10, -1e308 * 10, '', 'naïve €', x'00ff', x''";
    let rows = company
        .ask(sql, &QueryLimits::default())
        .await
        .expect("a row");
    let expected = vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(0.1),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
        Value::Text(String::new()),
        Value::Text("naïve €".to_owned()),
        Value::Blob(vec![0, 0xff]),
        Value::Blob(Vec::new()),
    ];
    assert_eq!(rows, [expected]);
}

async fn columns_are_named_and_typed_by_what_came(company: Company) {
    let guarded = company.guarded(
        "SELECT id, name AS who, id * 1.5 AS x, NULL AS missing, CASE id WHEN 1 THEN 'one' ELSE id END AS both, x'00' AS b
         FROM people ORDER BY id",
    );
    let result = company
        .generation
        .query(&guarded, &QueryLimits::default())
        .await
        .expect("rows");
    let columns: Vec<(&str, &str)> = result
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind.as_str()))
        .collect();
    let expected = [
        ("id", "integer"),
        ("who", "text"),
        ("x", "real"),
        ("missing", "null"),
        ("both", "mixed"),
        ("b", "blob"),
    ];
    assert_eq!(columns, expected);
    let empty = company.guarded("SELECT id FROM people WHERE id > 3");
    let result = company
        .generation
        .query(&empty, &QueryLimits::default())
        .await
        .expect("no rows");
    assert_eq!(
        (result.columns.len(), result.rows.len(), result.truncated),
        (1, 0, false)
    );
}

async fn text_that_no_result_can_hold_is_mended(company: Company) {
    let rows = company
        .ask(
            "SELECT CAST(x'61ff62' AS TEXT), 'a' || char(0) || 'b'",
            &QueryLimits::default(),
        )
        .await;
    let expected = vec![
        Value::Text("a\u{fffd}b".to_owned()),
        Value::Text("a\0b".to_owned()),
    ];
    assert_eq!(rows, Ok(vec![expected]));
}

async fn mathematics_is_there(company: Company) {
    let rows = company
        .ask(
            "SELECT sqrt(9), pow(2, 10), ln(1), round(pi()), ceil(1.2), mod(7, 4)",
            &QueryLimits::default(),
        )
        .await;
    let expected = [3.0, 1024.0, 0.0, 3.0, 2.0, 3.0].map(Value::Real).to_vec();
    assert_eq!(rows, Ok(vec![expected]));
}

async fn rows_and_bytes_are_capped(company: Company) {
    let guarded = company.guarded("SELECT id FROM people");
    for (max_rows, rows, truncated) in [(2, 2, true), (3, 3, false), (4, 3, false)] {
        let limits = QueryLimits {
            max_rows,
            ..QueryLimits::default()
        };
        let result = company
            .generation
            .query(&guarded, &limits)
            .await
            .expect("rows");
        assert_eq!((result.rows.len(), result.truncated), (rows, truncated));
    }
    let limits = QueryLimits {
        max_bytes: 100,
        ..QueryLimits::default()
    };
    let error = company
        .ask("SELECT printf('%.*c', 101, 'x')", &limits)
        .await
        .expect_err("too large");
    assert_eq!(error.code(), Code::ResultTooLarge);
}

async fn time_is_capped(company: Company) {
    let started = Instant::now();
    let error = company
        .ask(ENDLESS, &within(200))
        .await
        .expect_err("no end");
    assert_eq!(error.code(), Code::TargetQueryTimeout);
    assert!(started.elapsed() < Duration::from_secs(2));
}

async fn a_dropped_query_stops(company: Company) {
    for _ in 0..20 {
        let endless = company
            .ask(ENDLESS, &within(600_000))
            .await_for(Duration::from_millis(20))
            .await;
        assert!(endless.is_none());
    }
    // Every connection would be at work for ten minutes had dropping not stopped them.
    let rows = company
        .ask("SELECT count(*) FROM people", &within(5_000))
        .await;
    assert_eq!(rows, Ok(vec![vec![Value::Integer(3)]]));
}

async fn queries_run_side_by_side(company: Company) {
    let limits = QueryLimits::default();
    let sums = (0..50_i64).map(|number| {
        let sql = format!("SELECT sum(id) + {number} FROM people");
        let company = &company;
        async move { company.ask(&sql, &limits).await }
    });
    for (number, rows) in (0..).zip(futures::future::join_all(sums).await) {
        assert_eq!(rows, Ok(vec![vec![Value::Integer(6 + number)]]));
    }
}

async fn hidden_columns_stay_hidden(company: Company) {
    // The guard writes `*` out, so that the hidden column is not even missed.
    let guarded = company.guarded("SELECT * FROM people WHERE id = 1");
    let result = company
        .generation
        .query(&guarded, &QueryLimits::default())
        .await
        .expect("a row");
    assert_eq!(
        result.rows,
        [[Value::Integer(1), Value::Text("Ada".to_owned())]]
    );
    for sql in [
        "SELECT salary FROM people",
        "WITH p AS (SELECT salary FROM people) SELECT * FROM p",
        "SELECT salary FROM people FULL JOIN (SELECT NULL AS salary) USING (salary)",
        "SELECT token FROM secrets",
    ] {
        assert!(
            guard(&GeneratedSql::new(sql), &company.visible).is_err(),
            "{sql}"
        );
    }
}

async fn a_plan_is_told_as_a_tree_and_nothing_runs(company: Company) {
    let step = |detail: &str, source: Option<&str>, index: Option<&str>| PlanStep {
        detail: detail.to_owned(),
        source: source.map(str::to_owned),
        uses_index: index.is_some(),
        index: index.map(str::to_owned),
        steps: Vec::new(),
    };
    let plan = company
        .explain(
            "SELECT t.id, (SELECT count(*) FROM people p WHERE p.name = t.name) FROM teams t WHERE t.name = 'Red'",
            &company.everything,
        )
        .await;
    let people = step(
        "SEARCH p USING COVERING INDEX people_by_name_and_salary (name=?)",
        Some("p"),
        Some("people_by_name_and_salary"),
    );
    let expected = [
        step(
            "SEARCH t USING COVERING INDEX teams_by_name (name=?)",
            Some("t"),
            Some("teams_by_name"),
        ),
        PlanStep {
            steps: vec![people],
            ..step("CORRELATED SCALAR SUBQUERY 1", None, None)
        },
    ];
    assert_eq!(plan, expected);

    let scan = company
        .explain(
            "SELECT salary FROM people ORDER BY salary",
            &company.everything,
        )
        .await;
    assert_eq!((scan[0].source.as_deref(), scan.len()), (Some("people"), 2));
    let by_key = company
        .explain("SELECT name FROM teams WHERE id = 1", &company.everything)
        .await;
    assert!(
        by_key[0].uses_index && by_key[0].index.is_none(),
        "{by_key:?}"
    );
    assert!(
        !company
            .explain(ENDLESS, &company.everything)
            .await
            .is_empty()
    );
}

async fn a_plan_names_nothing_that_is_hidden(company: Company) {
    for sql in [
        // The only index that serves holds a hidden column as well.
        "SELECT id FROM people WHERE name = 'Ada'",
        "SELECT count(*) FROM people WHERE name > 'A' OR id = 2",
        "SELECT name FROM people ORDER BY name",
        "SELECT * FROM people NATURAL JOIN teams",
        "SELECT name FROM staff WHERE name = 'Ada'",
        "SELECT s.name FROM staff s LEFT JOIN people p ON p.name = s.name",
        // A name that looks like the database's own words.
        "SELECT id FROM people AS \"x USING INDEX people_by_name_and\" WHERE name = 'Ada'",
        "SELECT name FROM sqlite_master",
    ] {
        let told = format!("{:?}", company.explain(sql, &company.visible).await);
        for hidden in ["salary", "secrets", "token"] {
            assert!(!told.contains(hidden), "{sql}: {told}");
        }
    }
    let plan = company
        .explain("SELECT id FROM people WHERE name = 'Ada'", &company.visible)
        .await;
    let step = &plan[0];
    assert_eq!(step.detail, "SEARCH people USING INDEX");
    assert_eq!((step.uses_index, step.index.as_deref()), (true, None));
    let plan = company
        .explain("SELECT id FROM teams WHERE name = 'Red'", &company.visible)
        .await;
    assert_eq!(plan[0].index.as_deref(), Some("teams_by_name"));
}

async fn errors_in_the_data_are_the_querys(company: Company) {
    for (sql, message) in [
        ("SELECT abs(-9223372036854775807 - 1)", "integer overflow"),
        (
            "SELECT json_extract(name, '$.a') FROM people WHERE id = 1",
            "malformed JSON",
        ),
    ] {
        let error = company
            .ask(sql, &QueryLimits::default())
            .await
            .expect_err(sql);
        assert_eq!(
            (error.code(), error.message()),
            (Code::InvalidSql, message),
            "{sql}"
        );
    }
}

async fn provenance_is_asked_anew(company: Company) {
    assert!(company.generation.provenance().original_changed);
    assert_eq!(company.generation.schema().tables.len(), 4);
}

async fn the_file_that_is_gone_is_said_to_be_down(company: Company) {
    let provenance = Box::new(|| Provenance {
        fingerprint: String::new(),
        data_as_of: String::new(),
        copied_at: String::new(),
        original_changed: false,
    });
    let gone = SqliteGeneration::new(
        "/nowhere/at all.db".into(),
        company.generation.schema().clone(),
        provenance,
    );
    let guarded = company.guarded("SELECT id FROM people");
    let error = gone
        .query(&guarded, &QueryLimits::default())
        .await
        .expect_err("no file");
    assert_eq!(error.code(), Code::TargetDatabaseDown);
    assert!(error.cause().is_some() && !error.message().contains("nowhere"));
}

/// Waits for a future no longer than so, and drops it then.
trait AwaitFor: Future + Sized {
    async fn await_for(self, patience: Duration) -> Option<Self::Output> {
        tokio::time::timeout(patience, self).await.ok()
    }
}

impl<F: Future> AwaitFor for F {}
