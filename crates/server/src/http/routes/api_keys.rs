//! Personal keys for programs.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use engine::accounts::{ApiKey, api_keys};
use engine::policy::Role;
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
pub struct CreateApiKey {
    /// What to call it.
    name: String,
    /// The most it may do, whatever its owner may; not above the owner's role.
    scope: Role,
    /// When it ends; left out, never.
    expires_at: Option<DateTime<Utc>>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub struct NewApiKey {
    /// The key, shown this once; to be sent as `Authorization: Bearer KEY`.
    key: String,
    /// What is kept of it.
    #[serde(flatten)]
    api_key: ApiKey,
}

/// Lists the caller's keys, revoked and expired ones too.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "api-keys", params(PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<ApiKey>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    caller: Require<Viewer>,
    page: Paging,
) -> Result<Json<Listing<ApiKey>>, Failure> {
    let store = &state.app.ports.store;
    let page = store.api_keys(caller.actor.user_id, page.0).await?;
    Ok(Json(page.into()))
}

/// Makes a key. It takes a session: a key cannot make keys.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "api-keys", request_body = CreateApiKey, security(("session" = [])), responses(
    (status = 201, body = NewApiKey),
    CallerProblems,
    BodyProblems,
))]
pub async fn create(
    state: Shared,
    caller: Require<Viewer>,
    JsonBody(body): JsonBody<CreateApiKey>,
) -> Result<(StatusCode, Json<NewApiKey>), Failure> {
    let (api_key, key) = api_keys::create(
        &state.app.ports,
        &caller.actor,
        &caller.credential,
        &body.name,
        body.scope,
        body.expires_at,
    )
    .await?;
    let key = key.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(NewApiKey { key, api_key })))
}

/// Revokes one of the caller's keys. It takes a session.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "api-keys", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn revoke(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    let ports = &state.app.ports;
    api_keys::revoke(ports, &caller.actor, &caller.credential, id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
