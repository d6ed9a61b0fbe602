//! Deadline, cancellation, caps.

use std::time::{Duration, Instant};

use engine::Code;
use engine::ports::QueryLimits;

use super::support::{Target, runtime};

const NUMBERS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT i FROM n";
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

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
    let error = target.ask_within(ENDLESS, limits(200)).expect_err("a time-out");
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
            let endless = target.generation.run(ENDLESS.to_owned(), target.visible.clone(), limits(60_000));
            assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
        }
        let asked = target.generation.run("SELECT a FROM t".to_owned(), target.visible.clone(), limits(5_000));
        assert_eq!(asked.await.map(|result| result.rows.len()), Ok(1));
    });
}

#[test]
fn waiting_for_a_connection_counts_as_time() {
    let target = target();
    runtime().block_on(async {
        let ask = |timeout_ms| target.generation.run(ENDLESS.to_owned(), target.visible.clone(), limits(timeout_ms));
        let started = Instant::now();
        for answer in futures::future::join_all((0..20).map(|_| ask(300))).await {
            assert_eq!(answer.map_err(|error| error.code()), Err(Code::TargetQueryTimeout));
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
        let code = target.ask_within(NUMBERS, limits).map_err(|error| error.code());
        assert_eq!(code.is_ok(), fits);
        assert!(fits || code == Err(Code::ResultTooLarge));
    }
}

#[test]
fn no_single_opcode_runs_long() {
    let target = target();
    let a = "replace(hex(printf('%.*c', 250000, 'a')), '61', 'a')";
    let object = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 80000) SELECT json_group_object('k' || i, 1) FROM n";
    let long = "printf('%.*c', 1000000, 'a')";
    let half = "printf('%.*c', 500000, 'a')";
    for sql in [
        format!("SELECT {long} LIKE '%{}b'", "a".repeat(240)),
        format!("SELECT {long} GLOB '*{}b'", "a".repeat(240)),
        format!("SELECT {long} GLOB '*{}b'", "[a-z]".repeat(40)),
        format!("SELECT instr({long}, {half} || 'b')"),
        format!("SELECT length(replace({long}, {half} || 'b', 'x'))"),
        format!("SELECT length(trim({half}, printf('%.*c', 400000, 'b') || 'a'))"),
        format!("SELECT length(upper({long}) || {a})"),
        format!("SELECT length(json_group_array(x)) FROM (SELECT {a} AS x)"),
        format!("SELECT length(json_patch(({object}), ({object})))"),
        format!("SELECT length(json_set(({object}), '$.zzz', 1))"),
        format!("SELECT length(json_patch(({object}), '{{}}'))"),
        format!("SELECT json_valid(({object}))"),
        format!("SELECT count(*) FROM json_each(({object}))"),
        format!("SELECT length(json_pretty(({object})))"),
        format!("SELECT length(unhex(hex({half}), replace(hex({half}),'6','x')))"),
    ] {
        let started = Instant::now();
        let answer = target.answer(&sql);
        let took = started.elapsed();
        let shown: String = sql.chars().take(80).collect();
        eprintln!("{} ms: {shown}: {}", took.as_millis(), answer.chars().take(60).collect::<String>());
    }
}
