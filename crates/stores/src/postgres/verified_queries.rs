use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::audit::AuditEntry;
use engine::ports::{Page, PageRequest, VerifiedQueries};
use engine::verified_queries::{
    CheckedQuery, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus,
};
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{and, and_contains, id, parsed, select, storable, storable_or_none};
use super::transaction::Transaction;
use crate::verified_queries::{changed, retired, reviewed, with_difference};

macro_rules! columns {
    () => {
        "id, question, sql, status, query_id, proposed_by, approved_by, review_comment, last_checked_at, check_error,
         created_at, updated_at"
    };
}

#[async_trait]
impl VerifiedQueries for PostgresStore {
    async fn propose_query(
        &self,
        proposal: &NewVerifiedQuery,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let insert = query(
            "INSERT INTO verified_queries (question, sql, status, query_id, proposed_by, created_at, updated_at)
             VALUES ($1, $2, 'proposed', $3, $4, $5, $5) RETURNING id",
        )
        .bind(storable(&proposal.question))
        .bind(storable(&proposal.sql))
        .bind(proposal.query_id)
        .bind(proposal.proposed_by)
        .bind(audit.at);
        let id = transaction.only(insert, id).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn verified_query(&self, id: i64) -> Result<Option<VerifiedQuery>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM verified_queries WHERE id = $1"
        );
        self.one(query(FIND).bind(id), read).await
    }

    async fn verified_queries(
        &self,
        filter: &VerifiedQueryFilter,
        request: PageRequest,
    ) -> Result<Page<VerifiedQuery>, Error> {
        let mut queries = select(concat!(columns!(), " FROM verified_queries"));
        and(
            &mut queries,
            "status = ",
            filter.status.map(VerifiedStatus::as_str),
        );
        and_contains(&mut queries, &["question", "sql"], filter.search.as_deref());
        self.page(queries, request, read, |query| query.id).await
    }

    async fn approved_queries(&self) -> Result<Vec<VerifiedQuery>, Error> {
        const APPROVED: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM verified_queries WHERE status = 'approved' ORDER BY id"
        );
        self.all(query(APPROVED), read).await
    }

    async fn change_proposal(
        &self,
        id: i64,
        change: &VerifiedQueryChange,
        audit: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error> {
        let change = VerifiedQueryChange {
            question: storable_or_none(&change.question),
            sql: storable_or_none(&change.sql),
        };
        self.update(id, audit, |before, at| changed(before, change, at))
            .await
    }

    async fn review_query(
        &self,
        id: i64,
        review: &Review,
        audit: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error> {
        let review = Review {
            comment: storable_or_none(&review.comment),
            ..review.clone()
        };
        self.update(id, audit, |before, at| reviewed(before, review, at))
            .await
    }

    async fn retire_query(
        &self,
        id: i64,
        status: VerifiedStatus,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let retired = self.update(id, audit, |before, at| retired(before, status, at));
        Ok(retired.await?.is_some())
    }

    async fn note_checks(&self, checks: &[CheckedQuery], audit: &AuditEntry) -> Result<(), Error> {
        const NOTE: &str = "
            UPDATE verified_queries SET last_checked_at = $3, check_error = checked.error
            FROM unnest($1::bigint[], $2::text[]) AS checked (id, error)
            WHERE verified_queries.id = checked.id AND status = 'approved'";
        let ids: Vec<i64> = checks.iter().map(|check| check.id).collect();
        let errors: Vec<Option<String>> = checks
            .iter()
            .map(|check| storable_or_none(&check.error))
            .collect();
        let mut transaction = self.begin().await?;
        let note = query(NOTE).bind(ids).bind(errors).bind(audit.at);
        transaction.execute(note).await?;
        transaction.append(audit).await?;
        transaction.commit().await
    }
}

impl PostgresStore {
    /// Replaces a verified query by what `decide` makes of it. Its row is locked meanwhile, so of two decisions at once
    /// the second sees the first.
    async fn update(
        &self,
        id: i64,
        audit: &AuditEntry,
        decide: impl FnOnce(&VerifiedQuery, DateTime<Utc>) -> Result<VerifiedQuery, Error>,
    ) -> Result<Option<VerifiedQuery>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM verified_queries WHERE id = $1 FOR UPDATE"
        );
        let mut transaction = self.begin().await?;
        let Some(before) = transaction.one(query(FIND).bind(id), read).await? else {
            return Ok(None);
        };
        let after = decide(&before, audit.at)?;
        put(&mut transaction, &after).await?;
        let audit = with_difference(audit.clone(), &before, &after);
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(Some(after))
    }
}

async fn put(transaction: &mut Transaction, verified: &VerifiedQuery) -> Result<(), Error> {
    let put = query(
        "UPDATE verified_queries SET question = $2, sql = $3, status = $4, approved_by = $5, review_comment = $6,
             last_checked_at = $7, updated_at = $8
         WHERE id = $1",
    )
    .bind(verified.id)
    .bind(&verified.question)
    .bind(&verified.sql)
    .bind(verified.status.as_str())
    .bind(verified.approved_by)
    .bind(&verified.review_comment)
    .bind(verified.last_checked_at)
    .bind(verified.updated_at);
    transaction.execute(put).await.map(drop)
}

fn read(row: &PgRow) -> sqlx::Result<VerifiedQuery> {
    Ok(VerifiedQuery {
        id: row.try_get("id")?,
        question: row.try_get("question")?,
        sql: row.try_get("sql")?,
        status: parsed(row, "status", VerifiedStatus::parse)?,
        query_id: row.try_get("query_id")?,
        proposed_by: row.try_get("proposed_by")?,
        approved_by: row.try_get("approved_by")?,
        review_comment: row.try_get("review_comment")?,
        last_checked_at: row.try_get("last_checked_at")?,
        check_error: row.try_get("check_error")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
