//! The audit trail: who did what to which thing. Every mutating method of the system store takes an [`AuditEntry`],
//! so an unaudited write does not compile.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::accounts::UserId;

/// One action, about to be recorded in the transaction of the change itself.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Who did it; `None` before anyone is known, as in a failed login.
    pub user_id: Option<UserId>,
    /// What was done: `login`, `query`, `query_finished`, `logout` and so on.
    pub action: &'static str,
    /// What it was done to: `user`, `query`, `session`, `target`.
    pub resource: &'static str,
    /// What changed, as JSON, with secrets left out.
    pub changes: Json,
}

impl AuditEntry {
    /// Makes an entry.
    pub fn new(
        user_id: Option<UserId>,
        action: &'static str,
        resource: &'static str,
        changes: Json,
    ) -> Self {
        Self {
            user_id,
            action,
            resource,
            changes,
        }
    }
}

/// One action as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The identifier; ascending in the order of recording.
    pub id: i64,
    /// Who did it.
    pub user_id: Option<UserId>,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub resource: String,
    /// What changed.
    pub changes: Json,
    /// When, RFC 3339 in UTC.
    pub timestamp: String,
}
