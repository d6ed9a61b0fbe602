//! How people come to have an account.

use axum::Json;
use axum::http::StatusCode;
use engine::accounts::{Invitation, joining};
use engine::policy::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::client_address::ClientAddress;
use crate::http::error::{Failure, Problem};
use crate::http::extract::{JsonBody, PathId};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, ConflictProblems, MailProblems, MissingProblems,
    RateProblems,
};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "grace@example.org", "full_name": "Grace", "password": "quiet lanterns over wet slate"}))]
pub struct Register {
    /// The e-mail address.
    email: String,
    /// The name as shown to others.
    full_name: String,
    /// 12 characters to 72 bytes, and none that attackers try first.
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The token in the letter's link.
    token: String,
    /// The name as shown to others.
    full_name: String,
    /// 12 characters to 72 bytes, and none that attackers try first.
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "edsger@example.org", "role": "analyst"}))]
pub struct Invite {
    /// Who is invited.
    email: String,
    /// What they may do.
    role: Role,
}

/// A user who may log in now.
#[derive(Serialize, ToSchema)]
pub struct Joined {
    /// The identifier.
    user_id: i64,
}

/// Makes an account as a viewer, where registration is open.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "auth", request_body = Register, responses(
    (status = 201, body = Joined),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    BodyProblems,
    ConflictProblems,
    RateProblems,
))]
pub async fn register(
    state: Shared,
    from: ClientAddress,
    JsonBody(body): JsonBody<Register>,
) -> Result<(StatusCode, Json<Joined>), Failure> {
    let user_id = joining::register(
        &state.app.ports,
        &state.app.accounts,
        &body.email,
        &body.full_name,
        &body.password,
        from.0,
    )
    .await?;
    Ok((StatusCode::CREATED, Json(Joined { user_id })))
}

/// Makes the account of an invitation.
#[utoipa::path(post, path = "/api/v1/auth/invitations/accept", tag = "auth", request_body = AcceptInvitation, responses(
    (status = 201, body = Joined),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    BodyProblems,
    ConflictProblems,
    RateProblems,
))]
pub async fn accept_invitation(
    state: Shared,
    from: ClientAddress,
    JsonBody(body): JsonBody<AcceptInvitation>,
) -> Result<(StatusCode, Json<Joined>), Failure> {
    let user_id = joining::accept_invitation(
        &state.app.ports,
        &state.app.accounts,
        &body.token,
        &body.full_name,
        &body.password,
        from.0,
    )
    .await?;
    Ok((StatusCode::CREATED, Json(Joined { user_id })))
}

/// Lists invitations, used, withdrawn and expired ones too.
#[utoipa::path(get, path = "/api/v1/invitations", tag = "users", params(PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<Invitation>),
    CallerProblems,
    AddressProblems,
))]
pub async fn invitations(
    state: Shared,
    _caller: Require<Admin>,
    page: Paging,
) -> Result<Json<Listing<Invitation>>, Failure> {
    let page = state.app.ports.store.invitations(page.0).await?;
    Ok(Json(page.into()))
}

/// Invites someone by letter; an earlier open invitation to the same address ends.
#[utoipa::path(post, path = "/api/v1/invitations", tag = "users", request_body = Invite, security(("session" = [])), responses(
    (status = 201, body = Invitation),
    CallerProblems,
    BodyProblems,
    ConflictProblems,
    MailProblems,
))]
pub async fn invite(
    state: Shared,
    caller: Require<Admin>,
    JsonBody(body): JsonBody<Invite>,
) -> Result<(StatusCode, Json<Invitation>), Failure> {
    let invitation = joining::invite(
        &state.app.ports,
        &state.app.accounts,
        &caller.actor,
        &body.email,
        body.role,
    )
    .await?;
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Withdraws an open invitation.
#[utoipa::path(delete, path = "/api/v1/invitations/{id}", tag = "users", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn withdraw_invitation(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    joining::withdraw_invitation(&state.app.ports, &caller.actor, id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
