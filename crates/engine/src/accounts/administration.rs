//! What administrators do with the accounts of others, and everyone with their own name.
//!
//! Who may call is decided where the actor is recognised; the acts here trust that `actor` is an administrator.

use serde_json::json;

use super::joining::new_user;
use super::passwords::{check, find, send_reset};
use super::{AccountSettings, Actor, Email, User, UserChange, UserId, entry, parse_full_name};
use crate::error::{Code, Error};
use crate::policy::Role;
use crate::ports::Ports;

/// Creates a user with a password that the administrator hands over.
///
/// # Errors
///
/// [`Code::EmailTaken`], [`Code::InvalidPassword`], [`Code::InvalidRequest`].
pub async fn create_user(
    ports: &Ports,
    actor: &Actor,
    email: &str,
    full_name: &str,
    password: &str,
    role: Role,
) -> Result<UserId, Error> {
    let user = new_user(ports, Email::parse(email)?, full_name, password, role).await?;
    let changes = json!({
        "email": user.email.as_str(),
        "full_name": user.full_name,
        "role": role.as_str(),
    });
    let audit = entry(ports, Some(actor.user_id), "user_created", "user", changes);
    ports.store.create_user(&user, &audit).await
}

/// Returns a user.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn user(ports: &Ports, id: UserId) -> Result<User, Error> {
    find(ports, id).await
}

/// Changes name, role or activity of a user and returns the user as it is now. A deactivated user is out at the next
/// request.
///
/// # Errors
///
/// [`Code::NotFound`], [`Code::LastAdmin`], [`Code::InvalidRequest`]; [`Code::EmptyInput`] if nothing is to change.
pub async fn change_user(
    ports: &Ports,
    actor: &Actor,
    id: UserId,
    mut change: UserChange,
) -> Result<User, Error> {
    if change == UserChange::default() {
        return Err(Error::new(Code::EmptyInput, "nothing is to change")
            .with_hint("give a name, a role or whether the user is active"));
    }
    if let Some(name) = &change.full_name {
        change.full_name = Some(parse_full_name(name)?);
    }
    let action = match change.is_active {
        Some(false) => "user_deactivated",
        Some(true) => "user_activated",
        None => "user_changed",
    };
    let audit = entry(ports, Some(actor.user_id), action, "user", json!({})).about(id);
    let changed = ports.store.change_user(id, &change, &audit).await?;
    changed.ok_or_else(|| Error::new(Code::NotFound, format!("there is no user {id}")))
}

/// Changes the caller's own name and returns the user as it is now.
///
/// # Errors
///
/// [`Code::InvalidRequest`].
pub async fn change_own_name(ports: &Ports, actor: &Actor, full_name: &str) -> Result<User, Error> {
    let change = UserChange {
        full_name: Some(full_name.to_owned()),
        ..UserChange::default()
    };
    change_user(ports, actor, actor.user_id, change).await
}

/// Ends all sessions of a user and returns how many were live. API keys stay.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn log_out_user(ports: &Ports, actor: &Actor, id: UserId) -> Result<u64, Error> {
    find(ports, id).await?;
    let audit = entry(
        ports,
        Some(actor.user_id),
        "logout_everywhere",
        "user",
        json!({}),
    )
    .about(id);
    ports.store.end_all_sessions(id, &audit).await
}

/// Sends a user the letter to choose a new password with.
///
/// # Errors
///
/// [`Code::NotFound`], [`Code::Conflict`] if the user is inactive, [`Code::MailFailed`].
pub async fn send_reset_letter(
    ports: &Ports,
    settings: &AccountSettings,
    actor: &Actor,
    id: UserId,
) -> Result<(), Error> {
    let user = find(ports, id).await?;
    if !user.is_active {
        return Err(
            Error::new(Code::Conflict, format!("the user {id} is not active"))
                .with_hint("activate the user first"),
        );
    }
    send_reset(ports, settings, &user, Some(actor.user_id)).await
}

/// Sets the password of another user and ends all their sessions.
///
/// # Errors
///
/// [`Code::NotFound`], [`Code::InvalidPassword`]; [`Code::Conflict`] for the caller's own password, whose change takes
/// the current one.
pub async fn set_password(
    ports: &Ports,
    actor: &Actor,
    id: UserId,
    password: &str,
) -> Result<(), Error> {
    if id == actor.user_id {
        return Err(
            Error::new(Code::Conflict, "your own password is not set this way")
                .with_hint("change it with the current one"),
        );
    }
    let user = find(ports, id).await?;
    let password = check(ports, password, &[&user.email, &user.full_name]).await?;
    let hash = ports.passwords.hash(&password).await?;
    let audit = entry(
        ports,
        Some(actor.user_id),
        "password_set",
        "user",
        json!({}),
    )
    .about(id);
    ports.store.set_password(id, &hash, None, &audit).await?;
    Ok(())
}
