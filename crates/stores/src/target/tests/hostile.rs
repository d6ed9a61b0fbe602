//! The hostile corpus changes nothing, ends in time and shows nothing hidden: with both fences, with the engine's
//! alone, and with the guard alone.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::guard::{GuardedSql, guard};
use engine::ports::{QueryLimits, TargetGeneration};
use engine::prompt::GeneratedSql;
use engine::result::{ResultSet, Value};
use engine::{Code, Error};

use super::corpus::{classes, company};
use super::support::{Target, plain, runtime};

const LIMITS: QueryLimits = QueryLimits {
    timeout: Duration::from_millis(300),
    max_rows: 10_000,
    max_bytes: 16 << 20,
};
/// What may pass between the deadline and the end of all work: one opcode, and other tests on the same processors.
const SLACK: Duration = Duration::from_millis(1_500);

#[test]
fn hostile_texts_do_no_harm_with_both_fences() {
    check(|target, sql| {
        let guarded = guarded(target, sql)?;
        runtime().block_on(target.generation.query(&guarded, &LIMITS))
    });
}

#[test]
fn hostile_texts_do_no_harm_with_the_engines_fences_alone() {
    check(|target, sql| target.ask_within(sql, LIMITS));
}

#[test]
fn hostile_texts_do_no_harm_with_the_guard_alone() {
    check(|target, sql| {
        let guarded = guarded(target, sql)?;
        plain(&target.path, guarded.text(), &LIMITS)
    });
}

fn guarded(target: &Target, sql: &str) -> Result<GuardedSql, Error> {
    guard(&GeneratedSql::new(sql), &target.visible)
}

/// Runs the whole corpus, on two threads with a company each.
fn check(ask: impl Fn(&Target, &str) -> Result<ResultSet, Error> + Sync) {
    let lines: Vec<(String, String)> = classes("hostile")
        .into_iter()
        .flat_map(|class| {
            class
                .lines
                .into_iter()
                .map(move |line| (class.name.clone(), line))
        })
        .collect();
    assert!(lines.len() >= 250, "only {} hostile texts", lines.len());
    let next = AtomicUsize::new(0);
    let faults: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| work(&lines, &next, &ask)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    });
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn work(
    lines: &[(String, String)],
    next: &AtomicUsize,
    ask: &impl Fn(&Target, &str) -> Result<ResultSet, Error>,
) -> Vec<String> {
    let target = company();
    let salaries = salaries(&target.path);
    let before = Untouched::read(&target);
    let mut faults = Vec::new();
    while let Some((class, sql)) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
        let started = Instant::now();
        let answer = ask(&target, sql);
        let took = started.elapsed();
        let mut fault = |what: String| {
            let shown: String = sql.chars().take(160).collect();
            faults.push(format!("{class}: {what}: {shown}"));
        };
        if took > LIMITS.timeout + SLACK {
            fault(format!("took {} ms", took.as_millis()));
        }
        match answer {
            Ok(result) if shows_hidden(&result, &salaries) => {
                fault("shows a hidden value".to_owned())
            }
            Err(error) if error.code() == Code::Internal => {
                fault(format!("{error} {:?}", error.cause()))
            }
            Err(error) if error.message().contains("canary") => fault(format!("tells: {error}")),
            _ => {}
        }
        if Untouched::read(&target) != before {
            fault("changed something".to_owned());
            break;
        }
    }
    faults
}

fn salaries(path: &Path) -> HashSet<i64> {
    let connection = rusqlite::Connection::open(path).expect("the file");
    connection
        .prepare("SELECT CAST(salary AS INTEGER) FROM people")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .expect("the salaries")
}

fn shows_hidden(result: &ResultSet, salaries: &HashSet<i64>) -> bool {
    result.rows.iter().flatten().any(|value| match value {
        Value::Integer(number) => salaries.contains(number),
        Value::Real(number) => number.fract() == 0.0 && salaries.contains(&(*number as i64)),
        Value::Text(text) => {
            text.contains("canary") || salaries.iter().any(|salary| text == &format!("{salary}.0"))
        }
        Value::Blob(blob) => blob.windows(6).any(|bytes| bytes == b"canary"),
        Value::Null => false,
    })
}

/// All that must not change: the file's bytes, time and mode, and what lies beside it.
#[derive(PartialEq)]
struct Untouched {
    bytes: blake3::Hash,
    changed: (i64, i64),
    mode: u32,
    beside: Vec<PathBuf>,
}

impl Untouched {
    fn read(target: &Target) -> Self {
        let metadata = fs::metadata(&target.path).expect("the file");
        let mut beside: Vec<PathBuf> = fs::read_dir(target.folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        beside.sort();
        Self {
            bytes: blake3::hash(&fs::read(&target.path).expect("the bytes")),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
            mode: metadata.permissions().mode(),
            beside,
        }
    }
}

#[test]
fn a_write_would_show() {
    let target = company();
    let before = Untouched::read(&target);
    plain(&target.path, "DELETE FROM notes", &LIMITS).expect("nothing in the way");
    assert!(Untouched::read(&target) != before);
}

#[test]
fn a_hidden_value_would_show() {
    let target = company();
    for sql in ["SELECT salary FROM people", "SELECT token FROM secrets"] {
        let result = plain(&target.path, sql, &LIMITS).expect("nothing in the way");
        assert!(shows_hidden(&result, &salaries(&target.path)), "{sql}");
    }
}

#[test]
fn writes_are_answered_in_sqlites_words() {
    let target = company();
    for class in classes("hostile") {
        if !["plain_writes", "cte_writes"].contains(&class.name.as_str()) {
            continue;
        }
        for sql in &class.lines {
            let error = target.ask_within(sql, LIMITS).expect_err(sql);
            assert_eq!(
                error.message(),
                "attempt to write a readonly database",
                "{sql}"
            );
            assert_eq!(error.code(), Code::SqlNotReadOnly, "{sql}");
            assert!(error.cause().is_some(), "{sql}");
        }
    }
}
