//! Forward-only migrations, each applied once, all in one transaction.

use engine::{Code, Error};
use rusqlite::{Connection, TransactionBehavior};

use super::down;

const MIGRATIONS: &[(&str, &str)] = &[
    (
        "0001_users",
        include_str!("../../migrations/sqlite/0001_users.sql"),
    ),
    (
        "0002_sessions",
        include_str!("../../migrations/sqlite/0002_sessions.sql"),
    ),
    (
        "0003_queries",
        include_str!("../../migrations/sqlite/0003_queries.sql"),
    ),
    (
        "0004_audit_logs",
        include_str!("../../migrations/sqlite/0004_audit_logs.sql"),
    ),
];

/// Applies what is missing. The write lock is held from the look to the commit, so two starts at once apply it once.
pub(super) fn run(connection: &mut Connection) -> Result<(), Error> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(down)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL) STRICT",
        )
        .map_err(down)?;
    let applied: Vec<String> = transaction
        .prepare("SELECT name FROM schema_migrations ORDER BY name")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(down)?;
    if let Some(unknown) = applied
        .iter()
        .find(|name| !MIGRATIONS.iter().any(|(known, _)| known == name))
    {
        return Err(Error::new(
            Code::SystemStoreDown,
            format!(
                "the system store has the migration `{unknown}`, which this program does not know"
            ),
        )
        .with_hint("it was used by a newer version; use that version or another DATA_DIR"));
    }
    for (name, sql) in MIGRATIONS
        .iter()
        .filter(|(name, _)| !applied.iter().any(|done| done == name))
    {
        transaction.execute_batch(sql).map_err(down)?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (name, applied_at) VALUES (?1, ?2)",
                (name, super::now()),
            )
            .map_err(down)?;
    }
    transaction.commit().map_err(down)
}
