//! What the engine needs from the world, as traits, and [`Ports`] that carries them. Each has a suite in the crate of
//! its implementations.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{Actor, NewUser, User, UserId};
use crate::audit::{AuditEntry, AuditRecord};
use crate::error::Error;
use crate::guard::GuardedSql;
use crate::prompt::Prompt;
use crate::question::{Provenance, Receipt};
use crate::result::ResultSet;
use crate::schema::Schema;

/// Everything that `ask` needs.
#[derive(Clone)]
pub struct Ports {
    /// Users, sessions, queries and the audit log.
    pub store: Arc<dyn SystemStore>,
    /// The business data.
    pub target: Arc<dyn TargetDatabase>,
    /// The language model.
    pub generator: Arc<dyn Generator>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The time of day.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> DateTime<Utc>;
}

/// Hears what a long operation is doing. Never blocks.
pub trait Progress: Send + Sync {
    /// A question enters this step.
    fn step(&self, step: Step);
}

/// The steps of a question that a person may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reading what the actor may see.
    Understanding,
    /// Waiting for the model.
    Generating,
    /// In the guard.
    Checking,
    /// In the target database.
    Running,
    /// Once more, told of a fault.
    Repairing,
}

/// Hears nothing.
impl Progress for () {
    fn step(&self, _: Step) {}
}

// ---------------------------------------------------------------------------------------------------------------------
// The target database

/// The business data, read-only always.
#[async_trait]
pub trait TargetDatabase: Send + Sync {
    /// Returns the generation in service. It stays readable as long as it is held, whatever is refreshed meanwhile.
    ///
    /// # Errors
    ///
    /// [`crate::Code::TargetDisabled`] without a target, [`crate::Code::TargetDatabaseDown`] if it cannot be opened.
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error>;
}

/// One immutable working copy.
#[async_trait]
pub trait TargetGeneration: Send + Sync {
    /// Returns the schema as read when the copy was made.
    fn schema(&self) -> &Arc<Schema>;

    /// Returns where the data came from and how old it is.
    fn provenance(&self) -> Provenance;

    /// Runs one guarded statement under the visible schema it was guarded under. Dropping the future stops it.
    ///
    /// # Errors
    ///
    /// [`crate::Code::InvalidSql`], [`crate::Code::UnknownTable`] or [`crate::Code::UnknownColumn`] with the
    /// database's message, [`crate::Code::SqlNotReadOnly`], [`crate::Code::TargetQueryTimeout`],
    /// [`crate::Code::ResultTooLarge`], [`crate::Code::SqlTooComplex`].
    async fn query(&self, sql: &GuardedSql, limits: &QueryLimits) -> Result<ResultSet, Error>;
}

/// Bounds on one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Wall-clock time from start to last row.
    pub timeout: Duration,
    /// Rows returned; one more sets `truncated`.
    pub max_rows: usize,
    /// Bytes of all values returned.
    pub max_bytes: usize,
}

impl Default for QueryLimits {
    /// 30 s, 10,000 rows, 64 MiB.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_rows: 10_000,
            max_bytes: 64 << 20,
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The language model

/// Writes text from a prompt.
#[async_trait]
pub trait Generator: Send + Sync {
    /// Returns which model this is.
    fn identity(&self) -> ModelIdentity;

    /// Generates a reply, greedily. Dropping the future stops the work behind it.
    ///
    /// # Errors
    ///
    /// [`crate::Code::GeneratorTimeout`], [`crate::Code::GeneratorFailed`], [`crate::Code::GeneratorBusy`],
    /// [`crate::Code::ModelMissing`].
    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error>;
}

/// Names a model so that two answers can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelIdentity {
    /// The name as a person would say it.
    pub name: String,
    /// The hash of the model file, or of provider and model name for a remote one.
    pub hash: String,
    /// The prompt leaves this machine.
    pub is_remote: bool,
}

/// Bounds on one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationLimits {
    /// Tokens generated at most.
    pub max_tokens: u32,
    /// Wall-clock time, waiting in the queue included.
    pub timeout: Duration,
}

impl Default for GenerationLimits {
    /// 400 tokens, 300 s: the first question about a wide schema reads all of it.
    fn default() -> Self {
        Self {
            max_tokens: 400,
            timeout: Duration::from_secs(300),
        }
    }
}

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The text, untrusted.
    pub text: String,
    /// Tokens evaluated, reused and generated.
    pub tokens: TokenCounts,
    /// The reply ended by itself; `false` when `max_tokens` cut it.
    pub is_complete: bool,
}

/// Tokens of one or several generations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenCounts {
    /// All tokens of the prompt, reused ones included.
    pub prompt: u64,
    /// Tokens of the prompt whose state was kept from before and not evaluated again.
    pub prompt_reused: u64,
    /// Tokens of the stable prefix (instructions and schema) within `prompt`; 0 where the provider does not tell.
    pub prompt_prefix: u64,
    /// Tokens generated.
    pub generated: u64,
}

impl std::ops::AddAssign for TokenCounts {
    fn add_assign(&mut self, other: Self) {
        self.prompt += other.prompt;
        self.prompt_reused += other.prompt_reused;
        self.prompt_prefix += other.prompt_prefix;
        self.generated += other.generated;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The system store

/// Users, sessions, queries and the audit log, behind one handle. Every mutating method commits its change and its
/// audit entry in one transaction.
pub trait SystemStore: Users + Sessions + Queries + AuditLog {}

impl<T: Users + Sessions + Queries + AuditLog> SystemStore for T {}

/// People.
#[async_trait]
pub trait Users: Send + Sync {
    /// Creates the first administrator and returns its identifier, or `None` if an administrator exists.
    async fn create_first_admin(
        &self,
        user: &NewUser,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error>;

    /// Returns the user of this address, compared without regard to case.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error>;

    /// Returns the user of this identifier.
    async fn user(&self, id: UserId) -> Result<Option<User>, Error>;
}

/// Sessions; the system store is their truth.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session known by the hash of its secret and sets the user's `last_login`.
    async fn create_session(&self, session: &NewSession, audit: &AuditEntry) -> Result<(), Error>;

    /// Returns the actor of a live session of an active user.
    async fn session_actor(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error>;

    /// Ends a session; ending one that is over already does nothing but record the attempt.
    async fn end_session(&self, token_hash: &str, audit: &AuditEntry) -> Result<(), Error>;

    /// Records something that changed nothing, such as a failed login.
    async fn record(&self, audit: &AuditEntry) -> Result<(), Error>;
}

/// A session about to be opened.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose.
    pub user_id: UserId,
    /// BLAKE3, in hex, of the session's secret.
    pub token_hash: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Questions and what became of them.
#[async_trait]
pub trait Queries: Send + Sync {
    /// Records a question as `pending` and returns its identifier.
    async fn begin_query(&self, query: &NewQuery, audit: &AuditEntry) -> Result<i64, Error>;

    /// Records the outcome of a pending question, and the time of the user's last question.
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

    /// Returns a question as stored.
    async fn query_record(&self, id: i64) -> Result<Option<QueryRecord>, Error>;

    /// Turns pending questions whose lease ran out before `now` into `error` with `interrupted`; returns how many.
    async fn sweep_expired(&self, now: DateTime<Utc>) -> Result<u64, Error>;
}

/// A question about to be recorded.
#[derive(Debug, Clone)]
pub struct NewQuery {
    /// Who asks.
    pub user_id: UserId,
    /// The question, or `None` when the actor ran SQL of their own.
    pub question: Option<String>,
    /// The SQL, when it is known from the start.
    pub sql: Option<String>,
    /// The process that answers it.
    pub instance_id: String,
    /// When it counts as interrupted.
    pub lease_until: DateTime<Utc>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedQuery {
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
    /// The fingerprint of the copy asked.
    pub target_fingerprint: Option<String>,
    /// The receipt of an answer.
    pub receipt: Option<Receipt>,
}

/// A question as stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryRecord {
    /// The identifier.
    pub id: i64,
    /// Who asked.
    pub user_id: UserId,
    /// The question.
    pub question: Option<String>,
    /// The SQL.
    pub sql: Option<String>,
    /// `pending`, `success` or `error`.
    pub status: String,
    /// The error's code.
    pub error_code: Option<String>,
    /// The rows returned.
    pub result_count: Option<u64>,
    /// The receipt.
    pub receipt: Option<serde_json::Value>,
    /// When it was asked, RFC 3339 in UTC.
    pub created_at: String,
}

/// The audit trail; it can be appended to and read, nothing else.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Returns up to `limit` entries with an identifier above `after`, oldest first.
    async fn audit_entries(&self, after: i64, limit: u32) -> Result<Vec<AuditRecord>, Error>;
}
