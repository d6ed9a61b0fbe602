//! Forward-only migrations, each applied once, all in one transaction.

use engine::{Code, Error};
use rusqlite::{Connection, TransactionBehavior};

use super::down;

macro_rules! migrations {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../migrations/sqlite/", $name, ".sql"))),)*]
    };
}

const MIGRATIONS: &[(&str, &str)] = migrations! {
    "0001_users"
    "0002_sessions"
    "0003_queries"
    "0004_audit_logs"
    "0005_feedback"
    "0006_policies"
    "0007_ontologies"
    "0008_configurations"
};

/// Returns the names of the migrations that this program knows.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().map(|(name, _)| *name)
}

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
                "INSERT INTO schema_migrations (name, applied_at) VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
                [name],
            )
            .map_err(down)?;
    }
    transaction.commit().map_err(down)
}
