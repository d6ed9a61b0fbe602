//! Verified queries: questions with SQL that a person approved. They are examples for the model, and an exact repeat of
//! one is answered from it without the model.
//!
//! Nobody approves a proposal of their own. A verified query serves a person only if its SQL passes the guard under what
//! that person may see.

mod acts;
mod checking;

pub use acts::{Proposal, approve, change, list, one, propose, reject, remove};
pub use checking::{Reverified, ReverifyWork, verify_all};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::UserId;
use crate::error::{Code, Error};
use crate::guard::{GuardedSql, guard};
use crate::policy::VisibleSchema;
use crate::prompt::GeneratedSql;
use crate::question::Question;
use crate::semantic_cache::normalised;

/// The longest SQL in characters.
pub const MAX_SQL_CHARS: usize = 20_000;
/// The longest comment of a review in characters.
pub const MAX_COMMENT_CHARS: usize = 2_000;

/// What has become of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifiedStatus {
    /// Waits for a review.
    Proposed,
    /// In use.
    Approved,
    /// Never used, or no longer: rejected, withdrawn or retired.
    Rejected,
}

impl VerifiedStatus {
    /// Returns the status as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            VerifiedStatus::Proposed => "proposed",
            VerifiedStatus::Approved => "approved",
            VerifiedStatus::Rejected => "rejected",
        }
    }

    /// Returns the status of this stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            VerifiedStatus::Proposed,
            VerifiedStatus::Approved,
            VerifiedStatus::Rejected,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// A question with its SQL about to be proposed. Parsed by [`NewVerifiedQuery::checked`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVerifiedQuery {
    /// The question.
    pub question: String,
    /// The SQL that answers it, as written by a person or a model.
    pub sql: String,
    /// The question of the history that it comes from.
    pub query_id: Option<i64>,
    /// Who proposes it.
    pub proposed_by: UserId,
}

impl NewVerifiedQuery {
    /// Returns the proposal with the question on one line and the SQL trimmed.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidQuestion`], [`Code::InvalidRequest`] if the SQL is empty, too long or holds NUL characters.
    pub fn checked(self) -> Result<Self, Error> {
        Ok(Self {
            question: Question::parse(&self.question)?.as_str().to_owned(),
            sql: checked_sql(&self.sql)?,
            ..self
        })
    }
}

fn checked_sql(sql: &str) -> Result<String, Error> {
    let sql = sql.trim();
    let chars = sql.chars().count();
    if sql.is_empty() || chars > MAX_SQL_CHARS || sql.contains('\0') {
        let message = format!("`sql` has 1 to {MAX_SQL_CHARS} characters, none of them NUL");
        return Err(Error::new(Code::InvalidRequest, message));
    }
    Ok(sql.to_owned())
}

/// What to change of a proposal; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifiedQueryChange {
    /// The question.
    pub question: Option<String>,
    /// The SQL.
    pub sql: Option<String>,
}

/// A decision about a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// [`VerifiedStatus::Approved`] or [`VerifiedStatus::Rejected`].
    pub status: VerifiedStatus,
    /// Who decides.
    pub reviewer: UserId,
    /// Why.
    pub comment: Option<String>,
    /// When the proposal that was looked at was last changed; another one was not looked at.
    pub of: DateTime<Utc>,
}

/// Which verified queries are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifiedQueryFilter {
    /// Of this status.
    pub status: Option<VerifiedStatus>,
    /// Whose question or SQL contains this text, without regard to ASCII case. `%` and `_` stand for themselves.
    pub search: Option<String>,
}

/// What came of running an approved query again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedQuery {
    /// Which.
    pub id: i64,
    /// Why it no longer runs; `None` if it does.
    pub error: Option<String>,
}

/// A verified query as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifiedQuery {
    /// The identifier.
    pub id: i64,
    /// The question.
    pub question: String,
    /// The SQL that answers it.
    pub sql: String,
    /// What has become of it.
    pub status: VerifiedStatus,
    /// The question of the history that it comes from.
    pub query_id: Option<i64>,
    /// Who proposed it.
    pub proposed_by: Option<UserId>,
    /// Who approved it; it stays when the query is retired.
    pub approved_by: Option<UserId>,
    /// What the reviewer said.
    pub review_comment: Option<String>,
    /// When it last ran on the copy in service to see whether it still does.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// Why it no longer runs; null while it does.
    pub check_error: Option<String>,
    /// When it was proposed.
    pub created_at: DateTime<Utc>,
    /// When question, SQL or status last changed.
    pub updated_at: DateTime<Utc>,
}

impl VerifiedQuery {
    /// Returns every text of it that a reader may see.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.question, &self.sql]
            .into_iter()
            .chain(&self.review_comment)
            .chain(&self.check_error)
            .map(String::as_str)
    }

    /// Returns what would run for someone who sees `visible`; `None` if it is not approved, no longer runs or reads what
    /// they may not see.
    pub fn serving(&self, visible: &Arc<VisibleSchema>) -> Option<GuardedSql> {
        if self.status != VerifiedStatus::Approved || self.check_error.is_some() {
            return None;
        }
        guard(&GeneratedSql::new(self.sql.clone()), visible).ok()
    }
}

/// Returns the approved query whose question is this one but for case, white space and the sign at its end, and which
/// serves someone who sees `visible`, with what would run for them. Of several the one approved last wins.
pub fn exact_match<'q>(
    question: &str,
    approved: &'q [VerifiedQuery],
    visible: &Arc<VisibleSchema>,
) -> Option<(&'q VerifiedQuery, GuardedSql)> {
    let asked = normalised(question);
    let mut same: Vec<&VerifiedQuery> = approved
        .iter()
        .filter(|query| normalised(&query.question) == asked)
        .collect();
    same.sort_by_key(|query| std::cmp::Reverse((query.updated_at, query.id)));
    same.into_iter()
        .find_map(|query| Some((query, query.serving(visible)?)))
}

#[cfg(test)]
mod tests;
