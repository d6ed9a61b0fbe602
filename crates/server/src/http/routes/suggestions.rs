//! Questions to begin with.

use axum::Json;
use engine::suggestions::{Suggestion, suggestions as suggested};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::Failure;
use crate::http::openapi::CallerProblems;

#[derive(Serialize, ToSchema)]
pub struct Suggestions {
    /// The questions, approved ones first.
    items: Vec<Suggestion>,
}

/// Suggests questions that can be answered from what the caller may see.
#[utoipa::path(get, path = "/api/v1/suggestions", tag = "questions", security(("session" = [])), responses(
    (status = 200, body = Suggestions),
    CallerProblems,
))]
pub async fn suggestions(
    state: Shared,
    caller: Require<Viewer>,
) -> Result<Json<Suggestions>, Failure> {
    let items = suggested(&state.app.ports, &caller.actor).await?;
    Ok(Json(Suggestions { items }))
}
