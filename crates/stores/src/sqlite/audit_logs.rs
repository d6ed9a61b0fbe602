use async_trait::async_trait;
use engine::Error;
use engine::audit::{AuditEntry, AuditRecord};
use engine::ports::AuditLog;
use rusqlite::Transaction;

use super::{SqliteStore, down, now};

#[async_trait]
impl AuditLog for SqliteStore {
    async fn audit_entries(&self, after: i64, limit: u32) -> Result<Vec<AuditRecord>, Error> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, user_id, action, resource, changes, timestamp FROM audit_logs
                     WHERE id > ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map((after, limit), |row| {
                    let changes: String = row.get(4)?;
                    Ok(AuditRecord {
                        id: row.get(0)?,
                        user_id: row.get(1)?,
                        action: row.get(2)?,
                        resource: row.get(3)?,
                        changes: serde_json::from_str(&changes).unwrap_or(serde_json::Value::Null),
                        timestamp: row.get(5)?,
                    })
                })?
                .collect()
        })
        .await
    }
}

/// Appends an entry inside the transaction of the change that it records.
pub(super) fn append(transaction: &Transaction<'_>, audit: &AuditEntry) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "INSERT INTO audit_logs (user_id, action, resource, changes, timestamp) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut statement| {
            statement.execute((
                audit.user_id,
                audit.action,
                audit.resource,
                audit.changes.to_string(),
                now(),
            ))
        })
        .map(drop)
        .map_err(down)
}
