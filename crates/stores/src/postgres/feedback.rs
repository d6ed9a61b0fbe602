use async_trait::async_trait;
use engine::Error;
use engine::audit::AuditEntry;
use engine::feedback::{Feedback, NewFeedback};
use engine::ports::{FeedbackStore, Page, PageRequest};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{and, id, select, storable_or_none};

macro_rules! columns {
    () => {
        "id, query_id, user_id, rating, comment, created_at"
    };
}

#[async_trait]
impl FeedbackStore for PostgresStore {
    async fn rate(&self, feedback: &NewFeedback, audit: &AuditEntry) -> Result<i64, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM feedback WHERE query_id = $1 AND user_id = $2 FOR NO KEY UPDATE"
        );
        let (rating, comment) = (feedback.rating.stars(), storable_or_none(&feedback.comment));
        let mut transaction = self.begin().await?;
        let find = query(FIND).bind(feedback.query_id).bind(feedback.user_id);
        let before = transaction.one(find, read).await?;
        // Two first ratings at once are one and its replacement.
        let put = query(
            "INSERT INTO feedback (query_id, user_id, rating, comment, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (query_id, user_id) DO UPDATE SET rating = $3, comment = $4, created_at = $5
             RETURNING id",
        )
        .bind(feedback.query_id)
        .bind(feedback.user_id)
        .bind(i16::from(rating))
        .bind(&comment)
        .bind(audit.at);
        let id = transaction.only(put, id).await?;
        let audit = match before {
            None => audit.clone(),
            Some(before) => audit.clone().with_difference(
                &json!({ "rating": before.rating, "comment": before.comment }),
                &json!({ "rating": rating, "comment": comment }),
            ),
        };
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn feedback(
        &self,
        query_id: Option<i64>,
        request: PageRequest,
    ) -> Result<Page<Feedback>, Error> {
        let mut feedback = select(concat!(columns!(), " FROM feedback"));
        and(&mut feedback, "query_id = ", query_id);
        self.page(feedback, request, read, |feedback| feedback.id)
            .await
    }
}

fn read(row: &PgRow) -> sqlx::Result<Feedback> {
    let rating: i16 = row.try_get("rating")?;
    Ok(Feedback {
        id: row.try_get("id")?,
        query_id: row.try_get("query_id")?,
        user_id: row.try_get("user_id")?,
        rating: u8::try_from(rating).unwrap_or_default(),
        comment: row.try_get("comment")?,
        created_at: row.try_get("created_at")?,
    })
}
