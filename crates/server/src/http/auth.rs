//! From a bearer token to an actor with the role that the handler's signature asks for.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use engine::accounts::Actor;
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::{Code, Error};
use serde_json::json;

use super::State;
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
    /// The token they showed.
    pub token: String,
    role: PhantomData<R>,
}

impl<R: RequiredRole> FromRequestParts<Arc<State>> for Require<R> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Failure> {
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim().to_owned())
            .ok_or_else(|| {
                Error::new(Code::MissingCredentials, "no bearer token was given")
                    .with_hint("log in at /api/v1/auth/login and send the token as `Authorization: Bearer TOKEN`")
            })?;
        let ports = &state.app.ports;
        let actor = state.sessions.actor(ports, &token).await?;
        if actor.role < R::ROLE {
            let changes = json!({ "path": parts.uri.path(), "needs": R::ROLE.as_str() });
            let audit = AuditEntry::new(Some(actor.user_id), "denied", "route", changes);
            ports.store.record(&audit).await?;
            let message = format!("this takes the role {}", R::ROLE.as_str());
            return Err(Error::new(Code::RoleTooLow, message).into());
        }
        Ok(Self {
            actor,
            token,
            role: PhantomData,
        })
    }
}
