//! What people say about answers.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::{Actor, UserId};
use crate::audit::{AuditEntry, storable};
use crate::error::{Code, Error};
use crate::history;
use crate::ports::{Page, PageRequest, Ports};
use crate::semantic_cache;

/// The longest comment in characters.
pub const MAX_COMMENT_CHARS: usize = 4_000;

/// The SQL of an answer with at most this rating is not used again.
const MAX_BAD: u8 = 2;

/// From 1, wrong or useless, to 5, right and useful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Rating(u8);

impl Rating {
    /// Parses a rating.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidRequest`] outside 1 to 5.
    pub fn parse(stars: i64) -> Result<Self, Error> {
        u8::try_from(stars)
            .ok()
            .filter(|stars| (1..=5).contains(stars))
            .map(Self)
            .ok_or_else(|| {
                Error::new(
                    Code::InvalidRequest,
                    format!("a rating is from 1 to 5, not {stars}"),
                )
            })
    }

    /// Returns the stars.
    pub fn stars(self) -> u8 {
        self.0
    }
}

/// A rating about to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFeedback {
    /// About which query.
    pub query_id: i64,
    /// By whom.
    pub user_id: UserId,
    /// How good.
    pub rating: Rating,
    /// In words; at most [`MAX_COMMENT_CHARS`].
    pub comment: Option<String>,
}

/// A rating as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Feedback {
    /// The identifier.
    pub id: i64,
    /// About which query.
    pub query_id: i64,
    /// By whom.
    pub user_id: UserId,
    /// From 1 to 5.
    pub rating: u8,
    /// In words.
    pub comment: Option<String>,
    /// When it was given, or last replaced.
    pub created_at: DateTime<Utc>,
}

/// Rates the answer to a question that the actor may see; a second rating replaces the first. Returns the rating's
/// identifier.
///
/// # Errors
///
/// [`Code::QueryNotFound`], also for others' questions; [`Code::InvalidRequest`] for a comment that is too long.
pub async fn rate(
    ports: &Ports,
    actor: &Actor,
    query_id: i64,
    rating: Rating,
    comment: Option<&str>,
) -> Result<i64, Error> {
    let comment = comment.map(str::trim).filter(|comment| !comment.is_empty());
    let chars = comment.map_or(0, |comment| comment.chars().count());
    if chars > MAX_COMMENT_CHARS {
        return Err(Error::new(
            Code::InvalidRequest,
            format!("the comment has {chars} characters, {MAX_COMMENT_CHARS} are allowed"),
        ));
    }
    let query = history::one(ports, actor, query_id).await?;
    let feedback = NewFeedback {
        query_id: query.id,
        user_id: actor.user_id,
        rating,
        comment: comment.map(storable),
    };
    let changes = json!({
        "query_id": query_id,
        "rating": rating,
        "comment": feedback.comment,
    });
    let audit = entry(ports, actor, "feedback", changes);
    let id = ports.store.rate(&feedback, &audit).await?;
    if rating.stars() <= MAX_BAD {
        // The rating stands; what could not be forgotten goes with its time.
        let _ = semantic_cache::reject(&*ports.cache, query.id).await;
    }
    Ok(id)
}

/// Lists what was said about one question that the actor may see, newest first.
///
/// # Errors
///
/// [`Code::QueryNotFound`], also for others' questions.
pub async fn of_query(
    ports: &Ports,
    actor: &Actor,
    query_id: i64,
    page: PageRequest,
) -> Result<Page<Feedback>, Error> {
    let query = history::one(ports, actor, query_id).await?;
    ports.store.feedback(Some(query.id), page).await
}

/// Lists what everyone said, newest first; the look is recorded. For administrators.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn everyones(
    ports: &Ports,
    actor: &Actor,
    page: PageRequest,
) -> Result<Page<Feedback>, Error> {
    let audit = entry(ports, actor, "feedback_read", json!({}));
    ports.store.record(&audit).await?;
    ports.store.feedback(None, page).await
}

fn entry(
    ports: &Ports,
    actor: &Actor,
    action: &'static str,
    changes: serde_json::Value,
) -> AuditEntry {
    let now = ports.clock.now();
    AuditEntry::new(now, Some(actor.user_id), action, "feedback", changes)
}
