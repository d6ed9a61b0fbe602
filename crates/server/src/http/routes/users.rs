//! Users: everyone sees themselves, administrators see and change all.

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use engine::accounts::{UserChange, UserFilter, administration};
use engine::policy::Role;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Ended;
use crate::http::Shared;
use crate::http::auth::{Admin, Require, Viewer};
use crate::http::error::Failure;
use crate::http::extract::{JsonBody, PathId, QueryString};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, ConflictProblems, MailProblems, MissingProblems,
    RateProblems,
};
use crate::http::paging::{Listing, PageQuery, Paging};

/// A user.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// The identifier.
    id: i64,
    /// The e-mail address.
    email: String,
    /// The name as shown.
    full_name: String,
    /// What they may do.
    role: Role,
    /// May log in.
    is_active: bool,
    /// When they last logged in.
    last_login: Option<DateTime<Utc>>,
    /// When they last asked, to the second.
    last_query_at: Option<DateTime<Utc>>,
    /// When they were created.
    created_at: DateTime<Utc>,
    /// When they were last changed.
    updated_at: DateTime<Utc>,
}

impl From<engine::accounts::User> for User {
    fn from(user: engine::accounts::User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            full_name: user.full_name,
            role: user.role,
            is_active: user.is_active,
            last_login: user.last_login,
            last_query_at: user.last_query_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMe {
    /// The name as shown.
    full_name: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Only users of this role.
    role: Option<Role>,
    /// Only those who may, or may not, log in.
    is_active: Option<bool>,
    /// Only those whose address or name contains this text.
    search: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "full_name": "Ada", "password": "quiet lanterns over wet slate", "role": "analyst"}))]
pub struct CreateUser {
    /// The e-mail address.
    email: String,
    /// The name as shown.
    full_name: String,
    /// 12 characters to 72 bytes, and none that attackers try first.
    password: String,
    /// What they may do.
    role: Role,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// The name as shown; left out it stays.
    full_name: Option<String>,
    /// What they may do; left out it stays.
    role: Option<Role>,
    /// May log in; left out it stays. Deactivation ends all sessions and revokes all API keys.
    is_active: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The password from now on; left out, a letter is sent with a link to choose one.
    password: Option<String>,
}

/// Says who is logged in.
#[utoipa::path(get, path = "/api/v1/me", tag = "auth", security(("session" = [])), responses(
    (status = 200, body = User),
    CallerProblems,
))]
pub async fn me(state: Shared, caller: Require<Viewer>) -> Result<Json<User>, Failure> {
    let user = administration::user(&state.app.ports, caller.actor.user_id).await?;
    Ok(Json(user.into()))
}

/// Changes the caller's name.
#[utoipa::path(patch, path = "/api/v1/me", tag = "auth", request_body = ChangeMe, security(("session" = [])), responses(
    (status = 200, body = User),
    CallerProblems,
    BodyProblems,
))]
pub async fn change_me(
    state: Shared,
    caller: Require<Viewer>,
    JsonBody(body): JsonBody<ChangeMe>,
) -> Result<Json<User>, Failure> {
    let ports = &state.app.ports;
    let user = administration::change_own_name(ports, &caller.actor, &body.full_name).await?;
    Ok(Json(user.into()))
}

/// Lists users.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(UserQuery, PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<User>),
    CallerProblems,
    AddressProblems,
))]
pub async fn users(
    state: Shared,
    _caller: Require<Admin>,
    QueryString(query): QueryString<UserQuery>,
    page: Paging,
) -> Result<Json<Listing<User>>, Failure> {
    let filter = UserFilter {
        role: query.role,
        is_active: query.is_active,
        search: query.search,
    };
    let page = state.app.ports.store.users(&filter, page.0).await?;
    Ok(Json(page.map(User::from).into()))
}

/// Creates a user with a password that the administrator hands over.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = CreateUser, security(("session" = [])), responses(
    (status = 201, body = User),
    CallerProblems,
    BodyProblems,
    ConflictProblems,
    RateProblems,
))]
pub async fn create(
    state: Shared,
    caller: Require<Admin>,
    JsonBody(body): JsonBody<CreateUser>,
) -> Result<(StatusCode, Json<User>), Failure> {
    let ports = &state.app.ports;
    let id = administration::create_user(
        ports,
        &caller.actor,
        &body.email,
        &body.full_name,
        &body.password,
        body.role,
    )
    .await?;
    let user = administration::user(ports, id).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Returns a user.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = User),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn user(
    state: Shared,
    _caller: Require<Admin>,
    id: PathId,
) -> Result<Json<User>, Failure> {
    let user = administration::user(&state.app.ports, id.0).await?;
    Ok(Json(user.into()))
}

/// Changes name, role or activity of a user.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = i64, Path, example = 1)), request_body = ChangeUser, security(("session" = [])), responses(
    (status = 200, body = User),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn change(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
    JsonBody(body): JsonBody<ChangeUser>,
) -> Result<Json<User>, Failure> {
    let change = UserChange {
        full_name: body.full_name,
        role: body.role,
        is_active: body.is_active,
    };
    let ports = &state.app.ports;
    let user = administration::change_user(ports, &caller.actor, id.0, change).await?;
    Ok(Json(user.into()))
}

/// Ends all sessions of a user.
#[utoipa::path(post, path = "/api/v1/users/{id}/logout", tag = "users", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = Ended),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn log_out(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
) -> Result<Json<Ended>, Failure> {
    let ports = &state.app.ports;
    let sessions = administration::log_out_user(ports, &caller.actor, id.0).await?;
    Ok(Json(Ended { sessions }))
}

/// Sets a user's password and ends all sessions of theirs, or sends a letter with a link to choose one.
#[utoipa::path(post, path = "/api/v1/users/{id}/reset-password", tag = "users", params(("id" = i64, Path, example = 1)), request_body = ResetPassword, security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    ConflictProblems,
    RateProblems,
    MailProblems,
))]
pub async fn reset_password(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
    JsonBody(body): JsonBody<ResetPassword>,
) -> Result<StatusCode, Failure> {
    let (ports, settings) = (&state.app.ports, &state.app.accounts);
    match &body.password {
        Some(password) => {
            administration::set_password(ports, &caller.actor, id.0, password).await?;
        }
        None => administration::send_reset_letter(ports, settings, &caller.actor, id.0).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}
