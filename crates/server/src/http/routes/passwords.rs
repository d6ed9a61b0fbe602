//! Passwords: changed by their owner, or set anew with the token of a letter.

use axum::http::StatusCode;
use engine::accounts::passwords;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::client_address::ClientAddress;
use crate::http::error::Failure;
use crate::http::extract::JsonBody;
use crate::http::openapi::{BodyProblems, CallerProblems, RateProblems};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password so far.
    current_password: String,
    /// The password from now on: 12 characters to 72 bytes, and none that attackers try first.
    new_password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgot {
    /// The e-mail address of the account.
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The token in the letter's link.
    token: String,
    /// The password from now on: 12 characters to 72 bytes, and none that attackers try first.
    new_password: String,
}

/// Changes the caller's password and ends all other sessions of theirs.
#[utoipa::path(post, path = "/api/v1/auth/password", tag = "auth", request_body = ChangePassword, security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    BodyProblems,
    RateProblems,
))]
pub async fn change(
    state: Shared,
    caller: Require<Viewer>,
    from: ClientAddress,
    JsonBody(body): JsonBody<ChangePassword>,
) -> Result<StatusCode, Failure> {
    passwords::change(
        &state.app.ports,
        &state.app.accounts,
        &caller.actor,
        &caller.credential,
        &body.current_password,
        &body.new_password,
        from.0,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a letter with a link to choose a new password, if the address has an account; the answer is the same if not.
#[utoipa::path(post, path = "/api/v1/auth/forgot", tag = "auth", request_body = Forgot, responses(
    (status = 202),
    BodyProblems,
    RateProblems,
))]
pub async fn forgot(
    state: Shared,
    from: ClientAddress,
    JsonBody(body): JsonBody<Forgot>,
) -> Result<StatusCode, Failure> {
    let ports = &state.app.ports;
    let rest = passwords::forgot(ports, &state.app.accounts, &body.email, from.0).await?;
    tokio::spawn(async move {
        if let Err(fault) = rest.await {
            let (code, cause) = (fault.code().as_str(), fault.cause().unwrap_or_default());
            tracing::error!(code, cause, "a reset letter was not sent: {fault}");
        }
    });
    Ok(StatusCode::ACCEPTED)
}

/// Sets a new password with the token of a letter and ends all sessions of the user.
#[utoipa::path(post, path = "/api/v1/auth/reset", tag = "auth", request_body = Reset, responses(
    (status = 204),
    BodyProblems,
    RateProblems,
))]
pub async fn reset(
    state: Shared,
    from: ClientAddress,
    JsonBody(body): JsonBody<Reset>,
) -> Result<StatusCode, Failure> {
    let ports = &state.app.ports;
    let (token, new) = (&body.token, &body.new_password);
    passwords::reset(ports, &state.app.accounts, token, new, from.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
