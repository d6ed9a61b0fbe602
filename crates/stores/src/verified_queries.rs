//! What both system stores decide alike about verified queries, within their transactions.

use chrono::{DateTime, TimeDelta, Utc};
use engine::audit::AuditEntry;
use engine::verified_queries::{Review, VerifiedQuery, VerifiedQueryChange, VerifiedStatus};
use engine::{Code, Error};
use serde_json::{Value as Json, json};

/// Returns a proposal as it is after a change.
///
/// Its time of change always grows, so that a review of what was there before cannot be taken for one of this.
pub fn changed(
    before: &VerifiedQuery,
    change: VerifiedQueryChange,
    at: DateTime<Utc>,
) -> Result<VerifiedQuery, Error> {
    expect(before, VerifiedStatus::Proposed)?;
    Ok(VerifiedQuery {
        question: change.question.unwrap_or_else(|| before.question.clone()),
        sql: change.sql.unwrap_or_else(|| before.sql.clone()),
        updated_at: after(before, at),
        ..before.clone()
    })
}

/// Returns a proposal as it is after a review.
pub fn reviewed(
    before: &VerifiedQuery,
    review: Review,
    at: DateTime<Utc>,
) -> Result<VerifiedQuery, Error> {
    if before.proposed_by == Some(review.reviewer) {
        let message = format!("the verified query {} is a proposal of your own", before.id);
        return Err(Error::new(Code::OwnProposal, message)
            .with_hint("another administrator reviews it; you can withdraw it"));
    }
    expect(before, VerifiedStatus::Proposed)?;
    if before.updated_at != review.of {
        let message = format!(
            "the verified query {} was changed since it was looked at",
            before.id
        );
        return Err(Error::new(Code::Conflict, message).with_hint("look at it again"));
    }
    let is_approved = review.status == VerifiedStatus::Approved;
    Ok(VerifiedQuery {
        status: review.status,
        approved_by: is_approved.then_some(review.reviewer),
        review_comment: review.comment,
        // It has just run.
        last_checked_at: is_approved.then_some(at),
        updated_at: after(before, at),
        ..before.clone()
    })
}

/// Returns a query as it is after it went out of use.
pub fn retired(
    before: &VerifiedQuery,
    status: VerifiedStatus,
    at: DateTime<Utc>,
) -> Result<VerifiedQuery, Error> {
    expect(before, status)?;
    Ok(VerifiedQuery {
        status: VerifiedStatus::Rejected,
        updated_at: after(before, at),
        ..before.clone()
    })
}

/// Adds what changed to an entry.
pub fn with_difference(
    audit: AuditEntry,
    before: &VerifiedQuery,
    after: &VerifiedQuery,
) -> AuditEntry {
    audit.with_difference(&content(before), &content(after))
}

fn content(query: &VerifiedQuery) -> Json {
    json!({
        "question": query.question,
        "sql": query.sql,
        "status": query.status,
        "approved_by": query.approved_by,
        "review_comment": query.review_comment,
    })
}

fn expect(query: &VerifiedQuery, status: VerifiedStatus) -> Result<(), Error> {
    if query.status == status {
        return Ok(());
    }
    let (id, found, wanted) = (query.id, query.status.as_str(), status.as_str());
    let message = format!("the verified query {id} is {found}, no longer {wanted}");
    Err(Error::new(Code::Conflict, message))
}

fn after(before: &VerifiedQuery, at: DateTime<Utc>) -> DateTime<Utc> {
    at.max(before.updated_at + TimeDelta::microseconds(1))
}
