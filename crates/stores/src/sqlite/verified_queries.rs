use async_trait::async_trait;
use engine::Error;
use engine::audit::AuditEntry;
use engine::ports::{Page, PageRequest, VerifiedQueries};
use engine::verified_queries::{
    CheckedQuery, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus,
};
use rusqlite::{Connection, Row, Savepoint};

use super::audit_logs::{append, append_about};
use super::rows::{
    Conditions, all, execute, first, insert, page, parsed, text_of, time, time_or_none,
};
use super::{Failed, SqliteStore};
use crate::verified_queries::{changed, retired, reviewed, with_difference};

#[async_trait]
impl VerifiedQueries for SqliteStore {
    async fn propose_query(
        &self,
        proposal: &NewVerifiedQuery,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        let (proposal, audit) = (proposal.clone(), audit.clone());
        self.write(move |savepoint| {
            let id = insert(
                savepoint,
                "INSERT INTO verified_queries (question, sql, status, query_id, proposed_by, created_at, updated_at)
                 VALUES (?1, ?2, 'proposed', ?3, ?4, ?5, ?5)",
                (
                    &proposal.question,
                    &proposal.sql,
                    proposal.query_id,
                    proposal.proposed_by,
                    text_of(audit.at),
                ),
            )?;
            append_about(savepoint, id, audit)?;
            Ok(id)
        })
        .await
    }

    async fn verified_query(&self, id: i64) -> Result<Option<VerifiedQuery>, Error> {
        self.read(move |connection| find(connection, id)).await
    }

    async fn verified_queries(
        &self,
        filter: &VerifiedQueryFilter,
        request: PageRequest,
    ) -> Result<Page<VerifiedQuery>, Error> {
        let conditions = Conditions::default()
            .and(
                "status = ?N",
                filter.status.map(|status| status.as_str().to_owned()),
            )
            .and_contains(&["question", "sql"], filter.search.as_deref());
        self.read(move |connection| {
            page(
                connection,
                "SELECT * FROM verified_queries",
                conditions,
                request,
                read,
                |query| query.id,
            )
        })
        .await
    }

    async fn approved_queries(&self) -> Result<Vec<VerifiedQuery>, Error> {
        self.read(|connection| {
            all(
                connection,
                "SELECT * FROM verified_queries WHERE status = 'approved' ORDER BY id",
                [],
                read,
            )
        })
        .await
    }

    async fn change_proposal(
        &self,
        id: i64,
        change: &VerifiedQueryChange,
        audit: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error> {
        let change = change.clone();
        self.update(id, audit, move |before, at| changed(before, change, at))
            .await
    }

    async fn review_query(
        &self,
        id: i64,
        review: &Review,
        audit: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error> {
        let review = review.clone();
        self.update(id, audit, move |before, at| reviewed(before, review, at))
            .await
    }

    async fn retire_query(
        &self,
        id: i64,
        status: VerifiedStatus,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let retired = self.update(id, audit, move |before, at| retired(before, status, at));
        Ok(retired.await?.is_some())
    }

    async fn note_checks(&self, checks: &[CheckedQuery], audit: &AuditEntry) -> Result<(), Error> {
        let (checks, audit) = (checks.to_vec(), audit.clone());
        self.write(move |savepoint| {
            let at = text_of(audit.at);
            for check in &checks {
                execute(
                    savepoint,
                    "UPDATE verified_queries SET last_checked_at = ?2, check_error = ?3
                     WHERE id = ?1 AND status = 'approved'",
                    (check.id, &at, &check.error),
                )?;
            }
            append(savepoint, &audit)
        })
        .await
    }
}

impl SqliteStore {
    /// Replaces a verified query by what `decide` makes of it.
    async fn update(
        &self,
        id: i64,
        audit: &AuditEntry,
        decide: impl FnOnce(
            &VerifiedQuery,
            chrono::DateTime<chrono::Utc>,
        ) -> Result<VerifiedQuery, Error>
        + Send
        + 'static,
    ) -> Result<Option<VerifiedQuery>, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| {
            let Some(before) = find(savepoint, id)? else {
                return Ok(None);
            };
            let after = decide(&before, audit.at)?;
            put(savepoint, &after)?;
            append_about(savepoint, id, with_difference(audit, &before, &after))?;
            Ok(Some(after))
        })
        .await
    }
}

fn put(savepoint: &Savepoint<'_>, query: &VerifiedQuery) -> Result<(), Failed> {
    execute(
        savepoint,
        "UPDATE verified_queries SET question = ?2, sql = ?3, status = ?4, approved_by = ?5, review_comment = ?6,
             last_checked_at = ?7, updated_at = ?8
         WHERE id = ?1",
        (
            query.id,
            &query.question,
            &query.sql,
            query.status.as_str(),
            query.approved_by,
            &query.review_comment,
            query.last_checked_at.map(text_of),
            text_of(query.updated_at),
        ),
    )?;
    Ok(())
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<VerifiedQuery>> {
    first(
        connection,
        "SELECT * FROM verified_queries WHERE id = ?1",
        [id],
        read,
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<VerifiedQuery> {
    Ok(VerifiedQuery {
        id: row.get("id")?,
        question: row.get("question")?,
        sql: row.get("sql")?,
        status: parsed(row, "status", VerifiedStatus::parse)?,
        query_id: row.get("query_id")?,
        proposed_by: row.get("proposed_by")?,
        approved_by: row.get("approved_by")?,
        review_comment: row.get("review_comment")?,
        last_checked_at: time_or_none(row, "last_checked_at")?,
        check_error: row.get("check_error")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
