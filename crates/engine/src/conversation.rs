//! Conversations, so that a follow-up question is understood from the one before: "only Germany", "and by month?".
//!
//! A question that [`leans`] on the one before is made to stand alone, by a text that says both. That text is what the
//! semantic cache, verified queries and linking know of it, so the same words after two different questions share
//! nothing. A question that does not lean is asked as if the conversation were empty.

mod leaning;

pub use leaning::leans;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

use crate::accounts::{Actor, UserId};
use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::guard::guard;
use crate::policy::VisibleSchema;
use crate::ports::{Page, PageRequest, Ports, QueryFilter, QueryRecord};
use crate::prompt::GeneratedSql;
use crate::question::{MAX_QUESTION_CHARS, Question};

/// The longest title in characters.
pub const MAX_TITLE_CHARS: usize = 200;
/// Stands between the questions of which one that stands alone is made.
const LINK: &str = " \u{2192} ";

/// A conversation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conversation {
    /// The identifier.
    pub id: i64,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is called: the first question in it, unless it was named. Null before either.
    pub title: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When a question was last asked in it, or it was named.
    pub updated_at: DateTime<Utc>,
}

/// A conversation about to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversation {
    /// Whose it is.
    pub user_id: UserId,
    /// What it is called.
    pub title: Option<String>,
}

/// A turn of a conversation that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The question as asked.
    pub question: String,
    /// What it was taken to ask, if it was a follow-up itself.
    pub understood_as: Option<String>,
    /// The SQL that answered it.
    pub sql: String,
    /// The model that wrote the SQL; `None` if none was asked.
    pub generator: Option<String>,
}

impl Turn {
    /// Returns the question as it stands alone. Only a follow-up's has links in it.
    fn stand_alone(&self) -> String {
        match &self.understood_as {
            Some(text) => text.clone(),
            None => without_links(&self.question),
        }
    }
}

/// A question that leans on the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// The question as asked.
    pub asked: Question,
    /// The question that says what this one means without the one before.
    pub stand_alone: Question,
    /// The question before, as it stands alone.
    pub previous: String,
    /// Its SQL; `None` if the actor may no longer see what it names.
    pub sql: Option<String>,
}

/// Returns the question as a follow-up of the turn before, or `None` if it stands alone.
///
/// The SQL of the turn before was guarded when it ran, perhaps for another role or policy: it is guarded again.
pub fn follow_up(
    previous: &Turn,
    question: &Question,
    visible: &Arc<VisibleSchema>,
) -> Option<FollowUp> {
    if !leans(question.as_str(), visible) {
        return None;
    }
    let before = previous.stand_alone();
    let stand_alone = stand_alone(&before, question.as_str())?;
    let sql = GeneratedSql::new(previous.sql.as_str());
    Some(FollowUp {
        asked: question.clone(),
        stand_alone,
        previous: before,
        sql: guard(&sql, visible).is_ok().then(|| previous.sql.clone()),
    })
}

/// Makes a question stand alone: the one before, a link, the question. Different pairs never give the same text: a link
/// that was typed is doubled, and where the text would be too long, a hash stands for what it begins with.
///
/// `None` where even that is too long.
fn stand_alone(before: &str, question: &str) -> Option<Question> {
    let question = without_links(question);
    let whole = format!("{before}{LINK}{question}");
    if whole.chars().count() <= MAX_QUESTION_CHARS {
        return Question::parse(&whole).ok();
    }
    let hash = blake3::hash(before.as_bytes()).to_hex();
    Question::parse(&format!("[{}]{LINK}{question}", &hash[..32])).ok()
}

fn without_links(text: &str) -> String {
    let link = LINK.trim();
    text.replace(link, &link.repeat(2))
}

// ---------------------------------------------------------------------------------------------------------------------
// Everyone's own

/// Begins a conversation.
///
/// # Errors
///
/// [`Code::InvalidRequest`] for a title that is empty, too long or holds control characters.
pub async fn create(
    ports: &Ports,
    actor: &Actor,
    title: Option<&str>,
) -> Result<Conversation, Error> {
    let title = title.map(parse_title).transpose()?;
    let audit = entry(ports, actor, "conversation_created").with("title", json!(title));
    let new = NewConversation {
        user_id: actor.user_id,
        title,
    };
    let id = ports.store.create_conversation(&new, &audit).await?;
    Ok(Conversation {
        id,
        user_id: new.user_id,
        title: new.title,
        created_at: audit.at,
        updated_at: audit.at,
    })
}

/// Lists one's own conversations, newest first.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn list(
    ports: &Ports,
    actor: &Actor,
    page: PageRequest,
) -> Result<Page<Conversation>, Error> {
    ports.store.conversations(actor.user_id, page).await
}

/// Returns one of one's own conversations.
///
/// # Errors
///
/// [`Code::ConversationNotFound`], also for another's and a deleted one; the attempt at another's is recorded.
pub async fn one(ports: &Ports, actor: &Actor, id: i64) -> Result<Conversation, Error> {
    let conversation = ports.store.conversation(id).await?;
    let conversation = conversation.ok_or_else(|| missing(id))?;
    if conversation.user_id != actor.user_id {
        return Err(denied(ports, actor, id).await?);
    }
    Ok(conversation)
}

/// Lists the questions of one of one's own conversations, newest first, refused ones too.
///
/// # Errors
///
/// Those of [`one`].
pub async fn turns(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    page: PageRequest,
) -> Result<(Conversation, Page<QueryRecord>), Error> {
    let conversation = one(ports, actor, id).await?;
    let filter = QueryFilter {
        user_id: Some(actor.user_id),
        conversation_id: Some(id),
        ..QueryFilter::default()
    };
    let turns = ports.store.queries(&filter, page).await?;
    Ok((conversation, turns))
}

/// Gives one of one's own conversations another title.
///
/// # Errors
///
/// Those of [`one`] and of [`create`].
pub async fn rename(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    title: &str,
) -> Result<Conversation, Error> {
    let title = parse_title(title)?;
    one(ports, actor, id).await?;
    let audit = entry(ports, actor, "conversation_renamed");
    let store = &ports.store;
    let renamed = store.rename_conversation(actor.user_id, id, &title, &audit);
    renamed.await?.ok_or_else(|| missing(id))
}

/// Deletes one of one's own conversations. Its questions stay in the history, and what was done stays in the audit trail.
///
/// # Errors
///
/// Those of [`one`].
pub async fn delete(ports: &Ports, actor: &Actor, id: i64) -> Result<(), Error> {
    one(ports, actor, id).await?;
    let audit = entry(ports, actor, "conversation_deleted");
    let deleted = ports.store.delete_conversation(actor.user_id, id, &audit);
    if deleted.await? {
        Ok(())
    } else {
        Err(missing(id))
    }
}

/// Returns the error about a conversation that is not there for whoever asks.
pub fn missing(id: i64) -> Error {
    Error::new(
        Code::ConversationNotFound,
        format!("there is no conversation {id}"),
    )
}

async fn denied(ports: &Ports, actor: &Actor, id: i64) -> Result<Error, Error> {
    let error = missing(id);
    let audit = entry(ports, actor, "denied").with("code", json!(error.code().as_str()));
    ports.store.record(&audit.about(id)).await?;
    Ok(error)
}

fn parse_title(title: &str) -> Result<String, Error> {
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let chars = title.chars().count();
    if title.is_empty() || chars > MAX_TITLE_CHARS || title.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidRequest,
            format!(
                "a title has 1 to {MAX_TITLE_CHARS} characters, none of them control characters"
            ),
        ));
    }
    Ok(title)
}

fn entry(ports: &Ports, actor: &Actor, action: &'static str) -> AuditEntry {
    let now = ports.clock.now();
    AuditEntry::new(now, Some(actor.user_id), action, "conversation", json!({}))
}

#[cfg(test)]
mod tests;
