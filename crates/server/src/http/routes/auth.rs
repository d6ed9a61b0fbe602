use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::{Failure, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The e-mail address.
    email: String,
    /// The password.
    password: String,
}

#[derive(Serialize, ToSchema)]
pub struct Session {
    /// To be sent as `Authorization: Bearer TOKEN`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the session ends.
    expires_in: i64,
    /// `viewer`, `analyst` or `admin`.
    role: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct Me {
    /// The identifier.
    id: i64,
    /// The e-mail address.
    email: String,
    /// The name as shown.
    full_name: String,
    /// `viewer`, `analyst` or `admin`.
    role: &'static str,
}

/// Opens a session.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", request_body = Login, responses(
    (status = 200, body = Session),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub async fn login(
    state: Shared,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Json<Session>, Failure> {
    let Json(body) = body?;
    let issued = state
        .sessions
        .log_in(&state.app.ports, &body.email, &body.password)
        .await?;
    Ok(Json(Session {
        access_token: issued.token,
        token_type: "Bearer",
        expires_in: issued.expires_in,
        role: issued.role.as_str(),
    }))
}

/// Ends the session.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", security(("session" = [])), responses(
    (status = 204),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub async fn logout(state: Shared, caller: Require<Viewer>) -> Result<StatusCode, Failure> {
    state
        .sessions
        .log_out(&state.app.ports, &caller.actor, &caller.token)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says who is logged in.
#[utoipa::path(get, path = "/api/v1/me", tag = "auth", security(("session" = [])), responses(
    (status = 200, body = Me),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub async fn me(state: Shared, caller: Require<Viewer>) -> Result<Json<Me>, Failure> {
    let user = state.app.ports.store.user(caller.actor.user_id).await?;
    let user =
        user.ok_or_else(|| engine::Error::new(engine::Code::NotFound, "the user is gone"))?;
    Ok(Json(Me {
        id: user.id,
        email: user.email,
        full_name: user.full_name,
        role: user.role.as_str(),
    }))
}
