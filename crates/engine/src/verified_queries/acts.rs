//! What people do with verified queries. Who may not see a table or column does not see the queries that name it.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::checking::try_out;
use super::{
    MAX_COMMENT_CHARS, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus, checked_sql,
};
use crate::accounts::Actor;
use crate::audit::{AuditEntry, storable};
use crate::error::{Code, Error};
use crate::history;
use crate::ontology::HiddenNames;
use crate::policy::Role;
use crate::ports::{Page, PageRequest, Ports, QueryStatus};
use crate::question::Question;

/// The rating from which the SQL of an answer may be proposed as it is.
const GOOD_RATING: u8 = 4;

/// What someone proposes: a question with SQL, or a question of the history, corrected where something is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// The question.
    pub question: Option<String>,
    /// The SQL.
    pub sql: Option<String>,
    /// The question of the history.
    pub query_id: Option<i64>,
}

/// Records a proposal and returns it. Its SQL must pass the guard under what the proposer may see, and run. SQL that is
/// taken from the history must have been rated 4 or 5 by who asked; a correction of it need not.
///
/// # Errors
///
/// [`Code::InvalidRequest`], [`Code::InvalidQuestion`], [`Code::QueryNotFound`], also for others' questions; whatever
/// guard and target database say of the SQL.
pub async fn propose(
    ports: &Ports,
    actor: &Actor,
    proposal: Proposal,
) -> Result<VerifiedQuery, Error> {
    let new = completed(ports, actor, proposal).await?.checked()?;
    try_out(ports, actor.role, &new.sql).await?;
    let audit = entry(ports, actor, "verified_query_proposed").with(
        "after",
        json!({ "question": new.question, "sql": new.sql, "query_id": new.query_id }),
    );
    let id = ports.store.propose_query(&new, &audit).await?;
    let made = ports.store.verified_query(id).await?;
    made.ok_or_else(|| missing(id))
}

/// Takes from the history what the proposal leaves out.
async fn completed(
    ports: &Ports,
    actor: &Actor,
    proposal: Proposal,
) -> Result<NewVerifiedQuery, Error> {
    let (mut question, mut sql) = (proposal.question, proposal.sql);
    if let Some(query_id) = proposal.query_id {
        let asked = history::one(ports, actor, query_id).await?;
        // "Only Germany" is a question for one conversation, what it was taken to ask is one for all.
        question = question.or(asked.understood_as).or(asked.question);
        if sql.is_none() {
            let is_good = asked.status == QueryStatus::Success
                && asked.rating.is_some_and(|rating| rating >= GOOD_RATING);
            if !is_good {
                let message =
                    format!("the answer of query {query_id} is not rated {GOOD_RATING} or 5");
                return Err(Error::new(Code::InvalidRequest, message)
                    .with_hint("rate it first, or give the SQL that is right"));
            }
            sql = asked.sql;
        }
    }
    let given = |text: Option<String>, name: &str| {
        text.ok_or_else(|| Error::new(Code::InvalidRequest, format!("there is no `{name}`")))
    };
    Ok(NewVerifiedQuery {
        question: given(question, "question")?,
        sql: given(sql, "sql")?,
        query_id: proposal.query_id,
        proposed_by: actor.user_id,
    })
}

/// Lists the verified queries that the actor may see, newest first. A page may hold fewer than it could, because what is
/// hidden is left out of it.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn list(
    ports: &Ports,
    actor: &Actor,
    filter: &VerifiedQueryFilter,
    page: PageRequest,
) -> Result<Page<VerifiedQuery>, Error> {
    let hidden = HiddenNames::from(&ports.asking, actor).await?;
    let mut queries = ports.store.verified_queries(filter, page).await?;
    queries.items.retain(|query| !hidden.are_in(query.texts()));
    Ok(queries)
}

/// Returns a verified query.
///
/// # Errors
///
/// [`Code::NotFound`], also for one that names what is hidden from the actor.
pub async fn one(ports: &Ports, actor: &Actor, id: i64) -> Result<VerifiedQuery, Error> {
    let query = ports.store.verified_query(id).await?;
    let query = query.ok_or_else(|| missing(id))?;
    let hidden = HiddenNames::from(&ports.asking, actor).await?;
    if hidden.are_in(query.texts()) {
        return Err(missing(id));
    }
    Ok(query)
}

/// Changes one's own proposal and returns it as it is now.
///
/// # Errors
///
/// [`Code::NotFound`], also for others' proposals, recorded then; [`Code::Conflict`] once it was reviewed; those of
/// [`propose`].
pub async fn change(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    change: VerifiedQueryChange,
) -> Result<VerifiedQuery, Error> {
    let query = one(ports, actor, id).await?;
    if query.proposed_by != Some(actor.user_id) {
        let refused = Error::new(
            Code::NotFound,
            format!("there is no proposal {id} of yours"),
        );
        return denied(ports, actor, id, refused).await;
    }
    let change = VerifiedQueryChange {
        question: match change.question {
            Some(question) => Some(Question::parse(&question)?.as_str().to_owned()),
            None => None,
        },
        sql: match change.sql {
            Some(sql) => Some(checked_sql(&sql)?),
            None => None,
        },
    };
    if let Some(sql) = &change.sql {
        try_out(ports, actor.role, sql).await?;
    }
    let audit = entry(ports, actor, "verified_query_changed");
    let changed = ports.store.change_proposal(id, &change, &audit).await?;
    changed.ok_or_else(|| missing(id))
}

/// Approves a proposal of someone else's. `seen` is the `updated_at` of what the reviewer looked at.
///
/// # Errors
///
/// [`Code::NotFound`]; [`Code::OwnProposal`], recorded; [`Code::Conflict`] if it was reviewed already or changed since;
/// whatever guard and target database say of its SQL.
pub async fn approve(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    seen: Option<DateTime<Utc>>,
    comment: Option<&str>,
) -> Result<VerifiedQuery, Error> {
    let query = one(ports, actor, id).await?;
    // A proposal that may not be approved need not run.
    if query.status == VerifiedStatus::Proposed && query.proposed_by != Some(actor.user_id) {
        try_out(ports, actor.role, &query.sql).await?;
    }
    let of = seen.unwrap_or(query.updated_at);
    review(ports, actor, id, VerifiedStatus::Approved, of, comment).await
}

/// Rejects a proposal of someone else's; one's own is withdrawn with [`remove`].
///
/// # Errors
///
/// Those of [`approve`], but for the SQL.
pub async fn reject(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    seen: Option<DateTime<Utc>>,
    comment: Option<&str>,
) -> Result<VerifiedQuery, Error> {
    let query = one(ports, actor, id).await?;
    let of = seen.unwrap_or(query.updated_at);
    review(ports, actor, id, VerifiedStatus::Rejected, of, comment).await
}

async fn review(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    status: VerifiedStatus,
    of: DateTime<Utc>,
    comment: Option<&str>,
) -> Result<VerifiedQuery, Error> {
    let comment = comment.map(str::trim).filter(|text| !text.is_empty());
    let chars = comment.map_or(0, |text| text.chars().count());
    if chars > MAX_COMMENT_CHARS {
        let message =
            format!("the comment has {chars} characters, {MAX_COMMENT_CHARS} are allowed");
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let review = Review {
        status,
        reviewer: actor.user_id,
        comment: comment.map(storable),
        of,
    };
    let action = match status {
        VerifiedStatus::Approved => "verified_query_approved",
        _ => "verified_query_rejected",
    };
    let audit = entry(ports, actor, action);
    match ports.store.review_query(id, &review, &audit).await {
        Ok(reviewed) => reviewed.ok_or_else(|| missing(id)),
        Err(refused) if refused.code() == Code::OwnProposal => {
            denied(ports, actor, id, refused).await
        }
        Err(fault) => Err(fault),
    }
}

/// Takes a verified query out of use: one's own proposal is withdrawn, an approved query retired by an administrator.
/// The row stays, as `rejected`.
///
/// # Errors
///
/// [`Code::NotFound`]; [`Code::RoleTooLow`] for others, recorded; [`Code::Conflict`] if it is out of use already or
/// waits for a review.
pub async fn remove(ports: &Ports, actor: &Actor, id: i64) -> Result<(), Error> {
    let query = one(ports, actor, id).await?;
    let is_own = query.proposed_by == Some(actor.user_id);
    let action = match query.status {
        VerifiedStatus::Proposed if is_own => "verified_query_withdrawn",
        VerifiedStatus::Approved if actor.role >= Role::Admin => "verified_query_retired",
        VerifiedStatus::Proposed if actor.role >= Role::Admin => {
            let message = format!("the verified query {id} waits for a review");
            return Err(Error::new(Code::Conflict, message).with_hint("reject it"));
        }
        VerifiedStatus::Rejected => {
            let message = format!("the verified query {id} is out of use already");
            return Err(Error::new(Code::Conflict, message));
        }
        VerifiedStatus::Proposed | VerifiedStatus::Approved => {
            let message = "retiring a verified query takes the role admin";
            let refused = Error::new(Code::RoleTooLow, message);
            return denied(ports, actor, id, refused).await;
        }
    };
    let audit = entry(ports, actor, action);
    if ports.store.retire_query(id, query.status, &audit).await? {
        Ok(())
    } else {
        Err(missing(id))
    }
}

async fn denied<T>(ports: &Ports, actor: &Actor, id: i64, refused: Error) -> Result<T, Error> {
    let code = refused.code().as_str();
    let audit = entry(ports, actor, "denied")
        .with("code", json!(code))
        .about(id);
    ports.store.record(&audit).await?;
    Err(refused)
}

fn entry(ports: &Ports, actor: &Actor, action: &'static str) -> AuditEntry {
    let now = ports.clock.now();
    AuditEntry::new(
        now,
        Some(actor.user_id),
        action,
        "verified_query",
        json!({}),
    )
}

fn missing(id: i64) -> Error {
    Error::new(Code::NotFound, format!("there is no verified query {id}"))
}
