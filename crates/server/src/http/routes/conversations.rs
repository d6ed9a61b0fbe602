//! Conversations, everyone their own: what a follow-up question leans on.

use axum::Json;
use axum::http::StatusCode;
use engine::conversation::{self, Conversation};
use engine::ports::QueryRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::Failure;
use crate::http::extract::{JsonBody, PathId};
use crate::http::openapi::{AddressProblems, BodyProblems, CallerProblems, MissingProblems};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginConversation {
    /// What it is called, at most 200 characters; left out, it is called by its first question.
    title: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameConversation {
    /// What it is called, at most 200 characters.
    title: String,
}

/// A conversation with its questions.
#[derive(Serialize, ToSchema)]
pub struct ConversationTurns {
    #[serde(flatten)]
    conversation: Conversation,
    /// The questions asked in it, newest first, refused ones too.
    turns: Listing<QueryRecord>,
}

/// Lists one's own conversations, newest first.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "conversations", params(PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<Conversation>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    caller: Require<Viewer>,
    page: Paging,
) -> Result<Json<Listing<Conversation>>, Failure> {
    let conversations = conversation::list(&state.app.ports, &caller.actor, page.0).await?;
    Ok(Json(conversations.into()))
}

/// Begins a conversation.
#[utoipa::path(post, path = "/api/v1/conversations", tag = "conversations", request_body = BeginConversation, security(("session" = [])), responses(
    (status = 201, body = Conversation),
    CallerProblems,
    BodyProblems,
))]
pub async fn create(
    state: Shared,
    caller: Require<Viewer>,
    JsonBody(body): JsonBody<BeginConversation>,
) -> Result<(StatusCode, Json<Conversation>), Failure> {
    let title = body.title.as_deref();
    let begun = conversation::create(&state.app.ports, &caller.actor, title).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

/// Returns a conversation with its questions.
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "conversations", params(("id" = i64, Path, example = 1), PageQuery), security(("session" = [])), responses(
    (status = 200, body = ConversationTurns),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn one(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
    page: Paging,
) -> Result<Json<ConversationTurns>, Failure> {
    let ports = &state.app.ports;
    let (conversation, turns) = conversation::turns(ports, &caller.actor, id.0, page.0).await?;
    Ok(Json(ConversationTurns {
        conversation,
        turns: turns.into(),
    }))
}

/// Gives a conversation another title.
#[utoipa::path(patch, path = "/api/v1/conversations/{id}", tag = "conversations", params(("id" = i64, Path, example = 1)), request_body = RenameConversation, security(("session" = [])), responses(
    (status = 200, body = Conversation),
    CallerProblems,
    BodyProblems,
    MissingProblems,
))]
pub async fn rename(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
    JsonBody(body): JsonBody<RenameConversation>,
) -> Result<Json<Conversation>, Failure> {
    let ports = &state.app.ports;
    let renamed = conversation::rename(ports, &caller.actor, id.0, &body.title).await?;
    Ok(Json(renamed))
}

/// Deletes a conversation. Its questions stay in the history.
#[utoipa::path(delete, path = "/api/v1/conversations/{id}", tag = "conversations", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn delete(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    conversation::delete(&state.app.ports, &caller.actor, id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
