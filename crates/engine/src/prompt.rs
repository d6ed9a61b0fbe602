//! The exact text sent to a generator, and the reading of its reply.

use serde::{Deserialize, Serialize};

/// A prompt in three parts. `system` and `schema` are the stable prefix: the same for every question of one visible
/// schema, so that a generator can keep its state. Only `tail` depends on the question.
///
/// All three are content, never markup: a generator must not let any text in them act as a control token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The instructions.
    pub system: String,
    /// The schema; the beginning of the user's turn.
    pub schema: String,
    /// The question and all that depends on it; the rest of the user's turn.
    pub tail: String,
}

impl Prompt {
    /// Returns the BLAKE3 hash, in hex, of the three parts with their lengths.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.system, &self.schema, &self.tail] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// SQL as a model or a person wrote it: untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedSql(String);

impl GeneratedSql {
    /// Takes text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
