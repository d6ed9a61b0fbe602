//! The role that works may append to the audit trail and read it; its triggers hold for everyone.

use engine::ports::AuditLog;
use engine::{Code, Error};
use stores::postgres::PostgresSettings;

use super::*;

const CHANGES: [&str; 8] = [
    "UPDATE audit_logs SET action = 'x'",
    "DELETE FROM audit_logs",
    "TRUNCATE audit_logs",
    "UPDATE audit_seals SET key_id = 'x'",
    "DELETE FROM audit_seals",
    "TRUNCATE audit_seals",
    "INSERT INTO audit_seals SELECT * FROM audit_seals ON CONFLICT (number) DO UPDATE SET key_id = 'x'",
    "WITH gone AS (DELETE FROM audit_logs RETURNING id) SELECT * FROM gone",
];

async fn with_a_sealed_entry(database: &PostgresFixture) {
    let store = database.store().await;
    store.record(&entry("login_failed")).await.unwrap();
    store.seal(&sealing_key(), at(1)).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_working_role_can_only_append_to_the_audit_trail() {
    let Some(database) = services::postgres().await else {
        return;
    };
    with_a_sealed_entry(&database).await;
    let mut raw = database.connect().await;
    execute(&mut raw, "SET ROLE assay_app").await.unwrap();
    for sql in CHANGES.iter().chain(&[
        "DROP TRIGGER audit_logs_append_only ON audit_logs",
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL",
        "ALTER TABLE audit_logs OWNER TO assay_app",
        "CREATE TRIGGER mine BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DROP TABLE audit_logs",
        "CREATE INDEX mine ON audit_logs (id)",
        "CREATE RULE mine AS ON INSERT TO audit_logs DO INSTEAD NOTHING",
        "CREATE TABLE mine (id INT)",
        "ALTER TABLE users ADD COLUMN mine INT",
        "TRUNCATE users",
        "DELETE FROM schema_migrations",
        "SELECT setval('audit_logs_id_seq', 1)",
        "SET session_replication_role TO replica",
        // A place among older entries.
        "INSERT INTO audit_logs (id, action, resource, changes, timestamp, canonical, hash) OVERRIDING SYSTEM VALUE
         VALUES (0, 'a', 'r', '{}', now(), '', sha256(''))",
    ]) {
        let fault = execute(&mut raw, sql).await.unwrap_err();
        let state = fault.as_database_error().and_then(|fault| fault.code());
        assert_eq!(state.as_deref(), Some("42501"), "{sql}: {fault}");
    }
}

#[tokio::test]
async fn the_triggers_hold_for_the_owner_too() {
    let Some(database) = services::postgres().await else {
        return;
    };
    with_a_sealed_entry(&database).await;
    let mut raw = database.connect().await;
    for role in ["origin", "replica"] {
        execute(&mut raw, &format!("SET session_replication_role TO {role}"))
            .await
            .unwrap();
        for sql in CHANGES {
            let fault = execute(&mut raw, sql).await.unwrap_err();
            assert!(fault.to_string().contains("append-only"), "{sql}: {fault}");
        }
    }
}

#[tokio::test]
async fn the_level_of_protection_is_told() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = database.store().await;
    let protection = store.protection().await.unwrap();
    assert_eq!(protection.works_as, "assay_app");
    assert!(
        !protection.may_update && !protection.may_delete && !protection.may_truncate,
        "{protection:?}"
    );
    assert!(!protection.may_change_table && protection.triggers_enabled);
    assert!(protection.may_become_other && !protection.is_complete());
    let summary = protection.summary();
    assert!(summary.contains("MIGRATION_DATABASE_URL"), "{summary}");

    let mut raw = database.connect().await;
    let weakened = "ALTER TABLE audit_logs DISABLE TRIGGER ALL; GRANT UPDATE (action) ON audit_logs TO assay_app";
    execute(&mut raw, weakened).await.unwrap();
    let protection = store.protection().await.unwrap();
    assert!(protection.may_update && !protection.triggers_enabled);
    assert_eq!(
        protection.summary(),
        "not append-only: `assay_app` may UPDATE audit_logs, its triggers are not in force"
    );
    // The next start takes back the right; a trigger is not switched on behind the owner's back.
    let protection = database.store().await.protection().await.unwrap();
    assert!(!protection.may_update && !protection.triggers_enabled);
}

/// A login as an administrator would make it: it owns nothing and may become nothing but `assay_app`.
#[tokio::test]
async fn a_login_of_its_own_reaches_the_highest_level() {
    let Some(database) = services::empty_postgres().await else {
        return;
    };
    let login = Login::create(&database, "NOCREATEROLE").await;
    let own = PostgresSettings::new(database.url_of(&login.name, "secret"));
    let refused = PostgresStore::open(&own).await.err().unwrap();
    assert_eq!(refused.code(), Code::SystemStoreDown, "{refused}");
    let hint = refused.hint().unwrap_or_default();
    assert!(
        hint.contains("run: ") || hint.contains("MIGRATION_DATABASE_URL"),
        "{hint}"
    );
    let with_owner = PostgresSettings {
        migration_url: Some(database.url().to_owned()),
        ..own.clone()
    };
    for settings in [&with_owner, &own] {
        let store = PostgresStore::open(settings).await.unwrap();
        let protection = store.protection().await.unwrap();
        assert!(protection.is_complete(), "{protection:?}");
        assert_eq!(
            protection.summary(),
            format!(
                "append-only: neither `assay_app` nor the login `{}` may change audit_logs or its triggers",
                login.name
            )
        );
        ada_again(&store).await;
    }
    login.drop(&database).await;
}

/// Where roles are the business of someone else, the owner is told what that one has to run.
#[tokio::test]
async fn an_owner_who_may_not_grant_roles_is_told_what_to_ask_for() {
    // The role is there already, made by this one.
    let (Some(_other), Some(database)) =
        (services::postgres().await, services::empty_postgres().await)
    else {
        return;
    };
    let login = Login::create(&database, "NOCREATEROLE").await;
    let mut raw = database.connect().await;
    let owns = format!("ALTER DATABASE {} OWNER TO {}", database.name(), login.name);
    execute(&mut raw, &owns).await.unwrap();
    let settings = PostgresSettings::new(database.url_of(&login.name, "secret"));
    let error: Error = PostgresStore::open(&settings).await.err().unwrap();
    let hint = error.hint().unwrap_or_default();
    let grant = format!("GRANT assay_app TO {};", login.name);
    assert!(hint.ends_with(&grant), "{error}: {hint}");
    execute(&mut raw, &grant).await.unwrap();
    let store = PostgresStore::open(&settings).await.unwrap();
    ada_again(&store).await;
    let protection = store.protection().await.unwrap();
    assert!(
        protection.may_become_other,
        "the owner is one RESET ROLE away"
    );
    drop(store);
    let back = format!("REASSIGN OWNED BY {} TO CURRENT_USER", login.name);
    execute(&mut raw, &back).await.unwrap();
    login.drop(&database).await;
}

async fn ada_again(store: &PostgresStore) {
    if store
        .user_by_email("ada@example.org")
        .await
        .unwrap()
        .is_none()
    {
        ada(store).await;
    }
}

/// A role of the whole server, which the database does not take along when it goes.
struct Login {
    name: String,
}

impl Login {
    async fn create(database: &PostgresFixture, attributes: &str) -> Self {
        let name = format!("login_of_{}", database.name());
        let create = format!("CREATE ROLE {name} LOGIN PASSWORD 'secret' {attributes}");
        execute(&mut database.connect().await, &create)
            .await
            .unwrap();
        Self { name }
    }

    async fn drop(self, database: &PostgresFixture) {
        let drop = format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name);
        execute(&mut database.connect().await, &drop).await.unwrap();
    }
}
