//! One business act and its audit entry, committed together.

use std::ops::{Deref, DerefMut};

use engine::Error;
use engine::audit::{AuditEntry, entry_hash};
use sqlx::types::Json;

use super::pool::{Lease, Query};

macro_rules! writing_key {
    () => {
        4707186421085270901
    };
}

/// The advisory lock that every writer of the audit trail shares, from before an identifier is drawn to the commit.
/// Whoever holds it alone knows that no entry below the highest can still be committed.
///
/// It is taken before any row is locked. The one who wants it alone makes later writers wait, and one of those who held
/// a row meanwhile would stand in the way of an earlier one for ever.
pub(super) const WRITING: i64 = writing_key!();

const BEGIN: &str = concat!(
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock_shared(",
    writing_key!(),
    ")"
);

/// Takes [`WRITING`] alone and lets it go at once, which a savepoint makes possible. A writer that holds it for long is
/// not waited for: others would wait behind.
const WAIT_FOR_WRITERS: &str = concat!(
    "SET LOCAL lock_timeout TO '3s'; SAVEPOINT waiting; SELECT pg_advisory_xact_lock(",
    writing_key!(),
    "); ROLLBACK TO SAVEPOINT waiting"
);

/// Waits until every transaction that may have drawn an identifier so far has ended. What statements after this one see
/// below the highest identifier known before is all there will ever be.
pub(super) async fn wait_for_writers(lease: &mut Lease) -> Result<(), Error> {
    lease.script(WAIT_FOR_WRITERS).await
}

/// A transaction that holds [`WRITING`]; dropping it rolls back.
pub(super) struct Transaction(Lease);

impl Transaction {
    pub(super) async fn begin(mut lease: Lease) -> Result<Self, Error> {
        lease.script(BEGIN).await?;
        Ok(Self(lease))
    }

    pub(super) async fn append(&mut self, audit: &AuditEntry) -> Result<(), Error> {
        const APPEND: &str = "
            INSERT INTO audit_logs (user_id, action, resource, resource_id, changes, timestamp, canonical, hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        self.execute(bind_entry(sqlx::query(APPEND), audit))
            .await
            .map(drop)
    }

    /// Appends an entry about the thing of this identifier, unless the entry names another.
    pub(super) async fn append_about(
        &mut self,
        id: i64,
        mut audit: AuditEntry,
    ) -> Result<(), Error> {
        audit.resource_id = audit.resource_id.or(Some(id));
        self.append(&audit).await
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.script("COMMIT").await?;
        self.0.give_back();
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Lease {
        &mut self.0
    }
}

/// Binds an entry as eight parameters: user_id, action, resource, resource_id, changes, timestamp, canonical, hash.
pub(super) fn bind_entry<'q>(query: Query<'q>, audit: &AuditEntry) -> Query<'q> {
    let canonical = audit.canonical();
    let hash = entry_hash(&canonical);
    query
        .bind(audit.user_id)
        .bind(audit.action)
        .bind(audit.resource)
        .bind(audit.resource_id)
        .bind(Json(&audit.changes))
        .bind(audit.at)
        .bind(canonical)
        .bind(hash)
}
