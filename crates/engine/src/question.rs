//! A question on its way in and an answer on its way out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::chart::Chart;
use crate::confidence::Signals;
use crate::error::{Code, Error};
use crate::ports::{ModelIdentity, StoredValue, TokenCounts};
use crate::reading::Reading;
use crate::result::{ResultColumn, Value};
use crate::retrieval::Degradation;
use crate::triage::NoRows;

/// The longest question in characters.
pub const MAX_QUESTION_CHARS: usize = 2_000;

/// What the user typed, in natural language: not empty, at most [`MAX_QUESTION_CHARS`], no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question(String);

impl Question {
    /// Parses a question; line breaks and tabs become spaces.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidQuestion`] if it is empty, too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return Err(Error::new(Code::InvalidQuestion, "the question is empty"));
        }
        let length = text.chars().count();
        if length > MAX_QUESTION_CHARS {
            return Err(Error::new(
                Code::InvalidQuestion,
                format!("the question has {length} characters, {MAX_QUESTION_CHARS} are allowed"),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::new(
                Code::InvalidQuestion,
                "the question holds control characters",
            ));
        }
        Ok(Self(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the data of an answer came from and how old it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// BLAKE3, in hex, over the original and its journals, as read when the copy was made.
    pub fingerprint: String,
    /// When the original was last changed, RFC 3339 in UTC.
    pub data_as_of: String,
    /// When the working copy was made, RFC 3339 in UTC.
    pub copied_at: String,
    /// The original has changed since the copy was made.
    pub original_changed: bool,
}

/// Milliseconds spent in each step; a step that ran twice counts both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    /// Opening the target and cutting the schema to what the actor sees.
    pub schema: f64,
    /// Looking for SQL to reuse, and waiting for who is generating it.
    pub reuse: f64,
    /// Looking up tables, terms, examples and values, and writing the prompt.
    pub prompt: f64,
    /// Waiting for the model.
    pub generate: f64,
    /// The guard.
    pub guard: f64,
    /// The target database.
    pub run: f64,
    /// From the question to the committed outcome.
    pub total: f64,
}

/// What would be needed to show that this answer came about in this way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The question as asked.
    pub question: String,
    /// The SQL that ran.
    pub sql: String,
    /// The fingerprint of the copy it ran on.
    pub copy_fingerprint: String,
    /// The fingerprint of that copy's schema.
    pub schema_fingerprint: String,
    /// The hash of what the actor may name.
    pub visible_schema_hash: String,
    /// The hash that names the model.
    pub model_hash: String,
    /// The hash of the prompt, all of it.
    pub prompt_hash: String,
    /// The number of rows returned.
    pub row_count: u64,
    /// The hash of the rows returned.
    pub result_hash: String,
}

/// Where the SQL of an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A model wrote it, or the actor did.
    #[default]
    Generated,
    /// A verified query whose question this is; no model was asked.
    VerifiedQuery {
        /// Its identifier.
        id: i64,
    },
    /// The SQL of a question asked before; no model was asked.
    SemanticCache {
        /// The question was the same but for case and punctuation; `false` if it was put in other words.
        is_exact: bool,
    },
}

impl Origin {
    /// Returns the origin of SQL that the semantic cache held.
    pub fn cached(is_exact: bool) -> Self {
        Origin::SemanticCache { is_exact }
    }

    /// Says whether no model was asked because the semantic cache held the SQL.
    pub fn is_cached(self) -> bool {
        matches!(self, Origin::SemanticCache { .. })
    }
}

/// A verified query that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsedQuery {
    /// Its identifier.
    pub id: i64,
    /// Its question.
    pub question: String,
}

/// Rows with their evidence.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Answer {
    /// The identifier of the `queries` row.
    pub query_id: i64,
    /// The question as asked.
    pub question: String,
    /// The conversation it was asked in.
    pub conversation_id: Option<i64>,
    /// What a follow-up was taken to ask, made to stand alone; null for a question that stands alone.
    pub understood_as: Option<String>,
    /// The SQL that ran.
    pub sql: String,
    /// The columns of the result.
    pub columns: Vec<ResultColumn>,
    /// The rows of the result.
    pub rows: Vec<Vec<Value>>,
    /// There were more rows than the cap.
    pub truncated: bool,
    /// The result in a sentence whose every number is in the rows.
    pub sentence: String,
    /// A chart of the rows; null where a table is better.
    pub chart: Option<Chart>,
    /// Why no row matches, if none does; null also where that could not be told quickly.
    pub no_rows: Option<NoRows>,
    /// The tables and views that the SQL reads.
    pub tables: Vec<String>,
    /// What the SQL does, in words, with what it takes for granted.
    pub reading: Reading,
    /// How likely the answer is right, from 0 to 1; null where no model wrote its SQL.
    pub confidence: Option<f64>,
    /// What the confidence is made of.
    pub signals: Signals,
    /// What was wrong with the SQL as the model wrote it, and was put right.
    pub corrections: Vec<String>,
    /// What is suspicious about the SQL, in words.
    pub doubts: Vec<String>,
    /// The business terms that the question mentions and the model was told of.
    pub terms: Vec<String>,
    /// Verified queries that the model was shown, or the one that was run.
    pub verified_queries: Vec<UsedQuery>,
    /// Stored values that the question mentions.
    pub values: Vec<StoredValue>,
    /// Where the SQL comes from.
    pub origin: Origin,
    /// What had to be done without.
    pub degraded: Vec<Degradation>,
    /// How many repairs were needed.
    pub repairs: u32,
    /// When the original was last changed, RFC 3339 in UTC.
    pub data_as_of: String,
    /// When the working copy was made, RFC 3339 in UTC.
    pub copied_at: String,
    /// The original has changed since the copy was made.
    pub original_changed: bool,
    /// Which model wrote the SQL.
    pub model: ModelIdentity,
    /// What a remote model was shown of the data's values: `none`, `samples`, `all`; `local` when nothing left.
    pub values_sent: String,
    /// Milliseconds per step.
    pub timings_ms: Timings,
    /// Tokens evaluated, reused and generated.
    pub tokens: TokenCounts,
    /// The receipt, as stored with the query.
    pub receipt: Receipt,
}

/// A decision not to answer: a normal outcome, audited.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The identifier of the `queries` row.
    pub query_id: i64,
    /// Why, with code and hint.
    pub error: Error,
    /// What the last attempt failed with, where `error` only says that no attempt succeeded.
    pub fault: Code,
    /// The SQL that was refused, if there was any.
    pub sql: Option<String>,
    /// Milliseconds per step.
    pub timings_ms: Timings,
    /// Tokens evaluated, reused and generated.
    pub tokens: TokenCounts,
    /// How many repairs were tried.
    pub repairs: u32,
    /// What the question may mean, when Assay asks back; the likeliest first.
    pub choices: Vec<Choice>,
}

/// One way to read a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Choice {
    /// What would be answered, in words.
    pub reading: String,
    /// The SQL of this reading.
    pub sql: String,
}

/// What comes of a question when nothing broke.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Rows and evidence.
    Answered(Box<Answer>),
    /// A reason not to answer.
    Refused(Box<Refusal>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_trimmed_and_bounded() {
        assert_eq!(
            Question::parse("  How\n many? ").map(|q| q.as_str().to_owned()),
            Ok("How many?".to_owned())
        );
        for bad in ["", " \n", "a\0b", &"x".repeat(MAX_QUESTION_CHARS + 1)] {
            let error = Question::parse(bad).err().map(|error| error.code());
            assert_eq!(error, Some(Code::InvalidQuestion), "{bad:?}");
        }
    }
}
