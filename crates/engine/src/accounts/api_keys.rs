//! Personal keys for programs: a session is not for them, because it ends.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Actor, ApiKey, Credential, NewApiKey, Secret, entry, parse_line};
use crate::error::{Code, Error};
use crate::policy::Role;
use crate::ports::Ports;

/// What every key begins with, so that people and scanners of repositories know one when they see it.
pub const PREFIX: &str = "assay_";

/// Makes a key and returns it; nobody can show it again.
///
/// # Errors
///
/// [`Code::SessionRequired`] for a caller with an API key, so that a leaked one cannot be made to last;
/// [`Code::RoleTooLow`] for a scope above the caller's role; [`Code::InvalidRequest`].
pub async fn create(
    ports: &Ports,
    actor: &Actor,
    credential: &Credential,
    name: &str,
    scope: Role,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(ApiKey, Secret), Error> {
    credential.session()?;
    let name = parse_line("the key's name", name, 100)?;
    if scope > actor.role {
        let message = format!(
            "a {} cannot make a key for {}",
            actor.role.as_str(),
            scope.as_str()
        );
        return Err(Error::new(Code::RoleTooLow, message));
    }
    if expires_at.is_some_and(|end| end <= ports.clock.now()) {
        return Err(Error::new(
            Code::InvalidRequest,
            "`expires_at` must lie in the future",
        ));
    }
    let key = format!("{PREFIX}{}", Secret::generate(&*ports.random).reveal());
    let key = Secret::shown(key);
    let new = NewApiKey {
        user_id: actor.user_id,
        name,
        key_hash: key.hash(),
        scope,
        expires_at,
    };
    let changes = json!({ "name": new.name, "scope": scope.as_str(), "expires_at": expires_at });
    let audit = entry(
        ports,
        Some(actor.user_id),
        "api_key_created",
        "api_key",
        changes,
    );
    let id = ports.store.create_api_key(&new, &audit).await?;
    let stored = ApiKey {
        id,
        user_id: new.user_id,
        name: new.name,
        scope,
        created_at: audit.at,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    Ok((stored, key))
}

/// Recognises the actor behind a key, whose role is at most the key's scope.
///
/// # Errors
///
/// [`Code::SessionExpired`] if the key is unknown, expired or revoked, or its user inactive.
pub async fn actor_of_key(ports: &Ports, key: &Secret) -> Result<Actor, Error> {
    let now = ports.clock.now();
    let actor = ports.store.api_key_actor(&key.hash(), now).await?;
    actor.ok_or_else(|| {
        Error::new(
            Code::SessionExpired,
            "the API key is unknown, expired or revoked",
        )
        .with_hint("log in and make a new one")
    })
}

/// Revokes one of the caller's own keys.
///
/// # Errors
///
/// [`Code::NotFound`] if the caller has no such live key, [`Code::SessionRequired`] for a caller with an API key.
pub async fn revoke(
    ports: &Ports,
    actor: &Actor,
    credential: &Credential,
    id: i64,
) -> Result<(), Error> {
    credential.session()?;
    let audit = entry(
        ports,
        Some(actor.user_id),
        "api_key_revoked",
        "api_key",
        json!({}),
    )
    .about(id);
    if ports
        .store
        .revoke_api_key(actor.user_id, id, &audit)
        .await?
    {
        Ok(())
    } else {
        Err(Error::new(
            Code::NotFound,
            format!("you have no live API key {id}"),
        ))
    }
}
