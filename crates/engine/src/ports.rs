//! What the engine needs from the world, as traits, and [`Ports`] that carries them. Each has a suite in the crate of
//! its implementations.

mod cache;
mod knowledge;
mod situation;
mod store;

pub use crate::backups::Backups;
pub use cache::*;
pub use knowledge::*;
pub use situation::*;
pub use store::*;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{Email, Password};
use crate::decoding::Names;
use crate::error::Error;
use crate::guard::GuardedSql;
use crate::known::Known;
use crate::policy::VisibleSchema;
use crate::prompt::Prompt;
use crate::question::Provenance;
use crate::result::{ResultColumn, ResultSet, Value};
use crate::schema::Schema;

/// The world, as the engine sees it.
#[derive(Clone)]
pub struct Ports {
    /// Users, sessions, queries, the audit log and the rest of the system store.
    pub store: Arc<dyn SystemStore>,
    /// What questions need.
    pub asking: AskPorts,
    /// Hashing of passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Letters to people.
    pub mailer: Arc<dyn Mailer>,
    /// How often something may be tried.
    pub rate_limits: Arc<dyn RateLimits>,
    /// What may be forgotten.
    pub cache: Arc<dyn Cache>,
    /// Work in the background.
    pub jobs: Arc<dyn Jobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Bytes that nobody can guess.
    pub random: Arc<dyn Random>,
}

/// What [`mod@crate::ask`] needs of the world.
#[derive(Clone)]
pub struct AskPorts {
    /// Where questions and their outcomes are recorded, and what is hidden from whom.
    pub store: Arc<dyn QuestionStore>,
    /// The business data.
    pub target: Arc<dyn TargetDatabase>,
    /// The language model.
    pub generator: Arc<dyn Generator>,
    /// SQL that may be reused, and who is generating it.
    pub cache: Arc<dyn Cache>,
    /// Where tables, terms and verified queries are found by meaning.
    pub vectors: Arc<dyn VectorStore>,
    /// What turns words into vectors; `None` without a model for it.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// What is remembered from question to question; a new one knows nothing.
    pub known: Arc<Known>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The time of day.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> DateTime<Utc>;
}

/// Randomness fit for secrets.
pub trait Random: Send + Sync {
    /// Returns 32 bytes that nobody can guess.
    fn bytes(&self) -> [u8; 32];
}

/// Hears what a long operation is doing. Never blocks.
pub trait Progress: Send + Sync {
    /// A question enters this step.
    fn step(&self, step: Step);

    /// The question is recorded under this identifier; before its first step.
    fn begun(&self, _query_id: i64) {}

    /// SQL, as far as the model has written it, goes on like this.
    fn writing(&self, _more: &str) {}

    /// SQL as it is about to run.
    fn sql(&self, _sql: &str) {}
}

/// The steps of a question that a person may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reading what the actor may see.
    Understanding,
    /// Looking up what the question mentions.
    Searching,
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

    /// Returns the fingerprint of the copy.
    fn fingerprint(&self) -> String {
        self.provenance().fingerprint
    }

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

    /// Runs one guarded statement and hands its rows over one by one, holding none. Dropping the future stops it.
    ///
    /// # Errors
    ///
    /// As [`TargetGeneration::query`]; [`crate::Code::Internal`] if `sink` fails.
    async fn each_row(
        &self,
        sql: &GuardedSql,
        limits: &QueryLimits,
        sink: Box<dyn RowSink>,
    ) -> Result<RowsTaken, Error>;

    /// Returns the stored values that a question mentions, at most `limit`, in columns of `visible` only: what is hidden
    /// is neither returned nor counted. Without an index it says so; it never waits for one.
    ///
    /// # Errors
    ///
    /// [`crate::Code::TargetDatabaseDown`] if the index cannot be read.
    async fn find_values(
        &self,
        question: &str,
        visible: &Arc<VisibleSchema>,
        limit: usize,
    ) -> Result<FoundValues, Error>;

    /// Returns how the database would run the statement, without running it. What would be refused is refused here too,
    /// and nothing hidden is named: no index over a hidden column, and no column by which one is searched.
    ///
    /// # Errors
    ///
    /// As [`TargetGeneration::query`], but for the size of the result.
    async fn explain(&self, sql: &GuardedSql, limits: &QueryLimits)
    -> Result<Vec<PlanStep>, Error>;
}

/// Takes the rows of a statement one by one while it runs.
pub trait RowSink: Send {
    /// The statement runs; its columns have these names.
    fn begin(&mut self, columns: &[String]) -> std::io::Result<()>;

    /// The next row, as long as the columns.
    fn row(&mut self, values: &[Value]) -> std::io::Result<()>;

    /// There are no more rows.
    fn end(&mut self) -> std::io::Result<()>;
}

/// What was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowsTaken {
    /// The columns, with types taken from all values.
    pub columns: Vec<ResultColumn>,
    /// How many rows.
    pub rows: u64,
    /// There were more than the cap.
    pub truncated: bool,
}

/// One step of a plan, as the database tells it, with the steps that it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanStep {
    /// The database's words, such as `SEARCH orders USING INDEX orders_by_day (day=?)`.
    pub detail: String,
    /// What is read, by the name that it has in the statement; `None` for a step that reads no table.
    pub source: Option<String>,
    /// Rows are found by an index or a key; `false` also for a step that reads all of a table.
    pub uses_index: bool,
    /// The index by name, where it has one that may be told.
    pub index: Option<String>,
    /// The steps of which this one is made.
    #[schema(no_recursion)]
    pub steps: Vec<PlanStep>,
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

/// Is told a text bit by bit. Never blocks.
pub type Heard<'h> = dyn Fn(&str) + Send + Sync + 'h;

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

    /// Generates as [`Generator::generate`] does, and tells `heard` each bit of the text as it is written; all of it at
    /// once, where a model is only heard at its end. What was told adds up to the text.
    ///
    /// # Errors
    ///
    /// As [`Generator::generate`].
    async fn generate_heard(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        heard: &Heard<'_>,
    ) -> Result<Generation, Error> {
        let generation = self.generate(prompt, limits).await?;
        heard(&generation.text);
        Ok(generation)
    }

    /// Draws several replies to one prompt, and returns each text once, in the order of their first draws. Draws fewer
    /// than asked for if there is no room for more. The token counts of all add up to what was spent. Dropping the
    /// future stops the work behind it.
    ///
    /// A model that cannot draw returns none.
    ///
    /// # Errors
    ///
    /// As [`Generator::generate`].
    async fn sample(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        let _ = (prompt, limits, sampling);
        Ok(Vec::new())
    }
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
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationLimits {
    /// Tokens generated at most.
    pub max_tokens: u32,
    /// Wall-clock time, waiting in the queue included.
    pub timeout: Duration,
    /// What the SQL in the reply may name, for a generator that can be held to it; any other ignores this.
    pub names: Option<Arc<Names>>,
    /// What will be drawn from the same prompt right after, for a generator that can begin with it while it writes; any
    /// other ignores this.
    pub ahead: Option<Ahead>,
}

/// A drawing that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    /// How it will be asked for.
    pub sampling: Sampling,
    /// [`GenerationLimits::max_tokens`] of it.
    pub max_tokens: u32,
}

impl Default for GenerationLimits {
    /// 400 tokens, 300 s: the first question about a wide schema reads all of it.
    fn default() -> Self {
        Self {
            max_tokens: 400,
            timeout: Duration::from_secs(300),
            names: None,
            ahead: None,
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
    /// How likely the model held this text; `None` where the provider does not tell.
    pub likelihood: Option<Likelihood>,
}

/// How likely a model held a text that it wrote: natural logarithms of the probabilities of its tokens, each given the
/// prompt and the tokens before it, at temperature 1 and with no token left out. Never above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// The mean over the tokens generated; the token that ends a reply is not one of them.
    pub mean_logprob: f64,
    /// That of the least likely token.
    pub least_logprob: f64,
}

/// How several replies are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Replies drawn, from 1 to [`Sampling::COUNT_AT_MOST`]; what is outside counts as the nearest within.
    pub count: u32,
    /// 0 draws the likeliest token always, 1 as the model holds them likely, more evens them out.
    pub temperature: f32,
    /// The same seed draws the same replies from the same model in the same state, as far as its provider keeps to that.
    /// The reply drawn as the nth has a generator of its own, begun at the nth number after this.
    pub seed: u64,
}

impl Sampling {
    /// The most replies that are drawn at once.
    pub const COUNT_AT_MOST: u32 = 8;

    /// Returns the replies to draw.
    pub fn count(&self) -> u32 {
        self.count.clamp(1, Self::COUNT_AT_MOST)
    }
}

/// A reply that was drawn, once or more often.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The reply as it was drawn first, with the tokens of all its draws.
    pub generation: Generation,
    /// How often this text was drawn, at least once.
    pub drawn: u32,
}

impl Candidate {
    /// Returns each text once, in the order of their first draws.
    pub fn gather(draws: impl IntoIterator<Item = Generation>) -> Vec<Self> {
        let mut candidates: Vec<Self> = Vec::new();
        for generation in draws {
            let same = |candidate: &&mut Self| candidate.generation.text == generation.text;
            match candidates.iter_mut().find(same) {
                Some(candidate) => {
                    candidate.drawn += 1;
                    candidate.generation.tokens += generation.tokens;
                }
                None => candidates.push(Self {
                    generation,
                    drawn: 1,
                }),
            }
        }
        candidates
    }
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
// People

/// Hashes passwords, off the threads that serve requests and only so many at once.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Returns the hash to store.
    ///
    /// # Errors
    ///
    /// [`crate::Code::RateLimited`] if too many wait already, [`crate::Code::Internal`] if hashing was interrupted.
    async fn hash(&self, password: &Password) -> Result<String, Error>;

    /// Compares what was typed with a stored hash. Without one it does the same work and returns `false`, so that an
    /// unknown user takes as long as a known one. Anything over 72 bytes never matches: bcrypt would cut it.
    ///
    /// # Errors
    ///
    /// [`crate::Code::RateLimited`] if too many wait already, [`crate::Code::Internal`] if hashing was interrupted.
    async fn verify(&self, typed: &str, stored: Option<&str>) -> Result<bool, Error>;

    /// Says whether attackers would come to this password early, who know `owner`: the address and the name of the one
    /// whose password it is to be.
    ///
    /// # Errors
    ///
    /// As [`Passwords::hash`].
    async fn is_guessable(&self, password: &str, owner: &[&str]) -> Result<bool, Error>;
}

/// Sends letters.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a letter over for delivery; with no mail server configured it becomes a file in the outbox.
    ///
    /// # Errors
    ///
    /// [`crate::Code::MailFailed`].
    async fn send(&self, letter: &Letter) -> Result<(), Error>;
}

/// A letter in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// To whom.
    pub to: Email,
    /// The subject.
    pub subject: String,
    /// The text; may hold a secret link, so it is never logged.
    pub text: String,
}

/// How often something may be tried: `burst` at once, then evenly over `per` (a leaky bucket, GCRA).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Tries at once, and within each `per` in the long run; at least 1.
    pub burst: u32,
    /// The time over which the bucket empties.
    pub per: Duration,
}

/// Counts tries. One count for all replicas where the implementation is shared.
///
/// Source: ITU-T I.371, the generic cell rate algorithm as a virtual scheduling algorithm.
#[async_trait]
pub trait RateLimits: Send + Sync {
    /// Takes one try of `key`. Returns `None` if it is allowed, else how long to wait for the next.
    ///
    /// # Errors
    ///
    /// [`crate::Code::CacheDown`] if the count cannot be reached.
    async fn take(
        &self,
        key: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Result<Option<Duration>, Error>;

    /// Forgets the tries of `key`.
    ///
    /// # Errors
    ///
    /// [`crate::Code::CacheDown`] if the count cannot be reached.
    async fn forget(&self, key: &str) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_a_candidate_once_and_its_tokens_add_up() {
        let draw = |text: &str, generated| Generation {
            text: text.into(),
            tokens: TokenCounts {
                generated,
                ..TokenCounts::default()
            },
            is_complete: true,
            likelihood: None,
        };
        let gathered = Candidate::gather([draw("b", 1), draw("a", 2), draw("b", 4)]);
        let read = |candidate: &Candidate| {
            let Candidate { generation, drawn } = candidate;
            (generation.text.clone(), *drawn, generation.tokens.generated)
        };
        let read: Vec<_> = gathered.iter().map(read).collect();
        assert_eq!(read, [("b".into(), 2, 5), ("a".into(), 1, 2)]);
    }
}
