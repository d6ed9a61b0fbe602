use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::accounts::UserId;
use engine::audit::AuditEntry;
use engine::ports::{
    Begun, FinishedQuery, NewQuery, Page, PageRequest, Queries, QueryFilter, QueryRecord,
    QueryStatus,
};
use engine::{Code, Error};
use rusqlite::{Row, Savepoint};
use serde_json::json;

use super::audit_logs::{append, append_about};
use super::conversations::join;
use super::rows::{
    Conditions, all, execute, first, insert, page, parsed, text_of, time, time_or_none,
};
use super::situation::situation;
use super::{Failed, SqliteStore};

/// A question with the rating by the one who asked.
const SELECT: &str = "SELECT queries.*, (
        SELECT rating FROM feedback WHERE feedback.query_id = queries.id AND feedback.user_id = queries.user_id
    ) AS rating FROM queries";

#[async_trait]
impl Queries for SqliteStore {
    async fn begin_query(&self, query: &NewQuery, audit: &AuditEntry) -> Result<Begun, Error> {
        let (query, audit) = (query.clone(), audit.clone());
        self.write(move |savepoint| {
            let previous = match query.conversation_id {
                Some(id) => join(savepoint, &query, id, &audit)?,
                None => None,
            };
            let id = insert(
                savepoint,
                "INSERT INTO queries (user_id, question, sql, status, instance_id, lease_until, created_at, conversation_id)
                 VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?7)",
                (
                    query.user_id,
                    &query.question,
                    &query.sql,
                    &query.instance_id,
                    text_of(query.lease_until),
                    text_of(audit.at),
                    query.conversation_id,
                ),
            )?;
            append_about(savepoint, id, audit)?;
            Ok(Begun {
                id,
                situation: situation(savepoint, query.role)?,
                previous,
            })
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
        self.write(move |savepoint| finish(savepoint, id, finished, audit))
            .await
    }

    async fn note_last_query(&self, user_id: UserId, at: DateTime<Utc>) -> Result<(), Error> {
        self.write(move |savepoint| {
            execute(
                savepoint,
                "UPDATE users SET last_query_at = ?2 WHERE id = ?1 AND (last_query_at IS NULL OR last_query_at <= ?3)",
                (user_id, text_of(at), text_of(at - TimeDelta::seconds(1))),
            )?;
            Ok(())
        })
        .await
    }

    async fn query_record(&self, id: i64) -> Result<Option<QueryRecord>, Error> {
        self.read(move |connection| {
            first(connection, &format!("{SELECT} WHERE id = ?1"), [id], read)
        })
        .await
    }

    async fn queries(
        &self,
        filter: &QueryFilter,
        request: PageRequest,
    ) -> Result<Page<QueryRecord>, Error> {
        let conditions = Conditions::default()
            .and("user_id = ?N", filter.user_id)
            .and(
                "status = ?N",
                filter.status.map(|status| status.as_str().to_owned()),
            )
            .and("conversation_id = ?N", filter.conversation_id)
            .and_contains(&["question", "sql"], filter.search.as_deref());
        self.read(move |connection| {
            page(connection, SELECT, conditions, request, read, |query| {
                query.id
            })
        })
        .await
    }

    async fn sweep_expired(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        self.write(move |savepoint| {
            let expired: Vec<(i64, UserId)> = all(
                savepoint,
                "UPDATE queries SET status = 'error', error_code = 'interrupted',
                     error_message = 'the process that answered it went away', executed_at = ?1
                 WHERE status = 'pending' AND lease_until < ?1 RETURNING id, user_id",
                [text_of(now)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            for (id, user_id) in &expired {
                let changes = json!({ "error": Code::Interrupted.as_str() });
                let entry = AuditEntry::new(now, Some(*user_id), "query_failed", "query", changes);
                append(savepoint, &entry.about(*id))?;
            }
            Ok(expired.len() as u64)
        })
        .await
    }
}

fn finish(
    savepoint: &Savepoint<'_>,
    id: i64,
    finished: FinishedQuery,
    audit: AuditEntry,
) -> Result<(), Failed> {
    let receipt = finished
        .receipt
        .as_ref()
        .map(serde_json::to_string)
        .transpose()
        .map_err(|fault| {
            Error::new(Code::Internal, "the receipt cannot be written").with_cause(fault)
        })?;
    let status = if finished.error.is_none() {
        QueryStatus::Success
    } else {
        QueryStatus::Error
    };
    let (error_code, error_message) = finished.error.unzip();
    let changed = execute(
        savepoint,
        "UPDATE queries SET status = ?2, sql = coalesce(?3, sql), error_code = ?4, error_message = ?5,
             result_count = ?6, duration_ms = ?7, generator = ?8, cached = ?9, target_fingerprint = ?10, receipt = ?11,
             executed_at = ?12, understood_as = ?13
         WHERE id = ?1 AND status = 'pending'",
        (
            id,
            status.as_str(),
            finished.sql,
            error_code,
            error_message,
            finished.result_count.map(count_of),
            count_of(finished.duration_ms),
            finished.generator,
            finished.cached,
            finished.target_fingerprint,
            receipt,
            text_of(audit.at),
            finished.understood_as,
        ),
    )?;
    if changed != 1 {
        return Err(Error::new(
            Code::Interrupted,
            format!("the question {id} is no longer pending; its answer is withheld"),
        )
        .with_hint("ask again")
        .into());
    }
    append_about(savepoint, id, audit)
}

/// SQLite's integers end where `i64` does; no count of ours gets there.
fn count_of(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> rusqlite::Result<QueryRecord> {
    let count = |column| -> rusqlite::Result<Option<u64>> {
        let count: Option<i64> = row.get(column)?;
        Ok(count.and_then(|count| u64::try_from(count).ok()))
    };
    let receipt: Option<String> = row.get("receipt")?;
    Ok(QueryRecord {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        question: row.get("question")?,
        conversation_id: row.get("conversation_id")?,
        understood_as: row.get("understood_as")?,
        sql: row.get("sql")?,
        status: parsed(row, "status", QueryStatus::parse)?,
        error_code: row.get("error_code")?,
        error_message: row.get("error_message")?,
        result_count: count("result_count")?,
        duration_ms: count("duration_ms")?,
        generator: row.get("generator")?,
        cached: row.get("cached")?,
        target_fingerprint: row.get("target_fingerprint")?,
        receipt: receipt.and_then(|text| serde_json::from_str(&text).ok()),
        rating: row.get("rating")?,
        created_at: time(row, "created_at")?,
        executed_at: time_or_none(row, "executed_at")?,
    })
}
