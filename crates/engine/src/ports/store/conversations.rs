//! The part of the system store that keeps conversations. Questions join one in
//! [`crate::ports::Queries::begin_query`].

use async_trait::async_trait;

use super::{Page, PageRequest};
use crate::accounts::UserId;
use crate::audit::AuditEntry;
use crate::conversation::{Conversation, NewConversation};
use crate::error::Error;

/// Conversations. A deleted one is hidden from every method here; its questions stay in the history.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// Records a conversation and returns its identifier.
    async fn create_conversation(
        &self,
        conversation: &NewConversation,
        audit: &AuditEntry,
    ) -> Result<i64, Error>;

    /// Returns a conversation, whoever's it is.
    async fn conversation(&self, id: i64) -> Result<Option<Conversation>, Error>;

    /// Lists a user's conversations.
    async fn conversations(
        &self,
        user_id: UserId,
        page: PageRequest,
    ) -> Result<Page<Conversation>, Error>;

    /// Gives a user's conversation another title and returns it as it is now; `None` if the user has none such.
    async fn rename_conversation(
        &self,
        user_id: UserId,
        id: i64,
        title: &str,
        audit: &AuditEntry,
    ) -> Result<Option<Conversation>, Error>;

    /// Hides a user's conversation for good; `false` if the user has none such. The entry says its title, as `before`.
    async fn delete_conversation(
        &self,
        user_id: UserId,
        id: i64,
        audit: &AuditEntry,
    ) -> Result<bool, Error>;
}
