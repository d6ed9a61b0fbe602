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
        "INSERT INTO schema_migrations VALUES ('9999_future', 'now')",
        [],
    )
    .unwrap();
    let error = SqliteStore::open(&path).err().unwrap();
    assert!(error.message().contains("9999_future"), "{error}");
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
