//! The part of the system store that keeps verified queries.

use async_trait::async_trait;

use super::{Page, PageRequest};
use crate::audit::AuditEntry;
use crate::error::Error;
use crate::verified_queries::{
    CheckedQuery, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus,
};

/// Questions with SQL that a person approved, or may.
#[async_trait]
pub trait VerifiedQueries: Send + Sync {
    /// Records a proposal and returns its identifier. The caller has checked it.
    async fn propose_query(
        &self,
        proposal: &NewVerifiedQuery,
        audit: &AuditEntry,
    ) -> Result<i64, Error>;

    /// Returns a verified query.
    async fn verified_query(&self, id: i64) -> Result<Option<VerifiedQuery>, Error>;

    /// Lists verified queries.
    async fn verified_queries(
        &self,
        filter: &VerifiedQueryFilter,
        page: PageRequest,
    ) -> Result<Page<VerifiedQuery>, Error>;

    /// Returns every approved query, by ascending identifier; what prompts and indexes are made of.
    async fn approved_queries(&self) -> Result<Vec<VerifiedQuery>, Error>;

    /// Changes a proposal and returns it as it is now; `None` if there is none such. Its `updated_at` always grows, so
    /// that a review can say what it is of.
    ///
    /// # Errors
    ///
    /// [`crate::Code::Conflict`] once it was reviewed.
    async fn change_proposal(
        &self,
        id: i64,
        change: &VerifiedQueryChange,
        audit: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error>;

    /// Decides about a proposal and returns it as it is now; `None` if there is none such.
    ///
    /// # Errors
    ///
    /// [`crate::Code::OwnProposal`] for the reviewer's own; [`crate::Code::Conflict`] if it was reviewed already, also
    /// by another at the same moment, or is not the one that [`Review::of`] says.
    async fn review_query(
        &self,
        id: i64,
        review: &Review,
        audit: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error>;

    /// Takes a query of this status out of use; `false` if there is no such query.
    ///
    /// # Errors
    ///
    /// [`crate::Code::Conflict`] if it is of another status by now.
    async fn retire_query(
        &self,
        id: i64,
        status: VerifiedStatus,
        audit: &AuditEntry,
    ) -> Result<bool, Error>;

    /// Notes at the entry's time which approved queries run and which do not, in one transaction with one entry. Queries
    /// that are no longer approved are passed over. `updated_at` stays.
    async fn note_checks(&self, checks: &[CheckedQuery], audit: &AuditEntry) -> Result<(), Error>;
}
