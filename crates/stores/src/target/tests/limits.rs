//! Deadline, cancellation, caps.

use std::time::{Duration, Instant};

use engine::Code;
use engine::ports::QueryLimits;

use super::support::{Target, runtime};

const NUMBERS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT i FROM n";
const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

fn target() -> Target {
    Target::new("CREATE TABLE t(a); INSERT INTO t VALUES (1);", &[])
}

fn limits(timeout_ms: u64) -> QueryLimits {
    QueryLimits {
        timeout: Duration::from_millis(timeout_ms),
        ..QueryLimits::default()
    }
}

#[test]
fn an_endless_query_ends_at_its_deadline() {
    let target = target();
    let started = Instant::now();
    let error = target
        .ask_within(ENDLESS, limits(200))
        .expect_err("a time-out");
    assert_eq!(error.code(), Code::TargetQueryTimeout);
    assert!(error.message().contains("200 ms"));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn dropping_the_future_frees_every_connection() {
    let target = target();
    let runtime = runtime();
    runtime.block_on(async {
        // More than may run at once: were one of them still at work, the last question would wait for it.
        for _ in 0..20 {
            let endless =
                target
                    .generation
                    .run(ENDLESS.to_owned(), target.visible.clone(), limits(60_000));
            assert!(
                tokio::time::timeout(Duration::from_millis(20), endless)
                    .await
                    .is_err()
            );
        }
        let asked = target.generation.run(
            "SELECT a FROM t".to_owned(),
            target.visible.clone(),
            limits(5_000),
        );
        assert_eq!(asked.await.map(|result| result.rows.len()), Ok(1));
    });
}

#[test]
fn waiting_for_a_connection_counts_as_time() {
    let target = target();
    runtime().block_on(async {
        let ask = |timeout_ms| {
            target.generation.run(
                ENDLESS.to_owned(),
                target.visible.clone(),
                limits(timeout_ms),
            )
        };
        let started = Instant::now();
        for answer in futures::future::join_all((0..20).map(|_| ask(300))).await {
            assert_eq!(
                answer.map_err(|error| error.code()),
                Err(Code::TargetQueryTimeout)
            );
        }
        assert!(started.elapsed() < Duration::from_secs(3));
    });
}

#[test]
fn rows_beyond_the_cap_are_cut_off_and_said() {
    let target = target();
    for (max_rows, rows, truncated) in [(99, 99, true), (100, 100, false), (0, 0, true)] {
        let limits = QueryLimits {
            max_rows,
            ..QueryLimits::default()
        };
        let result = target.ask_within(NUMBERS, limits).expect("rows");
        assert_eq!((result.rows.len(), result.truncated), (rows, truncated));
    }
}

#[test]
fn bytes_beyond_the_cap_are_an_error() {
    let target = target();
    for (max_bytes, fits) in [(800, true), (799, false)] {
        let limits = QueryLimits {
            max_bytes,
            ..QueryLimits::default()
        };
        let code = target
            .ask_within(NUMBERS, limits)
            .map_err(|error| error.code());
        assert_eq!(code.is_ok(), fits);
        assert!(fits || code == Err(Code::ResultTooLarge));
    }
}

/// Texts whose answer is made in one call of a function, each as long as the limits let it be. What takes time that
/// grows with the square of a length took 10 s to 100 s before.
#[test]
fn no_single_call_of_a_function_runs_long() {
    let target = target();
    let text = "printf('%.*c', 1000000, 'a')";
    let half = "printf('%.*c', 500000, 'a')";
    let object = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 80000)
                   SELECT json_group_object('k' || i, 1) FROM n)";
    for call in [
        format!("{text} LIKE '%{}b'", "a".repeat(98)),
        format!("{text} GLOB '*{}b'", "a".repeat(98)),
        format!("{text} GLOB '*{}b'", "[a-z]".repeat(19)),
        format!("instr({text}, {half} || 'b')"),
        format!("instr(CAST({text} AS BLOB), CAST({half} || 'b' AS BLOB))"),
        format!("length(replace({text}, {half} || 'b', 'x'))"),
        format!("length(replace({text}, 'a', {text}))"),
        format!("length(trim({half}, printf('%.*c', 400000, 'b') || 'a'))"),
        format!("length(rtrim(CAST({half} AS BLOB), printf('%.*c', 80000, 'b') || 'a'))"),
        format!("length(unhex(hex({half}), printf('%.*c', 500000, 'x') || '6'))"),
        format!("length(json_patch({object}, {object}))"),
        format!("length(json_set({object}, '$.zzz', 1))"),
        format!("length(json_pretty({object}, {half}))"),
        format!("json_valid({object})"),
    ] {
        let started = Instant::now();
        let answer = target.answer(&format!("SELECT {call}"));
        let took = started.elapsed();
        assert!(
            took < Duration::from_secs(2),
            "{} ms: {call}: {answer}",
            took.as_millis()
        );
    }
}

#[test]
fn calls_in_one_pass_are_counted() {
    let target = target();
    let sum = format!("SELECT {} FROM t", vec!["round(a)"; 200].join(" + "));
    assert_eq!(target.answer(&sum), "200");
    let columns = format!("SELECT {} FROM t", vec!["round(a)"; 301].join(", "));
    assert_eq!(
        target.answer(&columns),
        "sql_too_complex: the SQL calls functions in too many places"
    );
}

#[test]
fn queries_within_queries_are_counted_before_sqlite_sees_them() {
    let target = target();
    let nested = |depth: usize| {
        format!(
            "{}SELECT 1{}",
            "SELECT * FROM (".repeat(depth),
            ")".repeat(depth)
        )
    };
    assert_eq!(target.answer(&nested(100)), "1");
    assert_eq!(
        target.answer(&nested(60_000)),
        "sql_too_complex: the SQL is nested too deeply"
    );
}

#[test]
fn several_thousand_statements_are_one_too_many() {
    let target = target();
    let answer = target.answer(&"SELECT 1;".repeat(100_000));
    assert_eq!(
        answer,
        "more_than_one_statement: only one statement may run"
    );
}

#[test]
fn a_value_that_grows_inside_a_function_meets_the_limit_on_memory() {
    let target = target();
    let grown = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)
                 SELECT json_group_array(printf('%.*c', 900000, 'a')) FROM n";
    let answer = target.answer(grown);
    assert!(
        answer.starts_with("sql_too_complex: ") || answer.starts_with("result_too_large: "),
        "{answer}"
    );
}

#[test]
fn rows_longer_than_a_value_may_be_can_still_be_read() {
    let target = Target::new(
        "CREATE TABLE t(a, document BLOB, b); INSERT INTO t VALUES ('before', zeroblob(3000000), 'after');",
        &[],
    );
    assert_eq!(
        target.answer("SELECT a, b, length(document) FROM t"),
        "before|after|3000000"
    );
    assert_eq!(
        target.answer("SELECT document FROM t"),
        "result_too_large: string or blob too big"
    );
}
