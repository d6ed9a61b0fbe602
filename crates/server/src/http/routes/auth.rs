//! Sessions: opened with a password, refreshed, ended.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use engine::accounts::logging_in::{self, OpenSession};
use engine::policy::Role;
use engine::{Code, Error};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::auth::{Require, Viewer};
use crate::http::client_address::ClientAddress;
use crate::http::cookies;
use crate::http::error::{Failure, Problem};
use crate::http::extract::JsonBody;
use crate::http::openapi::{BodyProblems, CallerProblems, RateProblems};
use crate::http::{Shared, State};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "admin@localhost", "password": "quiet lanterns over wet slate"}))]
pub struct Login {
    /// The e-mail address.
    email: String,
    /// The password.
    password: String,
    /// Hand the tokens over in cookies that no script can read, instead of in the body.
    #[serde(default)]
    cookie: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The refresh token; without it the one in the cookie is exchanged, for cookies again.
    refresh_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Session {
    /// To be sent as `Authorization: Bearer TOKEN`; left out with cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token must be refreshed.
    expires_in: i64,
    /// To be exchanged at `/api/v1/auth/refresh`, once; left out with cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds until the refresh token can no longer be exchanged.
    refresh_expires_in: i64,
    /// The user.
    user_id: i64,
    /// What the user may do.
    role: Role,
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
pub struct Ended {
    /// Sessions that were live.
    pub sessions: u64,
}

/// Opens a session. Unknown address, wrong password and inactive user get the same answer.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", request_body = Login, responses(
    (status = 200, body = Session),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    BodyProblems,
    RateProblems,
))]
pub async fn login(
    state: Shared,
    from: ClientAddress,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Login>,
) -> Result<(HeaderMap, Json<Session>), Failure> {
    if body.cookie {
        only_from_our_page(&state, &headers)?;
    }
    let session = logging_in::log_in(
        &state.app.ports,
        &state.app.accounts,
        &body.email,
        &body.password,
        from.0,
    )
    .await?;
    Ok(hand_over(&state, session, body.cookie)?)
}

/// Exchanges a refresh token for the next access token and the next refresh token.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Refresh, responses(
    (status = 200, body = Session),
    CallerProblems,
    BodyProblems,
))]
pub async fn refresh(
    state: Shared,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Refresh>,
) -> Result<(HeaderMap, Json<Session>), Failure> {
    let in_cookie = body.refresh_token.is_none();
    let token = match &body.refresh_token {
        Some(token) => token.as_str(),
        None => {
            only_from_our_page(&state, &headers)?;
            cookies::read(&headers, cookies::REFRESH).ok_or_else(|| {
                Error::new(Code::MissingCredentials, "no refresh token was given")
                    .with_hint("log in again")
            })?
        }
    };
    let session = logging_in::refresh(&state.app.ports, &state.app.accounts, token).await?;
    Ok(hand_over(&state, session, in_cookie)?)
}

/// Ends the session, at once and everywhere.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
))]
pub async fn logout(
    state: Shared,
    caller: Require<Viewer>,
) -> Result<(StatusCode, HeaderMap), Failure> {
    logging_in::log_out(&state.app.ports, &caller.actor, &caller.credential).await?;
    Ok((StatusCode::NO_CONTENT, cookies::clear(&state.site)))
}

/// Ends all sessions of the caller, this one too.
#[utoipa::path(post, path = "/api/v1/auth/logout-all", tag = "auth", security(("session" = [])), responses(
    (status = 200, body = Ended),
    CallerProblems,
))]
pub async fn logout_all(
    state: Shared,
    caller: Require<Viewer>,
) -> Result<(HeaderMap, Json<Ended>), Failure> {
    let ports = &state.app.ports;
    let sessions = logging_in::log_out_everywhere(ports, &caller.actor, &caller.credential).await?;
    Ok((cookies::clear(&state.site), Json(Ended { sessions })))
}

/// Without this, another site could log a visitor in as somebody else, or refresh a session at the wrong moment.
fn only_from_our_page(state: &State, headers: &HeaderMap) -> Result<(), Error> {
    if cookies::is_from_our_page(&axum::http::Method::POST, headers, &state.site) {
        Ok(())
    } else {
        Err(cookies::cross_site())
    }
}

fn hand_over(
    state: &State,
    session: OpenSession,
    in_cookies: bool,
) -> Result<(HeaderMap, Json<Session>), Error> {
    let now = state.app.ports.clock.now();
    let actor = session.actor;
    let access_token = state.tokens.issue(
        actor.user_id,
        &session.secret,
        now,
        session.access_expires_at,
    )?;
    let expires_in = (session.access_expires_at - now).num_seconds();
    let refresh_expires_in = (session.refresh_expires_at - now).num_seconds();
    let refresh_token = session.refresh_token.reveal();
    let headers = if in_cookies {
        cookies::set(
            &state.site,
            (&access_token, expires_in),
            (refresh_token, refresh_expires_in),
        )
    } else {
        HeaderMap::new()
    };
    let body = Session {
        refresh_token: (!in_cookies).then(|| refresh_token.to_owned()),
        access_token: (!in_cookies).then_some(access_token),
        token_type: "Bearer",
        expires_in,
        refresh_expires_in,
        user_id: actor.user_id,
        role: actor.role,
    };
    Ok((headers, Json(body)))
}
