//! What people say about answers.

use axum::Json;
use engine::feedback::{self, Feedback, Rating};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Admin, Require, Viewer};
use crate::http::error::Failure;
use crate::http::extract::{JsonBody, PathId};
use crate::http::openapi::{AddressProblems, BodyProblems, CallerProblems, MissingProblems};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// From 1, wrong or useless, to 5, right and useful.
    #[schema(minimum = 1, maximum = 5)]
    rating: i64,
    /// In words; at most 4,000 characters.
    comment: Option<String>,
}

/// A rating that was recorded.
#[derive(Serialize, ToSchema)]
pub struct Rated {
    /// The identifier of the rating.
    id: i64,
}

/// Rates the answer to a question; a second rating replaces the first.
#[utoipa::path(put, path = "/api/v1/queries/{id}/feedback", tag = "feedback", params(("id" = i64, Path, example = 1)), request_body = Rate, security(("session" = [])), responses(
    (status = 200, body = Rated),
    CallerProblems,
    BodyProblems,
    MissingProblems,
))]
pub async fn rate(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
    JsonBody(body): JsonBody<Rate>,
) -> Result<Json<Rated>, Failure> {
    let rating = Rating::parse(body.rating)?;
    let comment = body.comment.as_deref();
    let id = feedback::rate(&state.app.ports, &caller.actor, id.0, rating, comment).await?;
    Ok(Json(Rated { id }))
}

/// Lists what was said about one question.
#[utoipa::path(get, path = "/api/v1/queries/{id}/feedback", tag = "feedback", params(("id" = i64, Path, example = 1), PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<Feedback>),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn of_query(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
    page: Paging,
) -> Result<Json<Listing<Feedback>>, Failure> {
    let said = feedback::of_query(&state.app.ports, &caller.actor, id.0, page.0).await?;
    Ok(Json(said.into()))
}

/// Lists what everyone said.
#[utoipa::path(get, path = "/api/v1/feedback", tag = "feedback", params(PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<Feedback>),
    CallerProblems,
    AddressProblems,
))]
pub async fn everyones(
    state: Shared,
    caller: Require<Admin>,
    page: Paging,
) -> Result<Json<Listing<Feedback>>, Failure> {
    let said = feedback::everyones(&state.app.ports, &caller.actor, page.0).await?;
    Ok(Json(said.into()))
}
