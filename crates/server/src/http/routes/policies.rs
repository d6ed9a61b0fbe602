//! Which tables and columns are hidden from whom, for administrators.

use axum::Json;
use axum::http::StatusCode;
use engine::policy::{self, ListedPolicy, NewPolicy, Policy, Role};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::error::{Failure, Problem};
use crate::http::extract::{JsonBody, PathId};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, ConflictProblems, MissingProblems,
};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePolicy {
    /// The highest role that it is hidden from.
    role: Role,
    /// The table or view.
    table_name: String,
    /// The column; left out the whole table is hidden.
    column_name: Option<String>,
    /// Keep it although the data have no such table or column.
    #[serde(default)]
    force: bool,
}

/// Lists policies, those about absent tables and columns too.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", params(PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<ListedPolicy>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    _caller: Require<Admin>,
    page: Paging,
) -> Result<Json<Listing<ListedPolicy>>, Failure> {
    let policies = policy::list(&state.app.ports, page.0).await?;
    Ok(Json(policies.into()))
}

/// Hides a table or a column from a role and every role below it.
#[utoipa::path(post, path = "/api/v1/policies", tag = "policies", request_body = CreatePolicy, security(("session" = [])), responses(
    (status = 201, body = Policy),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "The data have no such name."),
    CallerProblems,
    BodyProblems,
    ConflictProblems,
))]
pub async fn create(
    state: Shared,
    caller: Require<Admin>,
    JsonBody(body): JsonBody<CreatePolicy>,
) -> Result<(StatusCode, Json<Policy>), Failure> {
    let new = NewPolicy {
        role: body.role,
        table_name: body.table_name,
        column_name: body.column_name,
    };
    let made = policy::create(&state.app.ports, &caller.actor, new, body.force).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Removes a policy.
#[utoipa::path(delete, path = "/api/v1/policies/{id}", tag = "policies", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn delete(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    policy::delete(&state.app.ports, &caller.actor, id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
