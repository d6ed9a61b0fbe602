//! Work in the background. Each job may be repeated or lost: what must survive is in the system store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What can be done in the background.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Job {
    /// Makes the collections of the vector store anew where what they were made from has changed.
    Index {
        /// Also where nothing has changed.
        #[serde(default)]
        force: bool,
    },
    /// Makes a backup of the system store and deletes those beyond retention.
    Backup,
    /// Deletes what is over: expired sessions, tokens, invitations and password resets.
    Purge,
    /// Deletes what was kept long enough: old generations of the copy, old backups.
    Retention,
    /// Runs every approved verified query again on the copy in service and notes which no longer run.
    Reverify,
}

impl Job {
    /// Returns what a person calls it, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Job::Index { .. } => "index",
            Job::Backup => "backup",
            Job::Purge => "purge",
            Job::Retention => "retention",
            Job::Reverify => "reverify",
        }
    }
}
