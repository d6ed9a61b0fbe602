use async_trait::async_trait;
use engine::Error;
use engine::audit::AuditEntry;
use engine::feedback::{Feedback, NewFeedback};
use engine::ports::{FeedbackStore, Page, PageRequest};
use rusqlite::{Row, Savepoint};
use serde_json::json;

use super::audit_logs::append_about;
use super::rows::{Conditions, execute, first, insert, page, text_of, time};
use super::{Failed, SqliteStore};

#[async_trait]
impl FeedbackStore for SqliteStore {
    async fn rate(&self, feedback: &NewFeedback, audit: &AuditEntry) -> Result<i64, Error> {
        let (feedback, audit) = (feedback.clone(), audit.clone());
        self.write(move |savepoint| rate(savepoint, &feedback, audit))
            .await
    }

    async fn feedback(
        &self,
        query_id: Option<i64>,
        request: PageRequest,
    ) -> Result<Page<Feedback>, Error> {
        let conditions = Conditions::default().and("query_id = ?N", query_id);
        self.read(move |connection| {
            page(
                connection,
                "SELECT * FROM feedback",
                conditions,
                request,
                read,
                |feedback| feedback.id,
            )
        })
        .await
    }
}

fn rate(
    savepoint: &Savepoint<'_>,
    feedback: &NewFeedback,
    audit: AuditEntry,
) -> Result<i64, Failed> {
    let before = first(
        savepoint,
        "SELECT * FROM feedback WHERE query_id = ?1 AND user_id = ?2",
        (feedback.query_id, feedback.user_id),
        read,
    )?;
    let (rating, at) = (feedback.rating.stars(), text_of(audit.at));
    let Some(before) = before else {
        let id = insert(
            savepoint,
            "INSERT INTO feedback (query_id, user_id, rating, comment, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                feedback.query_id,
                feedback.user_id,
                rating,
                &feedback.comment,
                at,
            ),
        )?;
        append_about(savepoint, id, audit)?;
        return Ok(id);
    };
    execute(
        savepoint,
        "UPDATE feedback SET rating = ?2, comment = ?3, created_at = ?4 WHERE id = ?1",
        (before.id, rating, &feedback.comment, at),
    )?;
    let audit = audit.with_difference(
        &json!({ "rating": before.rating, "comment": before.comment }),
        &json!({ "rating": rating, "comment": feedback.comment }),
    );
    append_about(savepoint, before.id, audit)?;
    Ok(before.id)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Feedback> {
    Ok(Feedback {
        id: row.get("id")?,
        query_id: row.get("query_id")?,
        user_id: row.get("user_id")?,
        rating: row.get("rating")?,
        comment: row.get("comment")?,
        created_at: time(row, "created_at")?,
    })
}
