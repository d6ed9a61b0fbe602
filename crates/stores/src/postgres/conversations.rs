use async_trait::async_trait;
use engine::Error;
use engine::accounts::UserId;
use engine::audit::AuditEntry;
use engine::conversation::{Conversation, NewConversation, Turn};
use engine::ports::{Conversations, Page, PageRequest};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{and, id, select, storable, storable_or_none};
use super::transaction::Transaction;

macro_rules! conversations {
    () => {
        "id, user_id, title, created_at, updated_at FROM conversations"
    };
}

#[async_trait]
impl Conversations for PostgresStore {
    async fn create_conversation(
        &self,
        conversation: &NewConversation,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let insert = query(
            "INSERT INTO conversations (user_id, title, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING id",
        )
        .bind(conversation.user_id)
        .bind(storable_or_none(&conversation.title))
        .bind(audit.at);
        let id = transaction.only(insert, id).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn conversation(&self, id: i64) -> Result<Option<Conversation>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            conversations!(),
            " WHERE id = $1 AND deleted_at IS NULL"
        );
        self.one(query(FIND).bind(id), read).await
    }

    async fn conversations(
        &self,
        user_id: UserId,
        request: PageRequest,
    ) -> Result<Page<Conversation>, Error> {
        let mut conversations = select(conversations!());
        and(
            &mut conversations,
            "deleted_at IS NULL AND user_id = ",
            Some(user_id),
        );
        self.page(conversations, request, read, |one| one.id).await
    }

    async fn rename_conversation(
        &self,
        user_id: UserId,
        id: i64,
        title: &str,
        audit: &AuditEntry,
    ) -> Result<Option<Conversation>, Error> {
        let mut transaction = self.begin().await?;
        let Some(before) = lock(&mut transaction, user_id, id).await? else {
            return Ok(None);
        };
        let after = Conversation {
            title: Some(storable(title)),
            updated_at: audit.at,
            ..before.clone()
        };
        let rename = query("UPDATE conversations SET title = $2, updated_at = $3 WHERE id = $1")
            .bind(id)
            .bind(&after.title)
            .bind(audit.at);
        transaction.execute(rename).await?;
        let audit = audit.clone().with_difference(
            &json!({ "title": before.title }),
            &json!({ "title": after.title }),
        );
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(Some(after))
    }

    async fn delete_conversation(
        &self,
        user_id: UserId,
        id: i64,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let Some(before) = lock(&mut transaction, user_id, id).await? else {
            return Ok(false);
        };
        let hide = query("UPDATE conversations SET deleted_at = $2 WHERE id = $1")
            .bind(id)
            .bind(audit.at);
        transaction.execute(hide).await?;
        let audit = audit
            .clone()
            .with("before", json!({ "title": before.title }));
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Returns a user's conversation, which nobody else changes until the transaction ends.
async fn lock(
    transaction: &mut Transaction,
    user_id: UserId,
    id: i64,
) -> Result<Option<Conversation>, Error> {
    const LOCK: &str = concat!(
        "SELECT ",
        conversations!(),
        " WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE"
    );
    transaction
        .one(query(LOCK).bind(id).bind(user_id), read)
        .await
}

/// Reads the turn answered last, where there is one.
pub(super) fn read_previous(row: &PgRow) -> sqlx::Result<Option<Turn>> {
    let question: Option<String> = row.try_get("previous_question")?;
    let Some(question) = question else {
        return Ok(None);
    };
    Ok(Some(Turn {
        question,
        understood_as: row.try_get("previous_understood_as")?,
        sql: row.try_get("previous_sql")?,
        generator: row.try_get("previous_generator")?,
    }))
}

fn read(row: &PgRow) -> sqlx::Result<Conversation> {
    Ok(Conversation {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        title: row.try_get("title")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
