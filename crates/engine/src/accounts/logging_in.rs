//! Sessions: opened with a password, kept alive by refreshing, recognised at every request, ended at will.
//!
//! A session has a secret for its whole life, which the server puts into signed access tokens, and a refresh token,
//! which is that secret, a dot, and a second secret that changes with every refresh.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    AccountSettings, Actor, Credential, Email, NewSession, Rotated, Rotation, Secret, User, entry,
    session_cache, throttle,
};
use crate::error::{Code, Error};
use crate::ports::Ports;

/// The act that tries of a password are counted under, wherever it is asked for.
pub(super) const LOGIN: &str = "login";

/// For so long a used refresh secret is still good: two tabs of one browser may refresh at the same moment, and an
/// answer may be lost on its way.
const LEEWAY: TimeDelta = TimeDelta::seconds(10);

/// A session as handed to its owner.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Whose.
    pub actor: Actor,
    /// The session's secret, to be put into an access token.
    pub secret: Secret,
    /// When that access token must be refreshed.
    pub access_expires_at: DateTime<Utc>,
    /// What to exchange then; good once.
    pub refresh_token: Secret,
    /// When that can no longer be exchanged.
    pub refresh_expires_at: DateTime<Utc>,
}

/// Checks a password and opens a session. Unknown address, wrong password and inactive user cost the same work and get
/// the same answer.
///
/// # Errors
///
/// [`Code::InvalidCredentials`]; [`Code::RateLimited`] after too many tries of the account or from the address.
pub async fn log_in(
    ports: &Ports,
    settings: &AccountSettings,
    email: &str,
    password: &str,
    from: IpAddr,
) -> Result<OpenSession, Error> {
    // The network address comes first: what it has used up must not count against the account it attacks.
    throttle::take_of_address(ports, LOGIN, from, settings.tries_per_address).await?;
    throttle::take_of_account(ports, LOGIN, email, settings.tries_per_account).await?;
    let user = match Email::parse(email) {
        Ok(email) => ports.store.user_by_email(email.as_str()).await?,
        Err(_) => None,
    };
    let stored = user.as_ref().map(|user| user.password_hash.as_str());
    let matches = ports.passwords.verify(password, stored).await?;
    let Some(known) = user.as_ref().filter(|user| matches && user.is_active) else {
        return Err(refuse(ports, user.as_ref(), matches, from).await?);
    };
    let session = open(ports, settings, known, from).await?;
    throttle::forget_account(ports, LOGIN, email).await?;
    Ok(session)
}

/// Records a failed login. What was typed for an unknown address is not recorded: people type passwords there.
async fn refuse(
    ports: &Ports,
    user: Option<&User>,
    matches: bool,
    from: IpAddr,
) -> Result<Error, Error> {
    let reason = match user {
        None => "unknown_user",
        Some(_) if !matches => "wrong_password",
        Some(_) => "inactive",
    };
    let changes = json!({ "reason": reason, "from": from.to_string() });
    let mut audit = entry(ports, None, "login_failed", "user", changes);
    audit.resource_id = user.map(|user| user.id);
    ports.store.record(&audit).await?;
    Ok(Error::new(
        Code::InvalidCredentials,
        "the e-mail address or the password is wrong",
    ))
}

async fn open(
    ports: &Ports,
    settings: &AccountSettings,
    user: &User,
    from: IpAddr,
) -> Result<OpenSession, Error> {
    let actor = Actor {
        user_id: user.id,
        role: user.role,
    };
    let secret = Secret::generate(&*ports.random);
    let refresh_secret = Secret::generate(&*ports.random);
    let now = ports.clock.now();
    let session = handed_over(settings, actor, secret, &refresh_secret, now);
    let new = NewSession {
        user_id: user.id,
        token_hash: session.secret.hash(),
        expires_at: now + settings.session_lifetime,
        refresh_hash: refresh_secret.hash(),
        refresh_expires_at: session.refresh_expires_at,
    };
    let changes = json!({ "from": from.to_string() });
    let audit = entry(ports, Some(user.id), "login", "session", changes);
    ports.store.create_session(&new, &audit).await?;
    Ok(session)
}

fn handed_over(
    settings: &AccountSettings,
    actor: Actor,
    secret: Secret,
    refresh_secret: &Secret,
    now: DateTime<Utc>,
) -> OpenSession {
    let refresh_token = format!("{}.{}", secret.reveal(), refresh_secret.reveal());
    OpenSession {
        actor,
        secret,
        access_expires_at: now + settings.access_lifetime,
        refresh_token: Secret::shown(refresh_token),
        refresh_expires_at: now + settings.refresh_lifetime,
    }
}

/// Exchanges a refresh token for the next one. A token that is shown again later than it should ends the session: one
/// of the two who have it stole it.
///
/// # Errors
///
/// [`Code::SessionExpired`].
pub async fn refresh(
    ports: &Ports,
    settings: &AccountSettings,
    refresh_token: &str,
) -> Result<OpenSession, Error> {
    let (secret, shown) = refresh_token.split_once('.').ok_or_else(session_is_over)?;
    let (secret, shown) = (Secret::shown(secret), Secret::shown(shown));
    let next = Secret::generate(&*ports.random);
    let now = ports.clock.now();
    let rotation = Rotation {
        token_hash: secret.hash(),
        refresh_hash: shown.hash(),
        next_hash: next.hash(),
        next_expires_at: now + settings.refresh_lifetime,
        leeway: LEEWAY,
    };
    let audit = entry(ports, None, "session_refreshed", "session", json!({}));
    match ports.store.rotate_refresh_token(&rotation, &audit).await? {
        Rotated::Fresh(actor) => Ok(handed_over(settings, actor, secret, &next, now)),
        Rotated::Reused | Rotated::Unknown => Err(session_is_over()),
    }
}

/// Recognises the actor behind a session's secret.
///
/// # Errors
///
/// [`Code::SessionExpired`] if the session is over or its user inactive.
pub async fn actor_of_session(ports: &Ports, secret: &Secret) -> Result<Actor, Error> {
    let actor = session_cache::actor(ports, &secret.hash()).await?;
    actor.ok_or_else(session_is_over)
}

/// Ends the session that the caller has shown.
///
/// # Errors
///
/// [`Code::SessionRequired`] for an API key.
pub async fn log_out(ports: &Ports, actor: &Actor, credential: &Credential) -> Result<(), Error> {
    let secret = credential.session()?;
    let audit = entry(ports, Some(actor.user_id), "logout", "session", json!({}));
    let hash = secret.hash();
    ports.store.end_session(&hash, &audit).await?;
    session_cache::forget(ports, &hash).await;
    Ok(())
}

/// Ends all sessions of the caller, the one shown too. API keys stay.
///
/// # Errors
///
/// [`Code::SessionRequired`] for an API key.
pub async fn log_out_everywhere(
    ports: &Ports,
    actor: &Actor,
    credential: &Credential,
) -> Result<u64, Error> {
    let secret = credential.session()?;
    let audit = entry(
        ports,
        Some(actor.user_id),
        "logout_everywhere",
        "user",
        json!({}),
    )
    .about(actor.user_id);
    let ended = ports.store.end_all_sessions(actor.user_id, &audit).await?;
    session_cache::forget(ports, &secret.hash()).await;
    Ok(ended)
}

fn session_is_over() -> Error {
    Error::new(Code::SessionExpired, "the session is over").with_hint("log in again")
}
