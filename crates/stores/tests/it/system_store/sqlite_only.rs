//! What only a SQLite file can show: restarts, modes, triggers, two processes.

use std::path::Path;

use engine::audit::{SealingKey, verify};
use rusqlite::Connection;

use super::*;

fn open(path: &Path) -> Store {
    Arc::new(SqliteStore::open(path).unwrap())
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart_and_the_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let store = open(&path);
    let id = ada(&store).await;
    drop(store);
    assert!(open(&path).user(id).await.unwrap().is_some());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn the_audit_trail_refuses_update_delete_and_replace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let store = open(&path);
    for _ in 0..2 {
        store.record(&entry("login_failed")).await.unwrap();
        let sealed = store.seal(&SealingKey::derive(b"secret"), at(0)).await;
        assert!(sealed.unwrap().is_some());
    }
    let raw = Connection::open(&path).unwrap();
    for (table, sql) in [
        ("audit_logs", "UPDATE audit_logs SET action = 'x'"),
        ("audit_logs", "DELETE FROM audit_logs WHERE id = 2"),
        (
            "audit_logs",
            "INSERT OR REPLACE INTO audit_logs SELECT * FROM audit_logs WHERE id = 1",
        ),
        ("audit_seals", "UPDATE audit_seals SET key_id = 'x'"),
        ("audit_seals", "DELETE FROM audit_seals WHERE number = 2"),
        (
            "audit_seals",
            "INSERT OR REPLACE INTO audit_seals SELECT * FROM audit_seals WHERE number = 2",
        ),
    ] {
        let refused = raw.execute(sql, []).map_err(|fault| fault.to_string());
        assert_eq!(refused, Err(format!("{table} is append-only")), "{sql}");
    }
}

#[test]
fn a_store_of_a_newer_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    drop(open(&path));
    let raw = Connection::open(&path).unwrap();
    raw.execute(
        "INSERT INTO schema_migrations (name, applied_at) VALUES ('9999_future', 'now')",
        [],
    )
    .unwrap();
    let error = SqliteStore::open(&path).err().unwrap();
    assert_eq!(error.code(), Code::SystemStoreMismatch);
    assert!(error.message().contains("9999_future"), "{error}");
    assert!(error.hint().unwrap().contains("DATA_DIR"));
}

/// Such a file used to open, and then every use of it failed without a hint.
#[test]
fn a_store_of_another_text_is_not_touched() {
    for (change, named) in [
        (
            "UPDATE schema_migrations SET hash = 'x' WHERE name = '0003_queries'",
            "0003_queries",
        ),
        // Of a development version that kept no hashes.
        (
            "ALTER TABLE schema_migrations DROP COLUMN hash; ALTER TABLE feedback DROP COLUMN comment",
            "0005_feedback",
        ),
        (
            "ALTER TABLE schema_migrations DROP COLUMN hash; DROP TRIGGER audit_logs_no_delete",
            "0004_audit_logs",
        ),
        ("DROP TABLE schema_migrations", "did not make"),
        (
            "DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version TEXT)",
            "did not make",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system.db");
        drop(open(&path));
        let raw = Connection::open(&path).unwrap();
        raw.execute_batch(change).unwrap();
        let error = SqliteStore::open(&path).err().unwrap();
        assert_eq!(error.code(), Code::SystemStoreMismatch, "{change}");
        assert!(error.message().contains(named), "{change}: {error}");
        assert!(error.hint().unwrap().contains("DATA_DIR"), "{change}");
        let found = stores::sqlite::diagnose(&path);
        let is_named = match found {
            Ok(found) => found.altered == [named],
            Err(error) => error.code() == Code::SystemStoreMismatch,
        };
        assert!(is_named, "{change}");
    }
}

#[tokio::test]
async fn a_store_of_the_first_version_is_given_its_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let ada = ada(&open(&path)).await;
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("ALTER TABLE schema_migrations DROP COLUMN hash")
        .unwrap();
    assert!(open(&path).user(ada).await.unwrap().is_some());
    let lacking: i64 = raw
        .query_row(
            "SELECT count(*) FROM schema_migrations WHERE hash IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(lacking, 0);
}

/// Two stores on one file share nothing in this process but the file, as two processes do.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_and_seal_one_trail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let stores = [open(&path), open(&path)];
    let ada = ada(&stores[0]).await;
    let key = SealingKey::derive(b"secret");
    let sealed = at_once(40, |number| {
        let (store, key) = (stores[number % 2].clone(), key.clone());
        async move {
            let mut sealed = 0;
            for _ in 0..10 {
                ask(&store, ada, "How many?").await;
                if number < 4 {
                    let seal = store.seal(&key, at(0)).await.unwrap();
                    sealed += seal.map_or(0, |seal| seal.row_count);
                }
            }
            sealed
        }
    })
    .await;
    let rest = stores[0].seal(&key, at(0)).await.unwrap();
    let rest = rest.map_or(0, |seal| seal.row_count);
    assert_eq!(sealed.iter().sum::<i64>() + rest, 401);
    let report = verify(stores[1].as_ref(), &[key], &[], &|_| {}).await;
    let report = report.unwrap();
    assert_eq!(
        (report.sealed, report.unsealed, report.fault),
        (401, 0, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_fails_leaves_the_others_of_its_batch() {
    let (store, _keep) = sqlite_file().await.unwrap();
    let ada = ada(&store).await;
    let codes = at_once(60, |number| {
        let store = store.clone();
        async move {
            let asked = AuditEntry {
                user_id: (number % 3 == 0).then_some(999_999),
                ..entry("query")
            };
            code(store.begin_query(&question(ada, "How many?"), &asked).await)
        }
    })
    .await;
    assert_eq!(codes.iter().flatten().count(), 20);
    assert_eq!(actions(&store).await.len(), 41);
}

/// Whoever writes the rows, not only Assay.
#[tokio::test]
async fn each_statement_that_changes_a_table_gives_it_a_new_version_and_others_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let store = open(&path);
    let raw = Connection::open(&path).unwrap();
    let mut before = store.situation(Role::Viewer).await.unwrap();
    let at = "created_at, updated_at) VALUES";
    for (sql, is_of_terms) in [
        (
            format!(
                "INSERT INTO verified_queries (question, sql, status, {at} ('q', 's', 'proposed', '', '')"
            ),
            false,
        ),
        (
            "UPDATE verified_queries SET status = 'approved'".into(),
            false,
        ),
        ("DELETE FROM verified_queries".into(), false),
        (
            format!(
                "INSERT INTO business_ontologies (term_name, term_folded, description, {at} ('t', 't', '', '', '')"
            ),
            true,
        ),
        ("UPDATE business_ontologies SET owner = 'o'".into(), true),
        ("DELETE FROM business_ontologies".into(), true),
    ] {
        raw.execute(&sql, []).unwrap();
        let after = store.situation(Role::Viewer).await.unwrap();
        assert_eq!(after.terms != before.terms, is_of_terms, "{sql}");
        assert_eq!(
            after.verified_queries == before.verified_queries,
            is_of_terms,
            "{sql}"
        );
        before = after;
    }
}
