//! What was asked and what came of it, for those who may see it: everyone their own, administrators all.

use serde_json::json;

use crate::accounts::{Actor, UserId};
use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::policy::Role;
use crate::ports::{Page, PageRequest, Ports, QueryFilter, QueryRecord, QueryStatus};

/// The longest text that is searched for, in characters.
const MAX_SEARCH_CHARS: usize = 200;

/// Whose questions are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whose {
    /// The actor's own.
    #[default]
    Own,
    /// Those of one user.
    Of(UserId),
    /// Everyone's.
    Everyones,
}

/// Lists questions, newest first. An administrator's look at others' questions is recorded.
///
/// # Errors
///
/// [`Code::RoleTooLow`] for others' questions, recorded too; [`Code::InvalidRequest`] for a search that is too long.
pub async fn list(
    ports: &Ports,
    actor: &Actor,
    whose: Whose,
    status: Option<QueryStatus>,
    search: Option<String>,
    page: PageRequest,
) -> Result<Page<QueryRecord>, Error> {
    if search
        .as_ref()
        .is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS)
    {
        return Err(Error::new(
            Code::InvalidRequest,
            format!("a search has at most {MAX_SEARCH_CHARS} characters"),
        ));
    }
    let user_id = match whose {
        Whose::Own => Some(actor.user_id),
        Whose::Of(user_id) => Some(user_id),
        Whose::Everyones => None,
    };
    if user_id != Some(actor.user_id) {
        let changes = json!({ "user_id": user_id, "status": status, "search": search });
        if actor.role < Role::Admin {
            let audit = entry(ports, actor, "denied", changes);
            ports.store.record(&audit).await?;
            return Err(Error::new(
                Code::RoleTooLow,
                "seeing others' questions takes the role admin",
            ));
        }
        let audit = entry(ports, actor, "queries_read", changes);
        ports.store.record(&audit).await?;
    }
    let filter = QueryFilter {
        user_id,
        status,
        search,
        ..QueryFilter::default()
    };
    ports.store.queries(&filter, page).await
}

/// Returns a question, one's own or, recorded, another's for administrators.
///
/// # Errors
///
/// [`Code::QueryNotFound`], also for others' questions; then the attempt is recorded.
pub async fn one(ports: &Ports, actor: &Actor, id: i64) -> Result<QueryRecord, Error> {
    let missing = || Error::new(Code::QueryNotFound, format!("there is no query {id}"));
    let query = ports.store.query_record(id).await?.ok_or_else(missing)?;
    if query.user_id != actor.user_id {
        let is_denied = actor.role < Role::Admin;
        let action = if is_denied { "denied" } else { "query_read" };
        let audit = entry(ports, actor, action, json!({})).about(id);
        ports.store.record(&audit).await?;
        if is_denied {
            return Err(missing());
        }
    }
    Ok(query)
}

/// A question that was answered, by whom it was asked.
#[derive(Debug, Clone)]
pub struct AnsweredQuery {
    /// Its identifier.
    pub id: i64,
    /// As it was asked; `None` for SQL of one's own.
    pub question: Option<String>,
    /// The SQL that answered it.
    pub sql: String,
}

/// Returns a question of the actor's own that was answered.
///
/// # Errors
///
/// [`Code::QueryNotFound`] if the actor asked no such question, [`Code::Conflict`] if it has no answer.
pub async fn answered(ports: &Ports, actor: &Actor, id: i64) -> Result<AnsweredQuery, Error> {
    let query = one(ports, actor, id).await?;
    if query.user_id != actor.user_id {
        return Err(Error::new(
            Code::QueryNotFound,
            format!("you have asked no question {id}"),
        ));
    }
    match (query.status, query.sql) {
        (QueryStatus::Success, Some(sql)) => Ok(AnsweredQuery {
            id,
            question: query.question,
            sql,
        }),
        _ => Err(Error::new(
            Code::Conflict,
            format!("query {id} has no answer"),
        )),
    }
}

fn entry(
    ports: &Ports,
    actor: &Actor,
    action: &'static str,
    changes: serde_json::Value,
) -> AuditEntry {
    let now = ports.clock.now();
    AuditEntry::new(now, Some(actor.user_id), action, "query", changes)
}
