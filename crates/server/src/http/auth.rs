//! From an access token, an API key or a cookie to an actor with the role that the handler's signature asks for.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use engine::accounts::{Actor, Credential, Secret, api_keys, logging_in};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::{Code, Error};
use serde_json::json;

use super::State;
use super::client_address::ClientAddress;
use super::cookies;
use super::error::Failure;

/// A role as a type, so that it stands in a handler's signature.
pub trait RequiredRole: Send + Sync {
    /// The lowest role that may call.
    const ROLE: Role;
}

/// Anyone who is logged in.
pub struct Viewer;
/// Those who may run SQL of their own.
pub struct Analyst;
/// Those who administer.
pub struct Admin;

impl RequiredRole for Viewer {
    const ROLE: Role = Role::Viewer;
}

impl RequiredRole for Analyst {
    const ROLE: Role = Role::Analyst;
}

impl RequiredRole for Admin {
    const ROLE: Role = Role::Admin;
}

/// An authenticated actor of at least this role.
pub struct Require<R> {
    /// Who calls.
    pub actor: Actor,
    /// What they showed.
    pub credential: Credential,
    role: PhantomData<R>,
}

impl<R: RequiredRole> FromRequestParts<Arc<State>> for Require<R> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Failure> {
        let shown = Shown::in_headers(&parts.headers).ok_or_else(|| {
            Error::new(
                Code::MissingCredentials,
                "neither a token nor a cookie was given",
            )
            .with_hint(
                "log in at /api/v1/auth/login and send the token as `Authorization: Bearer TOKEN`",
            )
        })?;
        let (actor, credential) = recognise(state, &shown).await?;
        let refusal = if let Shown::Cookie(_) = shown
            && !cookies::is_from_our_page(&parts.method, &parts.headers, &state.site)
        {
            Some(cookies::cross_site())
        } else if actor.role < R::ROLE {
            let message = format!("this takes the role {}", R::ROLE.as_str());
            Some(Error::new(Code::RoleTooLow, message))
        } else {
            None
        };
        match refusal {
            None => Ok(Self {
                actor,
                credential,
                role: PhantomData,
            }),
            Some(error) => {
                record_denial(state, parts, &actor, &error).await?;
                Err(error.into())
            }
        }
    }
}

/// What a request brings to be recognised by.
enum Shown {
    /// `Authorization: Bearer ...`; no page of another site can make a browser send it.
    Bearer(String),
    /// The session's cookie, which browsers add by themselves.
    Cookie(String),
}

impl Shown {
    /// A header that was written on purpose wins over a cookie.
    fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| Shown::Bearer(token.trim().to_owned()));
        bearer.or_else(|| {
            cookies::read(headers, cookies::SESSION).map(|token| Shown::Cookie(token.to_owned()))
        })
    }
}

/// One keyed read, whatever was shown: of the system store, or of the cache that replicas share, which remembers a session
/// for a second at most. So a logout or a deactivation holds at the next request, or within that second.
async fn recognise(state: &State, shown: &Shown) -> Result<(Actor, Credential), Error> {
    let ports = &state.app.ports;
    let token = match shown {
        Shown::Bearer(key) if key.starts_with(api_keys::PREFIX) => {
            let actor = api_keys::actor_of_key(ports, &Secret::shown(key.as_str())).await?;
            return Ok((actor, Credential::ApiKey));
        }
        Shown::Bearer(token) | Shown::Cookie(token) => token,
    };
    let session = state.tokens.session(token, ports.clock.now())?;
    let actor = logging_in::actor_of_session(ports, &session).await?;
    Ok((actor, Credential::Session(session)))
}

async fn record_denial(
    state: &State,
    parts: &Parts,
    actor: &Actor,
    error: &Error,
) -> Result<(), Error> {
    let route = parts
        .extensions
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let changes = json!({
        "method": parts.method.as_str(),
        "route": route,
        "code": error.code().as_str(),
        "from": ClientAddress::of(parts, state).0.to_string(),
    });
    let now = state.app.ports.clock.now();
    let audit = AuditEntry::new(now, Some(actor.user_id), "denied", "route", changes);
    state.app.ports.store.record(&audit).await
}
