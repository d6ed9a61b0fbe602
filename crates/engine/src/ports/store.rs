//! The system store. Every mutating method takes an [`AuditEntry`] and commits it in the transaction of its change, so
//! an unaudited write does not compile; [`Queries::note_last_query`] is the one exception and says why.
//!
//! Methods are whole business acts. Where one changes what is there, the store itself adds to the entry the identifier
//! ([`AuditEntry::resource_id`]) and, for an update, the fields that changed as `before` and `after`
//! ([`AuditEntry::with_difference`]), because only it sees both within the transaction. Every row is stamped with the
//! entry's time.
//!
//! All methods fail with [`crate::Code::SystemStoreDown`] when the store cannot be reached or gives no usable reply.

mod conversations;
mod questions;
mod verified_queries;

pub use conversations::Conversations;
pub use questions::*;
pub use verified_queries::VerifiedQueries;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::accounts::{
    Actor, ApiKey, Invitation, NewApiKey, NewInvitation, NewSession, NewUser, Rotated, Rotation,
    User, UserChange, UserFilter, UserId,
};
use crate::audit::{AuditEntry, AuditFilter, AuditRecord, Seal, SealingKey, StoredEntry};
use crate::configuration::{Configuration, NewConfiguration};
use crate::error::Error;
use crate::feedback::{Feedback, NewFeedback};
use crate::jobs::Purged;
use crate::ontology::{BusinessTerm, Imported, NewTerm, TermChange};
use crate::policy::{NewPolicy, Policy, Role, Visibility};
use crate::ports::Situations;

/// Everything in the system store, behind one handle.
pub trait SystemStore:
    QuestionStore
    + Conversations
    + Users
    + Sessions
    + ApiKeys
    + FeedbackStore
    + Configurations
    + AuditLog
{
}

impl<T> SystemStore for T where
    T: QuestionStore
        + Conversations
        + Users
        + Sessions
        + ApiKeys
        + FeedbackStore
        + Configurations
        + AuditLog
{
}

/// The part of the system store that a question touches.
pub trait QuestionStore: Queries + Situations + Policies + Ontologies + VerifiedQueries {}

impl<T: Queries + Situations + Policies + Ontologies + VerifiedQueries> QuestionStore for T {}

/// Which part of a listing is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The `next_cursor` of the page before; `None` for the first page.
    pub cursor: Option<i64>,
    /// Items at most, from 1 to [`PageRequest::MAX_LIMIT`].
    pub limit: u32,
}

impl PageRequest {
    /// The most items in one page.
    pub const MAX_LIMIT: u32 = 500;

    /// The first page of this many items.
    pub fn first(limit: u32) -> Self {
        Self {
            cursor: None,
            limit: limit.clamp(1, Self::MAX_LIMIT),
        }
    }
}

/// Part of a listing, newest first: by descending identifier, so that what is added meanwhile shifts nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; `None` when this one is the last.
    pub next_cursor: Option<i64>,
}

impl<T> Page<T> {
    /// Makes a page of what a store read: one item more than asked for, when there is one.
    ///
    /// The cursor is the identifier of the last item returned; the next page starts below it.
    pub fn of(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> i64) -> Self {
        let limit = limit as usize;
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self {
            next_cursor: items.last().filter(|_| has_more).map(id),
            items,
        }
    }

    /// Changes every item.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// People

/// Users, their invitations and password resets. Users are never deleted: what they did refers to them.
#[async_trait]
pub trait Users: Send + Sync {
    /// Creates the first administrator and returns its identifier, or `None` if an administrator exists. The entry is
    /// the new administrator's own.
    async fn create_first_admin(
        &self,
        user: &NewUser,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error>;

    /// Creates a user. An entry without a user becomes the new user's own (a registration).
    ///
    /// # Errors
    ///
    /// [`crate::Code::EmailTaken`]; addresses compare without regard to case.
    async fn create_user(&self, user: &NewUser, audit: &AuditEntry) -> Result<UserId, Error>;

    /// Returns the user of this address, compared without regard to case.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error>;

    /// Returns the user of this identifier.
    async fn user(&self, id: UserId) -> Result<Option<User>, Error>;

    /// Lists users.
    async fn users(&self, filter: &UserFilter, page: PageRequest) -> Result<Page<User>, Error>;

    /// Changes a user and returns it as it is now; `None` if there is no such user. Deactivation ends all sessions of
    /// the user and revokes all API keys.
    ///
    /// # Errors
    ///
    /// [`crate::Code::LastAdmin`] if no active administrator would be left, also when two are demoted at once.
    async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        audit: &AuditEntry,
    ) -> Result<Option<User>, Error>;

    /// Replaces a user's password hash, ends all sessions but the one of `keep_session` (a token hash) and all open
    /// reset tokens. Returns whether there is such a user.
    async fn set_password(
        &self,
        id: UserId,
        password_hash: &str,
        keep_session: Option<&str>,
        audit: &AuditEntry,
    ) -> Result<bool, Error>;

    /// Records that a password may be reset with a token; earlier unused tokens of the user end.
    async fn begin_password_reset(
        &self,
        id: UserId,
        token_hash: &str,
        expires_at: DateTime<Utc>,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// Says whose live reset token this is, without using it up.
    async fn password_reset_user(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<User>, Error>;

    /// Uses up a reset token: sets the password and ends all sessions. The entry becomes the user's own. Returns the
    /// user, or `None` if the token is unknown, used, expired, or its user inactive; then nothing changes.
    async fn reset_password(
        &self,
        token_hash: &str,
        password_hash: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error>;

    /// Records an invitation and returns its identifier; earlier open ones to the same address end.
    ///
    /// # Errors
    ///
    /// [`crate::Code::EmailTaken`] if a user has the address already.
    async fn create_invitation(
        &self,
        invitation: &NewInvitation,
        audit: &AuditEntry,
    ) -> Result<i64, Error>;

    /// Returns the open invitation of a token.
    async fn invitation(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Invitation>, Error>;

    /// Uses up an invitation: creates its user, with the address and role of the invitation. The entry becomes the new
    /// user's own. `None` if the token is unknown, used, withdrawn or expired.
    ///
    /// # Errors
    ///
    /// [`crate::Code::EmailTaken`].
    async fn accept_invitation(
        &self,
        token_hash: &str,
        password_hash: &str,
        full_name: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error>;

    /// Lists invitations, used and expired ones too.
    async fn invitations(&self, page: PageRequest) -> Result<Page<Invitation>, Error>;

    /// Withdraws an open invitation; `false` if there is none such.
    async fn withdraw_invitation(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error>;
}

/// Sessions; the system store is their truth.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session with its first refresh token and sets the user's `last_login`.
    async fn create_session(&self, session: &NewSession, audit: &AuditEntry) -> Result<(), Error>;

    /// Returns the actor of a live session of an active user: one keyed read.
    async fn session_actor(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error>;

    /// Exchanges a refresh token for the next one of the same session. An entry without a user becomes that of the
    /// session's.
    ///
    /// A token that was used longer than [`Rotation::leeway`] ago was stolen from one of the two who have shown it: the
    /// session ends, and the entry's action becomes `refresh_token_reused`. A token that is unknown or expired, or
    /// whose session is over or user inactive, changes nothing and records nothing.
    async fn rotate_refresh_token(
        &self,
        rotation: &Rotation,
        audit: &AuditEntry,
    ) -> Result<Rotated, Error>;

    /// Ends a session; ending one that is over already does nothing but record the attempt.
    async fn end_session(&self, token_hash: &str, audit: &AuditEntry) -> Result<(), Error>;

    /// Ends all sessions of a user and returns how many were live.
    async fn end_all_sessions(&self, user_id: UserId, audit: &AuditEntry) -> Result<u64, Error>;

    /// Deletes what was over before `before`: sessions with their refresh tokens, refresh tokens of sessions that live,
    /// invitations, password resets. The counts are added to the entry; where nothing was over there is none. What is
    /// live, or was over later, is not touched.
    async fn purge_over(&self, before: DateTime<Utc>, audit: &AuditEntry) -> Result<Purged, Error>;
}

/// Personal keys for programs.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Records a key and returns its identifier.
    async fn create_api_key(&self, key: &NewApiKey, audit: &AuditEntry) -> Result<i64, Error>;

    /// Returns the actor of a live key of an active user, whose role is the lower of the user's and the key's, and
    /// notes that the key was used, at most once a minute.
    async fn api_key_actor(
        &self,
        key_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error>;

    /// Lists a user's keys, revoked and expired ones too.
    async fn api_keys(&self, user_id: UserId, page: PageRequest) -> Result<Page<ApiKey>, Error>;

    /// Revokes a user's key; `false` if the user has no such live key.
    async fn revoke_api_key(
        &self,
        user_id: UserId,
        id: i64,
        audit: &AuditEntry,
    ) -> Result<bool, Error>;
}

/// Ratings.
#[async_trait]
pub trait FeedbackStore: Send + Sync {
    /// Records a rating; a second one by the same user about the same query replaces the first. The caller has checked
    /// that the query is there and may be rated.
    async fn rate(&self, feedback: &NewFeedback, audit: &AuditEntry) -> Result<i64, Error>;

    /// Lists ratings, of one query or of all.
    async fn feedback(
        &self,
        query_id: Option<i64>,
        page: PageRequest,
    ) -> Result<Page<Feedback>, Error>;
}

// ---------------------------------------------------------------------------------------------------------------------
// What administrators keep

/// Which tables and columns each role may see.
#[async_trait]
pub trait Policies: Send + Sync {
    /// Returns what is hidden from a role: what policies hide from it or from any role above it.
    async fn visibility(&self, role: Role) -> Result<Visibility, Error>;

    /// Lists policies.
    async fn policies(&self, page: PageRequest) -> Result<Page<Policy>, Error>;

    /// Records a policy and returns its identifier.
    ///
    /// # Errors
    ///
    /// [`crate::Code::Conflict`] if the same policy exists, names compared without regard to ASCII case.
    async fn create_policy(&self, policy: &NewPolicy, audit: &AuditEntry) -> Result<i64, Error>;

    /// Removes a policy; `false` if there is none such. The entry says what it was, as `before`.
    async fn delete_policy(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error>;
}

/// The business ontology.
#[async_trait]
pub trait Ontologies: Send + Sync {
    /// Records a term and returns its identifier.
    ///
    /// # Errors
    ///
    /// [`crate::Code::NameTaken`]; names compare without regard to case.
    async fn create_term(&self, term: &NewTerm, audit: &AuditEntry) -> Result<i64, Error>;

    /// Returns a term.
    async fn term(&self, id: i64) -> Result<Option<BusinessTerm>, Error>;

    /// Lists terms whose name, description or synonyms contain `search`, without regard to ASCII case.
    async fn terms(
        &self,
        search: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<BusinessTerm>, Error>;

    /// Returns every term, by name; what prompts and exports are made of.
    async fn all_terms(&self) -> Result<Vec<BusinessTerm>, Error>;

    /// Changes a term and returns it as it is now; `None` if there is none such.
    ///
    /// # Errors
    ///
    /// [`crate::Code::NameTaken`].
    async fn change_term(
        &self,
        id: i64,
        change: &TermChange,
        audit: &AuditEntry,
    ) -> Result<Option<BusinessTerm>, Error>;

    /// Removes a term; `false` if there is none such. The entry says what it was, as `before`.
    async fn delete_term(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error>;

    /// Creates the terms that are new and replaces those whose name is there already, in one transaction with one
    /// entry, to which `created`, `changed` and `unchanged` are added.
    async fn import_terms(&self, terms: &[NewTerm], audit: &AuditEntry) -> Result<Imported, Error>;
}

/// Settings that may change at run time. Secret values arrive encrypted; the store never sees them.
#[async_trait]
pub trait Configurations: Send + Sync {
    /// Creates or replaces an entry. The audit entry holds values of entries that are not secret only.
    async fn set_configuration(
        &self,
        configuration: &NewConfiguration,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// Puts `new` in the place of a secret value that is still `old`, the same value under another key; `false` if it is
    /// not, or is no secret any more. Of several at once with one `old`, one succeeds.
    async fn replace_secret(
        &self,
        key: &str,
        old: &str,
        new: &str,
        audit: &AuditEntry,
    ) -> Result<bool, Error>;

    /// Returns an entry.
    async fn configuration(&self, key: &str) -> Result<Option<Configuration>, Error>;

    /// Returns all entries, by key.
    async fn configurations(&self) -> Result<Vec<Configuration>, Error>;

    /// Removes an entry; `false` if there is none such.
    async fn delete_configuration(&self, key: &str, audit: &AuditEntry) -> Result<bool, Error>;
}

// ---------------------------------------------------------------------------------------------------------------------
// The audit trail

/// The audit trail; it can be appended to and read, nothing else.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Records something that changed nothing, such as a failed login.
    async fn record(&self, audit: &AuditEntry) -> Result<(), Error>;

    /// Lists entries.
    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRecord>, Error>;

    /// Returns up to `limit` entries with an identifier above `after`, oldest first, with what was sealed of them.
    async fn stored_entries(&self, after: i64, limit: u32) -> Result<Vec<StoredEntry>, Error>;

    /// Closes what was committed since the last seal into one more block and returns its seal; `None` if nothing was,
    /// or if another process is sealing. At most [`crate::audit::MAX_SEALED_ROWS`] entries go into one block.
    ///
    /// A block ends where it is certain that no entry below its end can still be committed.
    async fn seal(&self, key: &SealingKey, at: DateTime<Utc>) -> Result<Option<Seal>, Error>;

    /// Returns up to `limit` seals with a number above `after`, oldest first.
    async fn seals(&self, after: i64, limit: u32) -> Result<Vec<Seal>, Error>;

    /// Returns the seal of the block that this entry is in; `None` while it is not sealed.
    async fn seal_of(&self, entry_id: i64) -> Result<Option<Seal>, Error>;
}
