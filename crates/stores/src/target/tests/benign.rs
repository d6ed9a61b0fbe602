//! The benign corpus gives the same rows with both fences, with the engine's alone and with the guard alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::guard::guard;
use engine::ports::{QueryLimits, TargetGeneration};
use engine::prompt::GeneratedSql;
use engine::{Code, Error};

use super::corpus::{classes, company};
use super::support::{Target, plain, runtime};

const LIMITS: QueryLimits = QueryLimits {
    timeout: Duration::from_secs(20),
    max_rows: 10_000,
    max_bytes: 64 << 20,
};

#[test]
fn benign_texts_give_the_same_rows_with_either_fence_and_with_both() {
    let target = company();
    let mut faults = Vec::new();
    let mut count = 0;
    for class in classes("benign") {
        for sql in &class.lines {
            count += 1;
            let varies = sql.contains("random()") || sql.contains("'now'");
            let mut fault = |what: &str, error: &Error| {
                faults.push(format!(
                    "{}: {what}: {} ({:?}): {sql}",
                    class.name,
                    error,
                    error.cause()
                ));
            };
            let guarded = match guard(&GeneratedSql::new(sql), &target.visible) {
                Ok(guarded) => guarded,
                Err(error) => {
                    fault("the guard", &error);
                    continue;
                }
            };
            let both = match runtime().block_on(target.generation.query(&guarded, &LIMITS)) {
                Ok(result) => result,
                Err(error) => {
                    fault("both", &error);
                    continue;
                }
            };
            match plain(&target.path, guarded.text(), &LIMITS) {
                Ok(result) if result == both || varies => {}
                Ok(_) => fault("the guard alone", &Error::new(Code::Internal, "other rows")),
                Err(error) => fault("the guard alone", &error),
            }
            match target.ask_within(sql, LIMITS) {
                // Names of columns come from the text, which the guard may have written anew.
                Ok(result) if result.rows == both.rows || varies => {}
                Ok(other) => {
                    let rows = format!(
                        "{:?} instead of {:?}",
                        other.rows.first(),
                        both.rows.first()
                    );
                    fault("the engine alone", &Error::new(Code::Internal, rows));
                }
                // Only the guard answers for the schema tables and writes `*` out where columns are hidden.
                Err(_) if guarded.text() != sql => {}
                Err(error) => fault("the engine alone", &error),
            }
        }
    }
    assert!(count >= 250, "only {count} benign texts");
    assert!(
        faults.is_empty(),
        "{} faults of {count}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn gold_queries_give_the_same_rows_with_either_fence_and_with_both() {
    let folder = std::env::var_os("EVAL_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/eval/dev"),
        PathBuf::from,
    );
    let Ok(questions) = fs::read_to_string(folder.join("questions.jsonl")) else {
        eprintln!("skipped: there are no questions in {}", folder.display());
        return;
    };
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut count = 0;
    for line in questions.lines() {
        let question: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |key: &str| question[key].as_str().expect("a text").to_owned();
        let (database, sql) = (text("db"), text("gold_sql"));
        let target = targets.entry(database.clone()).or_insert_with(|| {
            let path = folder.join(format!("databases/{database}.sqlite"));
            Target::of(path, tempfile::tempdir().expect("a folder"), &[])
        });
        count += 1;
        let alone = target.ask_within(&sql, LIMITS);
        let guarded = guard(&GeneratedSql::new(sql.as_str()), &target.visible);
        match (guarded, alone) {
            (Ok(guarded), Ok(alone)) => {
                let both = runtime().block_on(target.generation.query(&guarded, &LIMITS));
                if both.as_ref() != Ok(&alone) {
                    faults.push(format!("{database}: other rows with both: {sql}"));
                }
                if plain(&target.path, &sql, &LIMITS).as_ref() != Ok(&alone) {
                    faults.push(format!("{database}: other rows without fences: {sql}"));
                }
            }
            (Err(guards), Err(engines))
                if [guards.code(), engines.code()] == [Code::DoubleQuotedString; 2] => {}
            (guards, engines) => faults.push(format!(
                "{database}: {:?} and {:?}: {sql}",
                guards.err().map(|error| error.code()),
                engines.err().map(|error| error.to_string())
            )),
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults of {count}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
