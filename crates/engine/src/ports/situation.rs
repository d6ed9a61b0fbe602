//! What a question must know of the system store before it is worked on, in one read.

use async_trait::async_trait;

use crate::error::Error;
use crate::policy::{Role, Visibility};

/// How things stand at this moment. Every question comes to know it as it begins
/// ([`crate::ports::Queries::begin_query`]), so that what is remembered from one to the next is never older than it.
#[async_trait]
pub trait Situations: Send + Sync {
    /// Returns what is hidden from a role, and in which states the tables are that are worth remembering; one round trip.
    async fn situation(&self, role: Role) -> Result<Situation, Error>;
}

/// What [`Situations::situation`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// As [`crate::ports::Policies::visibility`].
    pub visibility: Visibility,
    /// The state of the business terms.
    pub terms: Version,
    /// The state of the verified queries.
    pub verified_queries: Version,
}

/// Names one state of a table. Every change of a row gives the table another version, in the transaction of the change
/// and whoever makes it; a version that was left never comes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// Takes the version as stored.
    pub fn stored(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Returns the version as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
