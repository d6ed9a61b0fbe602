use async_trait::async_trait;
use engine::Error;
use engine::accounts::UserId;
use engine::audit::AuditEntry;
use engine::conversation::{Conversation, NewConversation, Turn};
use engine::ports::{Conversations, NewQuery, Page, PageRequest};
use rusqlite::{Connection, Row, Savepoint};
use serde_json::json;

use super::audit_logs::append_about;
use super::rows::{Conditions, execute, first, insert, page, text_of, time};
use super::{Failed, SqliteStore};

const SELECT: &str = "SELECT id, user_id, title, created_at, updated_at FROM conversations";

#[async_trait]
impl Conversations for SqliteStore {
    async fn create_conversation(
        &self,
        conversation: &NewConversation,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        let (new, audit) = (conversation.clone(), audit.clone());
        self.write(move |savepoint| {
            let id = insert(
                savepoint,
                "INSERT INTO conversations (user_id, title, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
                (new.user_id, &new.title, text_of(audit.at)),
            )?;
            append_about(savepoint, id, audit)?;
            Ok(id)
        })
        .await
    }

    async fn conversation(&self, id: i64) -> Result<Option<Conversation>, Error> {
        self.read(move |connection| find(connection, id)).await
    }

    async fn conversations(
        &self,
        user_id: UserId,
        request: PageRequest,
    ) -> Result<Page<Conversation>, Error> {
        let conditions =
            Conditions::default().and("deleted_at IS NULL AND user_id = ?N", Some(user_id));
        self.read(move |connection| {
            page(connection, SELECT, conditions, request, read, |one| one.id)
        })
        .await
    }

    async fn rename_conversation(
        &self,
        user_id: UserId,
        id: i64,
        title: &str,
        audit: &AuditEntry,
    ) -> Result<Option<Conversation>, Error> {
        let (title, audit) = (title.to_owned(), audit.clone());
        self.write(move |savepoint| {
            let Some(before) = find(savepoint, id)?.filter(|one| one.user_id == user_id) else {
                return Ok(None);
            };
            execute(
                savepoint,
                "UPDATE conversations SET title = ?2, updated_at = ?3 WHERE id = ?1",
                (id, &title, text_of(audit.at)),
            )?;
            let after = Conversation {
                title: Some(title),
                updated_at: audit.at,
                ..before.clone()
            };
            let audit = audit.with_difference(
                &json!({ "title": before.title }),
                &json!({ "title": after.title }),
            );
            append_about(savepoint, id, audit)?;
            Ok(Some(after))
        })
        .await
    }

    async fn delete_conversation(
        &self,
        user_id: UserId,
        id: i64,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| {
            let Some(before) = find(savepoint, id)?.filter(|one| one.user_id == user_id) else {
                return Ok(false);
            };
            execute(
                savepoint,
                "UPDATE conversations SET deleted_at = ?2 WHERE id = ?1",
                (id, text_of(audit.at)),
            )?;
            let audit = audit.with("before", json!({ "title": before.title }));
            append_about(savepoint, id, audit)?;
            Ok(true)
        })
        .await
    }
}

/// Notes that a question is asked in a conversation and returns the turn answered last.
pub(super) fn join(
    savepoint: &Savepoint<'_>,
    query: &NewQuery,
    id: i64,
    audit: &AuditEntry,
) -> Result<Option<Turn>, Failed> {
    let noted = execute(
        savepoint,
        "UPDATE conversations SET updated_at = ?3, title = coalesce(title, substr(?4, 1, 200))
         WHERE id = ?1 AND user_id = ?2 AND deleted_at IS NULL",
        (id, query.user_id, text_of(audit.at), &query.question),
    )?;
    if noted == 0 {
        return Err(engine::conversation::missing(id).into());
    }
    let previous = first(
        savepoint,
        "SELECT question, understood_as, sql, generator FROM queries
         WHERE conversation_id = ?1 AND status = 'success' AND question IS NOT NULL AND sql IS NOT NULL
         ORDER BY id DESC LIMIT 1",
        [id],
        |row| {
            Ok(Turn {
                question: row.get("question")?,
                understood_as: row.get("understood_as")?,
                sql: row.get("sql")?,
                generator: row.get("generator")?,
            })
        },
    )?;
    Ok(previous)
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Conversation>> {
    let sql = format!("{SELECT} WHERE id = ?1 AND deleted_at IS NULL");
    first(connection, &sql, [id], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Conversation> {
    Ok(Conversation {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        title: row.get("title")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
