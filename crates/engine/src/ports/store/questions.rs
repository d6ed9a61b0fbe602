//! Questions and what became of them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Page, PageRequest};
use crate::accounts::UserId;
use crate::audit::AuditEntry;
use crate::conversation::Turn;
use crate::error::Error;
use crate::policy::Role;
use crate::ports::Situation;
use crate::question::Receipt;

/// Questions and what became of them.
#[async_trait]
pub trait Queries: Send + Sync {
    /// Records a question as `pending`; an entry that names nothing yet becomes one about it. Returns its identifier and
    /// the situation that it begins in, as [`crate::ports::Situations::situation`] would, in the same round trip.
    ///
    /// In a conversation it also notes the time there, gives a conversation without a title its own beginning as one, and
    /// returns the turn that was answered last: of those that succeeded by now, the one asked last.
    ///
    /// # Errors
    ///
    /// [`crate::Code::ConversationNotFound`] if the user has no such conversation; then nothing is recorded.
    async fn begin_query(&self, query: &NewQuery, audit: &AuditEntry) -> Result<Begun, Error>;

    /// Records the outcome of a pending question.
    ///
    /// # Errors
    ///
    /// [`crate::Code::Interrupted`] if the question is no longer pending: its answer must be withheld.
    async fn finish_query(
        &self,
        id: i64,
        finished: &FinishedQuery,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// Sets the time of the user's last question, at most once a second for each user.
    ///
    /// It stands outside the outcome's transaction because a row that every question of a user changes would make them
    /// wait for each other, and it takes no entry because the question's own says the same.
    async fn note_last_query(&self, user_id: UserId, at: DateTime<Utc>) -> Result<(), Error>;

    /// Returns a question as stored.
    async fn query_record(&self, id: i64) -> Result<Option<QueryRecord>, Error>;

    /// Lists questions.
    async fn queries(
        &self,
        filter: &QueryFilter,
        page: PageRequest,
    ) -> Result<Page<QueryRecord>, Error>;

    /// Turns pending questions whose lease ran out before `now` into `error` with `interrupted`, each with an audit
    /// entry of action `query_failed`; returns how many.
    async fn sweep_expired(&self, now: DateTime<Utc>) -> Result<u64, Error>;
}

/// A question about to be recorded.
#[derive(Debug, Clone)]
pub struct NewQuery {
    /// Who asks.
    pub user_id: UserId,
    /// In which role; it decides what is hidden.
    pub role: Role,
    /// The question, or `None` when the actor ran SQL of their own.
    pub question: Option<String>,
    /// The SQL, when it is known from the start.
    pub sql: Option<String>,
    /// The conversation it is asked in.
    pub conversation_id: Option<i64>,
    /// The process that answers it.
    pub instance_id: String,
    /// When it counts as interrupted.
    pub lease_until: DateTime<Utc>,
}

/// A question that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The identifier.
    pub id: i64,
    /// How things stood when it began.
    pub situation: Situation,
    /// The turn of the conversation that was answered last.
    pub previous: Option<Turn>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedQuery {
    /// What a follow-up was taken to ask, made to stand alone.
    pub understood_as: Option<String>,
    /// The SQL that ran or was refused.
    pub sql: Option<String>,
    /// The error's code and message; `None` for success.
    pub error: Option<(String, String)>,
    /// The rows returned.
    pub result_count: Option<u64>,
    /// From the question to the outcome.
    pub duration_ms: u64,
    /// The model's name.
    pub generator: Option<String>,
    /// The SQL came from the semantic cache.
    pub cached: bool,
    /// The fingerprint of the copy asked.
    pub target_fingerprint: Option<String>,
    /// The receipt of an answer.
    pub receipt: Option<Receipt>,
}

/// What a question has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryStatus {
    /// Being answered.
    Pending,
    /// Answered.
    Success,
    /// Refused, failed or interrupted.
    Error,
}

impl QueryStatus {
    /// Returns the status as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            QueryStatus::Pending => "pending",
            QueryStatus::Success => "success",
            QueryStatus::Error => "error",
        }
    }

    /// Returns the status of this stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            QueryStatus::Pending,
            QueryStatus::Success,
            QueryStatus::Error,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// Which questions are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryFilter {
    /// Asked by this user.
    pub user_id: Option<UserId>,
    /// Of this status.
    pub status: Option<QueryStatus>,
    /// Asked in this conversation.
    pub conversation_id: Option<i64>,
    /// Whose question or SQL contains this text, without regard to ASCII case. `%` and `_` stand for themselves.
    pub search: Option<String>,
}

/// A question as stored.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QueryRecord {
    /// The identifier.
    pub id: i64,
    /// Who asked.
    pub user_id: UserId,
    /// The question; null when SQL was run as given.
    pub question: Option<String>,
    /// The conversation it was asked in.
    pub conversation_id: Option<i64>,
    /// What a follow-up was taken to ask, made to stand alone; null for questions that stand alone.
    pub understood_as: Option<String>,
    /// The SQL.
    pub sql: Option<String>,
    /// What it has come to.
    pub status: QueryStatus,
    /// The error's code.
    pub error_code: Option<String>,
    /// The error's message.
    pub error_message: Option<String>,
    /// The rows returned.
    pub result_count: Option<u64>,
    /// From the question to the outcome.
    pub duration_ms: Option<u64>,
    /// The model's name.
    pub generator: Option<String>,
    /// The SQL came from the semantic cache.
    pub cached: bool,
    /// The fingerprint of the copy asked.
    pub target_fingerprint: Option<String>,
    /// The receipt.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<serde_json::Value>,
    /// The rating by the one who asked, from 1 to 5.
    pub rating: Option<u8>,
    /// When it was asked.
    pub created_at: DateTime<Utc>,
    /// When it came to its outcome.
    pub executed_at: Option<DateTime<Utc>>,
}
