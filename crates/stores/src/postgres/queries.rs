use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::accounts::UserId;
use engine::audit::{AuditEntry, storable};
use engine::conversation::missing;
use engine::ports::{
    Begun, FinishedQuery, NewQuery, Page, PageRequest, Queries, QueryFilter, QueryRecord,
    QueryStatus,
};
use engine::question::Receipt;
use engine::{Code, Error};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Row, query};

use super::PostgresStore;
use super::conversations::read_previous;
use super::rows::{and, and_contains, count, count_of, id, parsed, select, storable_or_none};
use super::situation::{read_situation, roles_from, situation};
use super::transaction::{WRITING, bind_entry};

/// Expired leases that one transaction of a sweep takes.
const SWEPT_AT_ONCE: i64 = 200;

/// A question with the rating by the one who asked.
macro_rules! questions {
    () => {
        "id, user_id, question, conversation_id, understood_as, sql, status, error_code, error_message, result_count, duration_ms, generator, cached,
         target_fingerprint, receipt, created_at, executed_at, (
             SELECT rating FROM feedback WHERE feedback.query_id = queries.id AND feedback.user_id = queries.user_id
         ) AS rating
         FROM queries"
    };
}

#[async_trait]
impl Queries for PostgresStore {
    async fn begin_query(&self, query: &NewQuery, audit: &AuditEntry) -> Result<Begun, Error> {
        // Row and entry go in one statement, which is a transaction of its own, and what the question must know comes
        // back with it: every question passes here. The entry's canonical bytes hold the identifier that the statement
        // draws, so it puts them together itself.
        const BEGIN: &str = concat!(
            "WITH writing AS MATERIALIZED (
                SELECT pg_advisory_xact_lock_shared($1)
            ), joined AS (
                UPDATE conversations SET updated_at = $7, title = coalesce(title, substr($3, 1, 200))
                FROM writing WHERE id = $16 AND user_id = $2 AND deleted_at IS NULL RETURNING id
            ), asked AS (
                INSERT INTO queries (user_id, question, sql, status, instance_id, lease_until, created_at, conversation_id)
                SELECT $2, $3, $4, 'pending', $5, $6, $7, $16 FROM writing
                WHERE $16 IS NULL OR EXISTS (SELECT FROM joined) RETURNING id
            ), entry AS MATERIALIZED (
                SELECT id, coalesce($8, id) AS about,
                    $9::bytea || convert_to(coalesce($8, id)::text, 'UTF8') || $10::bytea AS canonical
                FROM asked
            ), recorded AS (
                INSERT INTO audit_logs (user_id, action, resource, resource_id, changes, timestamp, canonical, hash)
                SELECT $11, $12, $13, about, $14, $7, canonical, sha256(canonical) FROM entry
            )
            SELECT asked.id, previous.*, ",
            situation!("$15"),
            " FROM asked LEFT JOIN LATERAL (
                SELECT question AS previous_question, understood_as AS previous_understood_as, sql AS previous_sql,
                    generator AS previous_generator
                FROM queries
                WHERE conversation_id = $16 AND status = 'success' AND question IS NOT NULL AND sql IS NOT NULL
                ORDER BY queries.id DESC LIMIT 1
            ) AS previous ON true"
        );
        let (before_id, after_id) = audit.canonical_around_id();
        let begin = sqlx::query(BEGIN)
            .bind(WRITING)
            .bind(query.user_id)
            .bind(storable_or_none(&query.question))
            .bind(storable_or_none(&query.sql))
            .bind(storable(&query.instance_id))
            .bind(query.lease_until)
            .bind(audit.at)
            .bind(audit.resource_id)
            .bind(before_id)
            .bind(after_id)
            .bind(audit.user_id)
            .bind(audit.action)
            .bind(audit.resource)
            .bind(Json(&audit.changes))
            .bind(roles_from(query.role))
            .bind(query.conversation_id);
        let begun = |row: &PgRow| {
            Ok(Begun {
                id: id(row)?,
                situation: read_situation(row)?,
                previous: read_previous(row)?,
            })
        };
        match (self.one(begin, begun).await?, query.conversation_id) {
            (Some(begun), _) => Ok(begun),
            (None, Some(id)) => Err(missing(id)),
            (None, None) => Err(Error::new(
                Code::SystemStoreDown,
                "no question was recorded",
            )),
        }
    }

    async fn finish_query(
        &self,
        id: i64,
        finished: &FinishedQuery,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        // A question that is no longer pending leaves no row to update, and so no entry.
        const FINISH: &str = "
            WITH writing AS MATERIALIZED (
                SELECT pg_advisory_xact_lock_shared($9)
            ), finished AS (
                UPDATE queries SET status = $11, sql = coalesce($12, sql), error_code = $13, error_message = $14,
                    result_count = $15, duration_ms = $16, generator = $17, cached = $18, target_fingerprint = $19,
                    receipt = $20, executed_at = $6, understood_as = $21
                FROM writing WHERE id = $10 AND status = 'pending' RETURNING id
            )
            INSERT INTO audit_logs (user_id, action, resource, resource_id, changes, timestamp, canonical, hash)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM finished";
        let mut audit = audit.clone();
        audit.resource_id = audit.resource_id.or(Some(id));
        let status = match finished.error {
            None => QueryStatus::Success,
            Some(_) => QueryStatus::Error,
        };
        let (error_code, error_message) = finished.error.clone().unzip();
        let finish = bind_entry(sqlx::query(FINISH), &audit)
            .bind(WRITING)
            .bind(id)
            .bind(status.as_str())
            .bind(storable_or_none(&finished.sql))
            .bind(error_code)
            .bind(storable_or_none(&error_message))
            .bind(finished.result_count.map(count_of))
            .bind(count_of(finished.duration_ms))
            .bind(storable_or_none(&finished.generator))
            .bind(finished.cached)
            .bind(storable_or_none(&finished.target_fingerprint))
            .bind(finished.receipt.as_ref().map(storable_receipt).map(Json))
            .bind(storable_or_none(&finished.understood_as));
        if self.execute(finish).await? == 1 {
            return Ok(());
        }
        Err(Error::new(
            Code::Interrupted,
            format!("the question {id} is no longer pending; its answer is withheld"),
        )
        .with_hint("ask again"))
    }

    async fn note_last_query(&self, user_id: UserId, at: DateTime<Utc>) -> Result<(), Error> {
        // Who finds the row locked has no time to add: the other one is noting it just now.
        let note = query(
            "UPDATE users SET last_query_at = $2
             WHERE id = (
                 SELECT id FROM users WHERE id = $1 AND (last_query_at IS NULL OR last_query_at <= $3)
                 FOR NO KEY UPDATE SKIP LOCKED
             )",
        )
        .bind(user_id)
        .bind(at)
        .bind(at - TimeDelta::seconds(1));
        self.execute(note).await.map(drop)
    }

    async fn query_record(&self, id: i64) -> Result<Option<QueryRecord>, Error> {
        const FIND: &str = concat!("SELECT ", questions!(), " WHERE id = $1");
        self.one(query(FIND).bind(id), read).await
    }

    async fn queries(
        &self,
        filter: &QueryFilter,
        request: PageRequest,
    ) -> Result<Page<QueryRecord>, Error> {
        let mut queries = select(questions!());
        and(&mut queries, "user_id = ", filter.user_id);
        and(
            &mut queries,
            "status = ",
            filter.status.map(QueryStatus::as_str),
        );
        and(&mut queries, "conversation_id = ", filter.conversation_id);
        and_contains(&mut queries, &["question", "sql"], filter.search.as_deref());
        self.page(queries, request, read, |query| query.id).await
    }

    async fn sweep_expired(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let mut swept = 0;
        loop {
            let some = self.sweep_some(now).await?;
            swept += some;
            if some < SWEPT_AT_ONCE.unsigned_abs() {
                return Ok(swept);
            }
        }
    }
}

impl PostgresStore {
    /// Sweeps [`SWEPT_AT_ONCE`] at most; what another process is sweeping at this moment is left to it.
    async fn sweep_some(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let sweep = query(
            "UPDATE queries SET status = 'error', error_code = 'interrupted',
                 error_message = 'the process that answered it went away', executed_at = $1
             WHERE id IN (
                 SELECT id FROM queries WHERE status = 'pending' AND lease_until < $1
                 ORDER BY lease_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
             )
             RETURNING id, user_id",
        )
        .bind(now)
        .bind(SWEPT_AT_ONCE);
        let expired: Vec<(i64, UserId)> = transaction
            .all(sweep, |row| Ok((id(row)?, row.try_get("user_id")?)))
            .await?;
        for (id, user_id) in &expired {
            let changes = json!({ "error": Code::Interrupted.as_str() });
            let entry = AuditEntry::new(now, Some(*user_id), "query_failed", "query", changes);
            transaction.append(&entry.about(*id)).await?;
        }
        transaction.commit().await?;
        Ok(expired.len() as u64)
    }
}

/// A receipt as JSONB can hold it.
fn storable_receipt(receipt: &Receipt) -> Receipt {
    Receipt {
        question: storable(&receipt.question),
        sql: storable(&receipt.sql),
        ..receipt.clone()
    }
}

fn read(row: &PgRow) -> sqlx::Result<QueryRecord> {
    let rating: Option<i16> = row.try_get("rating")?;
    let receipt: Option<Json<serde_json::Value>> = row.try_get("receipt")?;
    Ok(QueryRecord {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        question: row.try_get("question")?,
        conversation_id: row.try_get("conversation_id")?,
        understood_as: row.try_get("understood_as")?,
        sql: row.try_get("sql")?,
        status: parsed(row, "status", QueryStatus::parse)?,
        error_code: row.try_get("error_code")?,
        error_message: row.try_get("error_message")?,
        result_count: count(row, "result_count")?,
        duration_ms: count(row, "duration_ms")?,
        generator: row.try_get("generator")?,
        cached: row.try_get("cached")?,
        target_fingerprint: row.try_get("target_fingerprint")?,
        receipt: receipt.map(|Json(receipt)| receipt),
        rating: rating.and_then(|rating| u8::try_from(rating).ok()),
        created_at: row.try_get("created_at")?,
        executed_at: row.try_get("executed_at")?,
    })
}
