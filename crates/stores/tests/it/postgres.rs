//! What only PostgreSQL can show: its schema, rights, migrations, other connections, a server that goes away.

mod connections;
mod migrations;
mod rights;
mod schema;
mod sealing;

use chrono::{DateTime, Utc};
use engine::accounts::{Email, NewUser, UserId};
use engine::audit::{AuditEntry, SealingKey};
use engine::policy::Role;
use engine::ports::{NewQuery, Situations, Users};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row, query};
use stores::postgres::PostgresStore;

use crate::services::{self, PostgresFixture, execute};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry::new(at(0), None, action, "test", json!({}))
}

fn sealing_key() -> SealingKey {
    SealingKey::derive(b"a secret of at least 16 bytes")
}

async fn ada(store: &PostgresStore) -> UserId {
    let ada = NewUser {
        email: Email::parse("ada@example.org").unwrap(),
        password_hash: "hash".into(),
        full_name: "Ada".into(),
        role: Role::Admin,
    };
    store
        .create_user(&ada, &entry("user_created"))
        .await
        .unwrap()
}

fn question(user_id: UserId, text: &str) -> NewQuery {
    NewQuery {
        user_id,
        role: Role::Viewer,
        question: Some(text.into()),
        sql: None,
        conversation_id: None,
        instance_id: "one".into(),
        lease_until: at(60),
    }
}

/// Returns the first column of the first row.
async fn value<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    query(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap()
        .get(0)
}

/// Asks until it is so, for ten seconds at most.
async fn until(connection: &mut PgConnection, sql: &str) {
    let started = std::time::Instant::now();
    while !value::<bool>(connection, sql).await {
        assert!(started.elapsed().as_secs() < 10, "never became so: {sql}");
        tokio::task::yield_now().await;
    }
}
