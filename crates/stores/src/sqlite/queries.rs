use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::audit::AuditEntry;
use engine::ports::{FinishedQuery, NewQuery, Queries, QueryRecord};
use engine::{Code, Error};
use rusqlite::OptionalExtension;
use serde_json::json;

use super::audit_logs::append;
use super::{SqliteStore, down, now, text_of};

#[async_trait]
impl Queries for SqliteStore {
    async fn begin_query(&self, query: &NewQuery, audit: &AuditEntry) -> Result<i64, Error> {
        let (query, mut audit) = (query.clone(), audit.clone());
        self.write(move |transaction| {
            transaction
                .execute(
                    "INSERT INTO queries (user_id, question, sql, status, instance_id, lease_until, created_at)
                     VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6)",
                    (
                        query.user_id,
                        &query.question,
                        &query.sql,
                        &query.instance_id,
                        text_of(query.lease_until),
                        now(),
                    ),
                )
                .map_err(down)?;
            let id = transaction.last_insert_rowid();
            if let Some(changes) = audit.changes.as_object_mut() {
                changes.insert("query_id".into(), id.into());
            }
            append(transaction, &audit)?;
            Ok(id)
        })
        .await
    }

    async fn finish_query(
        &self,
        id: i64,
        finished: &FinishedQuery,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (finished, audit) = (finished.clone(), audit.clone());
        self.write(move |transaction| {
            let receipt = finished
                .receipt
                .as_ref()
                .map(serde_json::to_string)
                .transpose()
                .map_err(|fault| Error::new(Code::Internal, "the receipt cannot be written").with_cause(fault))?;
            let (error_code, error_message) = finished.error.clone().unzip();
            let at = now();
            let changed = transaction
                .execute(
                    "UPDATE queries SET status = ?2, sql = coalesce(?3, sql), error_code = ?4, error_message = ?5,
                         result_count = ?6, duration_ms = ?7, generator = ?8, target_fingerprint = ?9, receipt = ?10,
                         executed_at = ?11
                     WHERE id = ?1 AND status = 'pending'",
                    (
                        id,
                        if finished.error.is_none() { "success" } else { "error" },
                        &finished.sql,
                        error_code,
                        error_message,
                        finished.result_count.and_then(|count| i64::try_from(count).ok()),
                        i64::try_from(finished.duration_ms).unwrap_or(i64::MAX),
                        &finished.generator,
                        &finished.target_fingerprint,
                        receipt,
                        &at,
                    ),
                )
                .map_err(down)?;
            if changed != 1 {
                return Err(Error::new(
                    Code::Interrupted,
                    format!("the question {id} is no longer pending; its answer is withheld"),
                )
                .with_hint("ask again"));
            }
            transaction
                .execute(
                    "UPDATE users SET last_query_at = ?2 WHERE id = (SELECT user_id FROM queries WHERE id = ?1)",
                    (id, &at),
                )
                .map_err(down)?;
            append(transaction, &audit)
        })
        .await
    }

    async fn query_record(&self, id: i64) -> Result<Option<QueryRecord>, Error> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, user_id, question, sql, status, error_code, result_count, receipt, created_at
                     FROM queries WHERE id = ?1",
                )?
                .query_row([id], |row| {
                    let receipt: Option<String> = row.get(7)?;
                    Ok(QueryRecord {
                        id: row.get(0)?,
                        user_id: row.get(1)?,
                        question: row.get(2)?,
                        sql: row.get(3)?,
                        status: row.get(4)?,
                        error_code: row.get(5)?,
                        result_count: row.get::<_, Option<i64>>(6)?.and_then(|count| u64::try_from(count).ok()),
                        receipt: receipt.and_then(|text| serde_json::from_str(&text).ok()),
                        created_at: row.get(8)?,
                    })
                })
                .optional()
        })
        .await
    }

    async fn sweep_expired(&self, before: DateTime<Utc>) -> Result<u64, Error> {
        self.write(move |transaction| {
            let expired: Vec<(i64, i64)> = transaction
                .prepare(
                    "UPDATE queries SET status = 'error', error_code = 'interrupted',
                         error_message = 'the process that answered it went away', executed_at = ?2
                     WHERE status = 'pending' AND lease_until < ?1 RETURNING id, user_id",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map((text_of(before), now()), |row| {
                            Ok((row.get(0)?, row.get(1)?))
                        })?
                        .collect()
                })
                .map_err(down)?;
            for (query_id, user_id) in &expired {
                let changes = json!({ "query_id": query_id, "error": Code::Interrupted.as_str() });
                append(
                    transaction,
                    &AuditEntry::new(Some(*user_id), "query_failed", "query", changes),
                )?;
            }
            Ok(expired.len() as u64)
        })
        .await
    }
}
