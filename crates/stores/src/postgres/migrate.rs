//! Forward-only migrations, each applied once, all in one transaction with the rights of the role that works.

use engine::{Code, Error};
use sqlx::postgres::PgConnection;
use sqlx::{Row, query, raw_sql};

use super::faults::{down, is_forbidden, state};
use super::roles;
use crate::migrations::{Differences, Migration, foreign, hash_of};

/// What the owner's connection is told first.
pub(super) const GREETING: &str = "
    SET search_path TO public, pg_temp;
    SET statement_timeout TO '10min';
    SET lock_timeout TO '1min';
";

/// Whoever migrates holds this advisory lock, so two starts at once apply each migration once.
const MIGRATING: i64 = 4707186421085270903;

const MIGRATIONS: &[Migration] = &[
    (
        "0001_users",
        include_str!("../../migrations/postgres/0001_users.sql"),
    ),
    (
        "0002_sessions",
        include_str!("../../migrations/postgres/0002_sessions.sql"),
    ),
    (
        "0003_queries",
        include_str!("../../migrations/postgres/0003_queries.sql"),
    ),
    (
        "0004_audit_logs",
        include_str!("../../migrations/postgres/0004_audit_logs.sql"),
    ),
    (
        "0005_feedback",
        include_str!("../../migrations/postgres/0005_feedback.sql"),
    ),
    (
        "0006_policies",
        include_str!("../../migrations/postgres/0006_policies.sql"),
    ),
    (
        "0007_ontologies",
        include_str!("../../migrations/postgres/0007_ontologies.sql"),
    ),
    (
        "0008_configurations",
        include_str!("../../migrations/postgres/0008_configurations.sql"),
    ),
    (
        "0009_versions",
        include_str!("../../migrations/postgres/0009_versions.sql"),
    ),
    (
        "0010_verified_queries",
        include_str!("../../migrations/postgres/0010_verified_queries.sql"),
    ),
    (
        "0011_conversations",
        include_str!("../../migrations/postgres/0011_conversations.sql"),
    ),
];

/// Applies what is missing. An error leaves the transaction open in a connection that is then closed.
pub(super) async fn run(owner: &mut PgConnection) -> Result<(), Error> {
    raw_sql("BEGIN").execute(&mut *owner).await.map_err(down)?;
    query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATING)
        .execute(&mut *owner)
        .await
        .map_err(down)?;
    let differences = look(owner).await?;
    differences.refuse()?;
    let is_pending = |name: &str| differences.pending.iter().any(|pending| pending == name);
    for (name, sql) in MIGRATIONS.iter().filter(|(name, _)| is_pending(name)) {
        apply(owner, name, sql)
            .await
            .map_err(|fault| failed(name, fault))?;
    }
    roles::grant(owner).await?;
    raw_sql("COMMIT").execute(owner).await.map_err(down)?;
    Ok(())
}

/// Compares the migrations applied with those that this program knows. Looking changes nothing.
pub(super) async fn look(owner: &mut PgConnection) -> Result<Differences, Error> {
    Ok(Differences::between(MIGRATIONS, &applied(owner).await?))
}

/// Returns the names of the migrations applied, with the hashes of their texts.
async fn applied(owner: &mut PgConnection) -> Result<Vec<(String, String)>, Error> {
    // CREATE TABLE IF NOT EXISTS would need the right to create one even where it exists.
    let exists: bool = query("SELECT to_regclass('public.schema_migrations') IS NOT NULL")
        .fetch_one(&mut *owner)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(down)?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows = query("SELECT name, hash FROM schema_migrations ORDER BY name")
        .fetch_all(owner)
        .await
        .map_err(|fault| failed("schema_migrations", fault))?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<sqlx::Result<_>>()
        .map_err(down)
}

async fn apply(owner: &mut PgConnection, name: &str, sql: &'static str) -> sqlx::Result<()> {
    if name == MIGRATIONS[0].0 {
        raw_sql(
            "CREATE TABLE schema_migrations (
                 name       TEXT PRIMARY KEY,
                 hash       TEXT NOT NULL,
                 applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
             )",
        )
        .execute(&mut *owner)
        .await?;
    }
    raw_sql(sql).execute(&mut *owner).await?;
    query("INSERT INTO schema_migrations (name, hash) VALUES ($1, $2)")
        .bind(name)
        .bind(hash_of(sql))
        .execute(owner)
        .await
        .map(drop)
}

fn failed(name: &str, fault: sqlx::Error) -> Error {
    if is_forbidden(&fault) {
        return Error::new(
            Code::SystemStoreDown,
            format!("the login may not apply the migration `{name}` to the system store"),
        )
        .with_hint("set MIGRATION_DATABASE_URL to the login that owns the database and its schema `public`")
        .with_cause(fault);
    }
    // A table of this name is there already, or it lacks a column.
    if matches!(state(&fault).as_deref(), Some("42P07" | "42703")) {
        let message = format!(
            "the migration `{name}` of the system store failed: {}",
            foreign().message()
        );
        let hint = foreign().hint().unwrap_or_default().to_owned();
        return Error::new(foreign().code(), message)
            .with_hint(hint)
            .with_cause(fault);
    }
    let error = down(fault);
    Error::new(
        error.code(),
        format!("the migration `{name}` of the system store failed"),
    )
    .with_cause(error.cause().unwrap_or_default())
}
