//! Blocks end where no entry can still come, whatever order writers commit in.

use engine::Code;
use engine::audit::{AuditFilter, Fault, hex, verify};
use engine::ports::{AuditLog, PageRequest};

use super::*;

/// How many wait for a lock in this database; other tests have databases of their own on the same server.
const WAITING: &str = "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// A writer as another replica would be: it has drawn an identifier and not committed.
async fn slow_writer(database: &PostgresFixture) -> PgConnection {
    let mut raw = database.connect().await;
    let (time, bytes) = (at(0).to_rfc3339(), hex(&entry("slow").canonical()));
    let write = format!(
        "BEGIN; SELECT pg_advisory_xact_lock_shared(4707186421085270901);
         INSERT INTO audit_logs (action, resource, changes, timestamp, canonical, hash)
         VALUES ('slow', 'test', '{{}}', '{time}', '\\x{bytes}', sha256('\\x{bytes}'))"
    );
    execute(&mut raw, &write).await.unwrap();
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_commit_out_of_order_are_in_one_block() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = std::sync::Arc::new(database.store().await);
    let mut raw = database.connect().await;
    let mut slow = slow_writer(&database).await;
    store.record(&entry("fast")).await.unwrap();
    let sealing = tokio::spawn({
        let store = store.clone();
        async move { store.seal(&sealing_key(), at(1)).await }
    });
    // The sealer stands in line for the lock that the slow writer shares.
    until(&mut raw, &format!("SELECT {WAITING} = 1")).await;
    execute(&mut slow, "COMMIT").await.unwrap();
    let seal = sealing.await.unwrap().unwrap().unwrap();
    assert_eq!((seal.first_row, seal.last_row, seal.row_count), (1, 2, 2));
    // What rolls back leaves a gap, which is not a removed row.
    let mut gone = slow_writer(&database).await;
    store.record(&entry("fast")).await.unwrap();
    execute(&mut gone, "ROLLBACK").await.unwrap();
    let seal = store.seal(&sealing_key(), at(2)).await.unwrap().unwrap();
    assert_eq!((seal.first_row, seal.last_row, seal.row_count), (4, 4, 1));
    let report = verify(store.as_ref(), &[sealing_key()], &[], &|_| {}).await;
    let report = report.unwrap();
    assert_eq!((report.sealed, report.unsealed, report.fault), (3, 0, None));
}

/// A block ends below what was committed after its boundary was read.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_drawn_while_the_sealer_waits_is_in_the_next_block() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = std::sync::Arc::new(database.store().await);
    let mut raw = database.connect().await;
    store.record(&entry("first")).await.unwrap();
    let mut slow = slow_writer(&database).await;
    let sealing = tokio::spawn({
        let store = store.clone();
        async move { store.seal(&sealing_key(), at(1)).await }
    });
    until(&mut raw, &format!("SELECT {WAITING} = 1")).await;
    let late = tokio::spawn({
        let store = store.clone();
        async move { store.record(&entry("late")).await }
    });
    until(&mut raw, &format!("SELECT {WAITING} = 2")).await;
    execute(&mut slow, "COMMIT").await.unwrap();
    let seal = sealing.await.unwrap().unwrap().unwrap();
    assert_eq!((seal.last_row, seal.row_count), (1, 1));
    late.await.unwrap().unwrap();
    let seal = store.seal(&sealing_key(), at(2)).await.unwrap().unwrap();
    assert_eq!((seal.first_row, seal.last_row, seal.row_count), (2, 3, 2));
    let report = verify(store.as_ref(), &[sealing_key()], &[], &|_| {}).await;
    assert_eq!(report.unwrap().fault, None);
}

/// A writer that hangs holds up no one for long, and the next attempt seals what this one could not.
#[tokio::test]
async fn a_writer_that_hangs_is_not_waited_for() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = database.store().await;
    store.record(&entry("first")).await.unwrap();
    let hung = slow_writer(&database).await;
    let error = store.seal(&sealing_key(), at(1)).await.unwrap_err();
    assert_eq!(error.code(), Code::SystemStoreDown);
    store.record(&entry("second")).await.unwrap();
    drop(hung);
    let mut raw = database.connect().await;
    until(
        &mut raw,
        "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
    )
    .await;
    let seal = store.seal(&sealing_key(), at(2)).await.unwrap().unwrap();
    assert_eq!((seal.last_row, seal.row_count), (3, 2));
}

/// What the table's own checks would refuse, left by someone past them, is named and stops nothing.
#[tokio::test]
async fn a_value_that_no_entry_has_is_named() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = database.store().await;
    store.record(&entry("first")).await.unwrap();
    let mut raw = database.connect().await;
    let past_checks = "ALTER TABLE audit_logs DISABLE TRIGGER ALL;
        ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_timestamp_check, DROP CONSTRAINT audit_logs_hash_check,
            ALTER timestamp DROP NOT NULL, ALTER changes DROP NOT NULL, ALTER hash DROP NOT NULL,
            ALTER canonical DROP NOT NULL, ALTER action DROP NOT NULL, ALTER resource DROP NOT NULL;
        CREATE TABLE untouched AS SELECT * FROM audit_logs";
    execute(&mut raw, past_checks).await.unwrap();
    for change in [
        "timestamp = 'infinity'",
        "timestamp = '-infinity'",
        "timestamp = NULL",
        "changes = '{\"a\": 1e400}'",
        "changes = '[]'",
        "changes = NULL",
        "hash = ''",
        "hash = NULL",
        "canonical = NULL",
        "action = NULL",
        "resource = NULL",
    ] {
        let tamper = format!("UPDATE audit_logs SET {change}");
        execute(&mut raw, &tamper).await.unwrap();
        let report = verify(&store, &[sealing_key()], &[], &|_| {})
            .await
            .unwrap();
        assert_eq!(report.fault, Some(Fault::RowChanged { row: 1 }), "{change}");
        let page = store
            .audit_entries(&AuditFilter::default(), PageRequest::first(1))
            .await;
        assert_eq!(page.unwrap().items.len(), 1, "{change}");
        let restore = "DELETE FROM audit_logs; INSERT INTO audit_logs OVERRIDING SYSTEM VALUE SELECT * FROM untouched";
        execute(&mut raw, restore).await.unwrap();
    }
    let report = verify(&store, &[sealing_key()], &[], &|_| {})
        .await
        .unwrap();
    assert_eq!(report.fault, None);
}
