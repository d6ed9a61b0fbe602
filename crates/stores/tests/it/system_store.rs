//! The suite of the SystemStore port. It states the contract once and runs on every implementation.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use engine::accounts::{Email, NewUser};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::{FinishedQuery, NewQuery, NewSession, SystemStore};
use engine::{Code, Error};
use serde_json::json;
use stores::sqlite::SqliteStore;

macro_rules! suite {
    ($($name:ident: $open:expr;)*) => {$(
        mod $name {
            suite!(@tests $open;
                the_first_administrator_is_created_once
                addresses_compare_without_regard_to_case
                a_session_lives_until_it_ends_or_expires
                a_question_is_pending_then_finished_with_its_audit_entry
                a_finished_question_cannot_be_finished_again
                a_failing_audit_entry_rolls_the_change_back
                an_expired_lease_becomes_interrupted
                concurrent_questions_get_rows_of_their_own
            );
        }
    )*};
    (@tests $open:expr; $($test:ident)*) => {$(
        #[tokio::test]
        async fn $test() {
            let (store, _keep) = $open;
            super::$test(store).await;
        }
    )*};
}

suite! {
    sqlite_file: super::sqlite_file();
    sqlite_memory: (super::Arc::new(super::SqliteStore::in_memory().unwrap()) as super::Arc<dyn super::SystemStore>, ());
}

fn sqlite_file() -> (Arc<dyn SystemStore>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("data/system.db")).unwrap();
    (Arc::new(store), folder)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry::new(None, action, "test", json!({}))
}

async fn admin(store: &Arc<dyn SystemStore>) -> i64 {
    let user = NewUser {
        email: Email::parse("Ada@Example.org").unwrap(),
        password_hash: "hash".into(),
        full_name: "Ada".into(),
        role: Role::Admin,
    };
    store
        .create_first_admin(&user, &entry("user_created"))
        .await
        .unwrap()
        .unwrap()
}

fn question(user_id: i64) -> NewQuery {
    NewQuery {
        user_id,
        question: Some("How many?".into()),
        sql: None,
        instance_id: "one".into(),
        lease_until: at(60),
    }
}

fn success() -> FinishedQuery {
    FinishedQuery {
        sql: Some("SELECT 1".into()),
        error: None,
        result_count: Some(1),
        duration_ms: 5,
        generator: Some("scripted".into()),
        target_fingerprint: Some("f".into()),
        receipt: None,
    }
}

async fn actions(store: &Arc<dyn SystemStore>) -> Vec<String> {
    let entries = store.audit_entries(0, 1_000).await.unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

async fn the_first_administrator_is_created_once(store: Arc<dyn SystemStore>) {
    let id = admin(&store).await;
    let second = NewUser {
        email: Email::parse("eve@example.org").unwrap(),
        password_hash: "hash".into(),
        full_name: "Eve".into(),
        role: Role::Admin,
    };
    assert_eq!(
        store
            .create_first_admin(&second, &entry("user_created"))
            .await,
        Ok(None)
    );
    assert_eq!(store.user_by_email("eve@example.org").await, Ok(None));
    assert_eq!(store.user(id).await.unwrap().unwrap().role, Role::Admin);
    assert_eq!(actions(&store).await, ["user_created"]);
}

async fn addresses_compare_without_regard_to_case(store: Arc<dyn SystemStore>) {
    let id = admin(&store).await;
    let found = store
        .user_by_email("ADA@example.ORG")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.id, found.email.as_str()), (id, "Ada@Example.org"));
}

async fn a_session_lives_until_it_ends_or_expires(store: Arc<dyn SystemStore>) {
    let user_id = admin(&store).await;
    for (hash, seconds) in [("long", 100), ("short", 10)] {
        let session = NewSession {
            user_id,
            token_hash: hash.into(),
            expires_at: at(seconds),
        };
        store
            .create_session(&session, &entry("login"))
            .await
            .unwrap();
    }
    let actor = |hash: &'static str, seconds| {
        let store = store.clone();
        async move {
            store
                .session_actor(hash, at(seconds))
                .await
                .unwrap()
                .map(|actor| actor.user_id)
        }
    };
    assert_eq!(actor("long", 0).await, Some(user_id));
    assert_eq!(actor("short", 9).await, Some(user_id));
    assert_eq!(actor("short", 10).await, None);
    assert_eq!(actor("other", 0).await, None);
    store.end_session("long", &entry("logout")).await.unwrap();
    assert_eq!(actor("long", 0).await, None);
    assert_eq!(
        actions(&store).await,
        ["user_created", "login", "login", "logout"]
    );
}

async fn a_question_is_pending_then_finished_with_its_audit_entry(store: Arc<dyn SystemStore>) {
    let user_id = admin(&store).await;
    let id = store
        .begin_query(&question(user_id), &entry("query"))
        .await
        .unwrap();
    assert_eq!(
        store.query_record(id).await.unwrap().unwrap().status,
        "pending"
    );
    store
        .finish_query(id, &success(), &entry("query_answered"))
        .await
        .unwrap();
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(
        (record.status.as_str(), record.result_count),
        ("success", Some(1))
    );
    assert_eq!(
        actions(&store).await,
        ["user_created", "query", "query_answered"]
    );
}

async fn a_finished_question_cannot_be_finished_again(store: Arc<dyn SystemStore>) {
    let user_id = admin(&store).await;
    let id = store
        .begin_query(&question(user_id), &entry("query"))
        .await
        .unwrap();
    store
        .finish_query(id, &success(), &entry("query_answered"))
        .await
        .unwrap();
    let again = store
        .finish_query(id, &success(), &entry("query_answered"))
        .await;
    assert_eq!(
        again.map_err(|error: Error| error.code()),
        Err(Code::Interrupted)
    );
    assert_eq!(
        actions(&store).await.len(),
        3,
        "the second outcome left no entry"
    );
}

async fn a_failing_audit_entry_rolls_the_change_back(store: Arc<dyn SystemStore>) {
    let user_id = admin(&store).await;
    // No user has this identifier, so the entry breaks its foreign key.
    let broken = AuditEntry::new(Some(999_999), "query", "query", json!({}));
    assert!(
        store
            .begin_query(&question(user_id), &broken)
            .await
            .is_err()
    );
    let id = store
        .begin_query(&question(user_id), &entry("query"))
        .await
        .unwrap();
    assert!(store.finish_query(id, &success(), &broken).await.is_err());
    assert_eq!(
        store.query_record(id).await.unwrap().unwrap().status,
        "pending"
    );
    assert_eq!(
        store.sweep_expired(at(61)).await,
        Ok(1),
        "only one question was ever recorded"
    );
}

async fn an_expired_lease_becomes_interrupted(store: Arc<dyn SystemStore>) {
    let user_id = admin(&store).await;
    let id = store
        .begin_query(&question(user_id), &entry("query"))
        .await
        .unwrap();
    assert_eq!(
        store.sweep_expired(at(60)).await,
        Ok(0),
        "the lease runs to its last moment"
    );
    assert_eq!(
        store
            .sweep_expired(at(60) + TimeDelta::milliseconds(1))
            .await,
        Ok(1)
    );
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(record.error_code.as_deref(), Some("interrupted"));
    let late = store
        .finish_query(id, &success(), &entry("query_answered"))
        .await;
    assert_eq!(
        late.map_err(|error: Error| error.code()),
        Err(Code::Interrupted)
    );
}

async fn concurrent_questions_get_rows_of_their_own(store: Arc<dyn SystemStore>) {
    let user_id = admin(&store).await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let id = store
                    .begin_query(&question(user_id), &entry("query"))
                    .await
                    .unwrap();
                store
                    .finish_query(id, &success(), &entry("query_answered"))
                    .await
                    .unwrap();
                id
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert_eq!(actions(&store).await.len(), 101);
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart_and_the_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let store: Arc<dyn SystemStore> = Arc::new(SqliteStore::open(&path).unwrap());
    let id = admin(&store).await;
    drop(store);
    let store: Arc<dyn SystemStore> = Arc::new(SqliteStore::open(&path).unwrap());
    assert!(store.user(id).await.unwrap().is_some());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn the_audit_log_refuses_update_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    drop(SqliteStore::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute(
            "INSERT INTO audit_logs (action, resource, changes, timestamp) VALUES ('login', 'user', '{}', 'now')",
            [],
        )
        .unwrap();
    for sql in [
        "UPDATE audit_logs SET action = 'x'",
        "DELETE FROM audit_logs",
    ] {
        let refused = connection
            .execute(sql, [])
            .map_err(|fault| fault.to_string());
        assert_eq!(refused, Err("audit_logs is append-only".into()), "{sql}");
    }
}

#[test]
fn a_store_of_a_newer_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    drop(SqliteStore::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute(
            "INSERT INTO schema_migrations VALUES ('9999_future', 'now')",
            [],
        )
        .unwrap();
    let error = SqliteStore::open(&path).err().unwrap();
    assert!(error.message().contains("9999_future"), "{error}");
}
