//! Questions with SQL that a person approved: analysts propose, administrators review.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use engine::jobs;
use engine::verified_queries::{
    self, Proposal, VerifiedQuery, VerifiedQueryChange, VerifiedQueryFilter, VerifiedStatus,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::Shared;
use crate::http::auth::{Admin, Analyst, Require};
use crate::http::error::{Failure, Problem};
use crate::http::extract::{JsonBody, PathId, QueryString};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, ConflictProblems, MissingProblems,
};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VerifiedQueryQuery {
    /// Only those of this status.
    status: Option<VerifiedStatus>,
    /// Only those whose question or SQL contains this text.
    search: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"question": "How many customers do we have?", "sql": "SELECT count(*) FROM customers"}))]
pub struct ProposeQuery {
    /// The question; left out, that of `query_id`.
    question: Option<String>,
    /// The SQL that answers it; left out, that of `query_id`, if its answer is rated 4 or 5.
    sql: Option<String>,
    /// The question of the history that it comes from.
    query_id: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeProposal {
    /// The question; left out it stays.
    question: Option<String>,
    /// The SQL; left out it stays.
    sql: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewProposal {
    /// Why.
    comment: Option<String>,
    /// The `updated_at` of what was looked at; if the proposal was changed since, it is not reviewed.
    updated_at: Option<DateTime<Utc>>,
}

/// Lists verified queries; those that name what is hidden from the caller are left out.
#[utoipa::path(get, path = "/api/v1/verified-queries", tag = "verified-queries", params(VerifiedQueryQuery, PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<VerifiedQuery>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    caller: Require<Analyst>,
    QueryString(query): QueryString<VerifiedQueryQuery>,
    page: Paging,
) -> Result<Json<Listing<VerifiedQuery>>, Failure> {
    let filter = VerifiedQueryFilter {
        status: query.status,
        search: query.search,
    };
    let ports = &state.app.ports;
    let queries = verified_queries::list(ports, &caller.actor, &filter, page.0).await?;
    Ok(Json(queries.into()))
}

/// Proposes a question with SQL, which must pass the guard and run.
#[utoipa::path(post, path = "/api/v1/verified-queries", tag = "verified-queries", request_body = ProposeQuery, security(("session" = [])), responses(
    (status = 201, body = VerifiedQuery),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "The SQL is refused."),
    CallerProblems,
    BodyProblems,
    MissingProblems,
))]
pub async fn propose(
    state: Shared,
    caller: Require<Analyst>,
    JsonBody(body): JsonBody<ProposeQuery>,
) -> Result<(StatusCode, Json<VerifiedQuery>), Failure> {
    let proposal = Proposal {
        question: body.question,
        sql: body.sql,
        query_id: body.query_id,
    };
    let made = verified_queries::propose(&state.app.ports, &caller.actor, proposal).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Returns a verified query.
#[utoipa::path(get, path = "/api/v1/verified-queries/{id}", tag = "verified-queries", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = VerifiedQuery),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn one(
    state: Shared,
    caller: Require<Analyst>,
    id: PathId,
) -> Result<Json<VerifiedQuery>, Failure> {
    let query = verified_queries::one(&state.app.ports, &caller.actor, id.0).await?;
    Ok(Json(query))
}

/// Changes a proposal of the caller's own that was not reviewed yet.
#[utoipa::path(patch, path = "/api/v1/verified-queries/{id}", tag = "verified-queries", params(("id" = i64, Path, example = 1)), request_body = ChangeProposal, security(("session" = [])), responses(
    (status = 200, body = VerifiedQuery),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "The SQL is refused."),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn change(
    state: Shared,
    caller: Require<Analyst>,
    id: PathId,
    JsonBody(body): JsonBody<ChangeProposal>,
) -> Result<Json<VerifiedQuery>, Failure> {
    let change = VerifiedQueryChange {
        question: body.question,
        sql: body.sql,
    };
    let ports = &state.app.ports;
    let changed = verified_queries::change(ports, &caller.actor, id.0, change).await?;
    Ok(Json(changed))
}

/// Takes a verified query out of use: withdraws the caller's own proposal or, for administrators, retires an approved
/// query.
#[utoipa::path(delete, path = "/api/v1/verified-queries/{id}", tag = "verified-queries", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn remove(
    state: Shared,
    caller: Require<Analyst>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    verified_queries::remove(&state.app.ports, &caller.actor, id.0).await?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Approves a proposal of someone else's, whose SQL must still run.
#[utoipa::path(post, path = "/api/v1/verified-queries/{id}/approve", tag = "verified-queries", params(("id" = i64, Path, example = 1)), request_body = ReviewProposal, security(("session" = [])), responses(
    (status = 200, body = VerifiedQuery),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "The SQL is refused."),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn approve(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
    JsonBody(body): JsonBody<ReviewProposal>,
) -> Result<Json<VerifiedQuery>, Failure> {
    let (ports, comment) = (&state.app.ports, body.comment.as_deref());
    let query =
        verified_queries::approve(ports, &caller.actor, id.0, body.updated_at, comment).await?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok(Json(query))
}

/// Rejects a proposal of someone else's.
#[utoipa::path(post, path = "/api/v1/verified-queries/{id}/reject", tag = "verified-queries", params(("id" = i64, Path, example = 1)), request_body = ReviewProposal, security(("session" = [])), responses(
    (status = 200, body = VerifiedQuery),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn reject(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
    JsonBody(body): JsonBody<ReviewProposal>,
) -> Result<Json<VerifiedQuery>, Failure> {
    let (ports, comment) = (&state.app.ports, body.comment.as_deref());
    let query =
        verified_queries::reject(ports, &caller.actor, id.0, body.updated_at, comment).await?;
    Ok(Json(query))
}
