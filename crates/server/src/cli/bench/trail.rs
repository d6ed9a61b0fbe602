//! How long it takes to verify an audit trail of a million rows, sealed by a server as it goes. On SQLite the store itself
//! records each row, since its writer commits many at once. On PostgreSQL each would be a transaction, and filling would
//! take minutes; there `psql` copies rows in that have the same columns, canonical bytes and hashes. Were one of them
//! wrong, verifying would say so.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::audit::{AuditEntry, AuditFilter, entry_hash, hex, verify};
use engine::ports::{AuditLog, Clock, PageRequest, SystemStore};
use engine::{Code, Error};
use futures::stream::{self, StreamExt};
use serde_json::json;

use super::{Figure, failed};
use crate::cli::output;
use crate::config::{Settings, SystemStoreSettings};
use crate::keys::Keys;
use crate::wire::SystemClock;

/// Rows that are verified.
const ROWS: u64 = 1_000_000;
/// Rows of one portion that is copied.
const COPIED_AT_ONCE: u64 = 50_000;
/// Rows being recorded at once.
const AT_ONCE: usize = 256;
/// How long the sealer may take for what is left when the last row is recorded.
const SEALED_WITHIN: Duration = Duration::from_secs(120);

/// Records a million rows in a store, while a server on it seals, and verifies all that are there.
pub async fn figure(
    name: &str,
    folder: &Path,
    settings: &Settings,
    store: &Arc<dyn SystemStore>,
) -> Result<Figure, Error> {
    output::say(&format!("a million audit rows on {name}"));
    let begun = Instant::now();
    match &settings.system_store {
        SystemStoreSettings::Sqlite { .. } => record(store).await?,
        SystemStoreSettings::Postgres(database) => copy(folder, &database.url).await?,
    }
    sealed_to_the_end(&**store).await?;
    let filled = begun.elapsed();

    let keys = Keys::open(settings)?.verifying;
    let begun = Instant::now();
    let report = verify(&**store, &keys, &[], &|_| ()).await?;
    let took = begun.elapsed();
    if let Some(fault) = &report.fault {
        return Err(failed(fault));
    }
    if report.sealed < ROWS {
        return Err(failed(format!("only {} rows are sealed", report.sealed)));
    }
    Ok(Figure::new(
        format!("1,000,000 audit rows verify, {name}"),
        format!(
            "{:.1} s",
            took.as_secs_f64() * ROWS as f64 / report.sealed as f64
        ),
        format!(
            "{} rows in {} sealed blocks; recorded in {:.0} s",
            report.sealed,
            report.seals,
            filled.as_secs_f64()
        ),
    ))
}

/// A row like that of a question.
fn entry(number: u64) -> AuditEntry {
    let changes = json!({
        "question": format!("How many orders were placed in week {number}?"),
        "sql": format!("SELECT count(*) FROM orders WHERE week = {number}"),
        "result_count": 1,
    });
    AuditEntry::new(SystemClock.now(), None, "query_answered", "query", changes)
}

async fn record(store: &Arc<dyn SystemStore>) -> Result<(), Error> {
    let failures = AtomicU64::new(0);
    stream::iter(0..ROWS)
        .for_each_concurrent(AT_ONCE, |number| {
            let failures = &failures;
            async move {
                if store.record(&entry(number)).await.is_err() {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .await;
    match failures.into_inner() {
        0 => Ok(()),
        count => Err(failed(format!("{count} rows could not be recorded"))),
    }
}

/// Copies in portions, each a transaction, so that the server seals meanwhile.
async fn copy(folder: &Path, url: &str) -> Result<(), Error> {
    let file = folder.join("audit-rows.copy");
    for portion in 0..ROWS / COPIED_AT_ONCE {
        let first = portion * COPIED_AT_ONCE;
        let (file, url) = (file.clone(), url.to_owned());
        let copied = tokio::task::spawn_blocking(move || {
            std::fs::write(&file, lines(first..first + COPIED_AT_ONCE))?;
            Command::new("psql")
                .args([
                    "--no-psqlrc",
                    "--quiet",
                    "--set",
                    "ON_ERROR_STOP=1",
                    "--dbname",
                    &url,
                ])
                .args(["--command", COPY])
                .stdin(std::fs::File::open(&file)?)
                .stdout(Stdio::null())
                .status()
        });
        let status = copied.await.map_err(failed)?.map_err(failed)?;
        if !status.success() {
            return Err(failed("psql could not copy audit rows"));
        }
    }
    Ok(())
}

const COPY: &str =
    "COPY audit_logs (action, resource, changes, timestamp, canonical, hash) FROM STDIN";

/// Returns rows in the text form of COPY. None of their texts has a character that would have to be escaped.
fn lines(numbers: std::ops::Range<u64>) -> String {
    let mut lines = String::new();
    for number in numbers {
        let entry = entry(number);
        let canonical = entry.canonical();
        let (canonical, hash) = (hex(&canonical), hex(&entry_hash(&canonical)));
        let (action, resource, changes) = (entry.action, entry.resource, &entry.changes);
        let at = entry.at.to_rfc3339();
        // Writing to a text cannot fail.
        let _ = writeln!(
            lines,
            "{action}\t{resource}\t{changes}\t{at}\t\\\\x{canonical}\t\\\\x{hash}"
        );
    }
    lines
}

/// Waits until the sealer of the server has closed the last block.
async fn sealed_to_the_end(log: &dyn AuditLog) -> Result<(), Error> {
    let begun = Instant::now();
    let newest = log
        .audit_entries(&AuditFilter::default(), PageRequest::first(1))
        .await?;
    let newest = newest.items.first().map_or(0, |entry| entry.id);
    while log.seal_of(newest).await?.is_none() {
        if begun.elapsed() > SEALED_WITHIN {
            return Err(Error::new(
                Code::Internal,
                "the trail is not sealed in time",
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
