//! Migrations are applied once, in order, by a program that knows them.

use engine::Code;
use stores::postgres::PostgresSettings;

use super::*;

const APPLIED: &str = "SELECT string_agg(name, ' ' ORDER BY name) FROM schema_migrations";

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_at_once_apply_once() {
    let Some(database) = services::empty_postgres().await else {
        return;
    };
    let settings = PostgresSettings::new(database.url());
    let runs: Vec<_> = (0..6)
        .map(|_| {
            let settings = settings.clone();
            tokio::spawn(async move { PostgresStore::open(&settings).await.map(drop) })
        })
        .collect();
    for run in runs {
        assert_eq!(run.await.unwrap(), Ok(()));
    }
    let applied: String = value(&mut database.connect().await, APPLIED).await;
    assert_eq!(
        applied,
        "0001_users 0002_sessions 0003_queries 0004_audit_logs 0005_feedback 0006_policies 0007_ontologies \
         0008_configurations 0009_versions 0010_verified_queries 0011_conversations"
    );
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_not_touched() {
    refused(
        "INSERT INTO schema_migrations (name, hash) VALUES ('9999_future', 'x')",
        "9999_future",
    )
    .await;
}

#[tokio::test]
async fn a_store_of_another_text_is_not_touched() {
    refused(
        "UPDATE schema_migrations SET hash = 'x' WHERE name = '0003_queries'",
        "0003_queries",
    )
    .await;
}

async fn refused(change: &str, named: &str) {
    let Some(database) = services::postgres().await else {
        return;
    };
    execute(&mut database.connect().await, change)
        .await
        .unwrap();
    let settings = PostgresSettings::new(database.url());
    let error = PostgresStore::open(&settings).await.err().unwrap();
    assert_eq!(error.code(), Code::SystemStoreMismatch);
    assert!(error.message().contains(named), "{error}");
    assert!(error.hint().unwrap().contains("DATABASE_URL"));
}

#[tokio::test]
async fn a_database_of_another_programs_tables_is_not_touched() {
    for tables in [
        "CREATE TABLE users (login TEXT)",
        "CREATE TABLE schema_migrations (version TEXT)",
    ] {
        let Some(database) = services::empty_postgres().await else {
            return;
        };
        let mut raw = database.connect().await;
        execute(&mut raw, tables).await.unwrap();
        let settings = PostgresSettings::new(database.url());
        let error = PostgresStore::open(&settings).await.err().unwrap();
        assert_eq!(error.code(), Code::SystemStoreMismatch, "{tables}: {error}");
        assert!(
            error.hint().unwrap().contains("another database"),
            "{tables}"
        );
        let left: i64 = value(
            &mut raw,
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
        )
        .await;
        assert_eq!(left, 1, "{tables}");
    }
}

/// A migration that fails half-way, here on a table that is there already, leaves nothing of itself behind.
#[tokio::test]
async fn a_failing_migration_leaves_nothing() {
    let Some(database) = services::empty_postgres().await else {
        return;
    };
    let mut raw = database.connect().await;
    execute(&mut raw, "CREATE TABLE feedback (mine INT)")
        .await
        .unwrap();
    let settings = PostgresSettings::new(database.url());
    let error = PostgresStore::open(&settings).await.err().unwrap();
    assert!(error.message().contains("0005_feedback"), "{error}");
    let tables: i64 = value(
        &mut raw,
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    )
    .await;
    assert_eq!(tables, 1);
    execute(&mut raw, "DROP TABLE feedback").await.unwrap();
    assert!(PostgresStore::open(&settings).await.is_ok());
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let Some(database) = services::empty_postgres().await else {
        return;
    };
    let (mut raw, name) = (
        database.connect().await,
        format!("{}_latin", database.name()),
    );
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    execute(&mut raw, &create).await.unwrap();
    let url = database.url().replace(database.name(), &name);
    let error = PostgresStore::open(&PostgresSettings::new(url)).await.err();
    execute(&mut raw, &format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
    let error = error.unwrap();
    assert!(error.message().contains("LATIN1"), "{error}");
}
