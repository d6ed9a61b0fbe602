//! Changing a password, by its owner and by letter.

use std::net::IpAddr;

use futures::future::{BoxFuture, FutureExt};
use serde_json::json;

use super::logging_in::LOGIN;
use super::{
    AccountSettings, Actor, Credential, Email, Password, Secret, User, UserId, entry, letters,
    throttle,
};
use crate::error::{Code, Error};
use crate::ports::Ports;

/// The act that letters are counted under.
const FORGOT: &str = "forgot";
/// The act that tokens of letters are counted under.
pub(super) const TOKEN: &str = "token";

/// Checks a new password by all rules; `owner` is what an attacker knows of the one whose it is to be.
///
/// # Errors
///
/// [`Code::InvalidPassword`].
pub async fn check(ports: &Ports, text: &str, owner: &[&str]) -> Result<Password, Error> {
    // The cheap rules come first, so that nothing long reaches the slow one.
    Password::parse(text, |_| false)?;
    let is_guessable = ports.passwords.is_guessable(text, owner).await?;
    Password::parse(text, |_| is_guessable)
}

/// Replaces the caller's own password and ends all other sessions of theirs.
///
/// # Errors
///
/// [`Code::InvalidCredentials`] if `current` is wrong, [`Code::InvalidPassword`], [`Code::RateLimited`] as for a login,
/// [`Code::SessionRequired`] for an API key.
pub async fn change(
    ports: &Ports,
    settings: &AccountSettings,
    actor: &Actor,
    credential: &Credential,
    current: &str,
    new: &str,
    from: IpAddr,
) -> Result<(), Error> {
    let session = credential.session()?;
    let user = find(ports, actor.user_id).await?;
    throttle::take_of_address(ports, LOGIN, from, settings.tries_per_address).await?;
    throttle::take_of_account(ports, LOGIN, &user.email, settings.tries_per_account).await?;
    if !ports
        .passwords
        .verify(current, Some(&user.password_hash))
        .await?
    {
        let changes = json!({ "reason": "wrong_password", "from": from.to_string() });
        let audit = entry(
            ports,
            Some(user.id),
            "password_change_failed",
            "user",
            changes,
        );
        ports.store.record(&audit.about(user.id)).await?;
        return Err(Error::new(
            Code::InvalidCredentials,
            "the current password is wrong",
        ));
    }
    let new = check(ports, new, &[&user.email, &user.full_name]).await?;
    let hash = ports.passwords.hash(&new).await?;
    let audit = entry(
        ports,
        Some(user.id),
        "password_changed",
        "user",
        json!({ "from": from.to_string() }),
    );
    ports
        .store
        .set_password(user.id, &hash, Some(&session.hash()), &audit.about(user.id))
        .await?;
    throttle::forget_account(ports, LOGIN, &user.email).await
}

/// Accepts the wish for a reset letter and returns what is left to do. The caller answers first and runs it apart, so
/// that neither the answer nor its time tells whether the address has an account.
///
/// # Errors
///
/// [`Code::RateLimited`], for addresses with an account and without. What is returned fails with [`Code::MailFailed`].
pub async fn forgot(
    ports: &Ports,
    settings: &AccountSettings,
    email: &str,
    from: IpAddr,
) -> Result<BoxFuture<'static, Result<(), Error>>, Error> {
    throttle::take_of_address(ports, FORGOT, from, settings.letters_per_address).await?;
    throttle::take_of_account(ports, FORGOT, email, settings.letters_per_account).await?;
    let (ports, settings, email) = (ports.clone(), settings.clone(), Email::parse(email));
    let work = async move {
        let Ok(email) = email else { return Ok(()) };
        match ports.store.user_by_email(email.as_str()).await? {
            Some(user) if user.is_active => send_reset(&ports, &settings, &user, None).await,
            _ => Ok(()),
        }
    };
    Ok(work.boxed())
}

/// Records a token and sends the letter with it; `by` is the administrator who asked, if one did.
pub(super) async fn send_reset(
    ports: &Ports,
    settings: &AccountSettings,
    user: &User,
    by: Option<UserId>,
) -> Result<(), Error> {
    let to = Email::parse(&user.email)?;
    let token = Secret::generate(&*ports.random);
    let expires_at = ports.clock.now() + settings.reset_lifetime;
    let audit = entry(ports, by, "password_reset_requested", "user", json!({})).about(user.id);
    ports
        .store
        .begin_password_reset(user.id, &token.hash(), expires_at, &audit)
        .await?;
    ports
        .mailer
        .send(&letters::reset(settings, to, &token, expires_at))
        .await
}

/// Sets a new password with the token of a letter and ends all sessions of the user. The token is used up only if
/// everything is right.
///
/// # Errors
///
/// [`Code::InvalidToken`], [`Code::InvalidPassword`], [`Code::RateLimited`].
pub async fn reset(
    ports: &Ports,
    settings: &AccountSettings,
    token: &str,
    new: &str,
    from: IpAddr,
) -> Result<(), Error> {
    throttle::take_of_address(ports, TOKEN, from, settings.tries_per_address).await?;
    let token = Secret::shown(token).hash();
    let now = ports.clock.now();
    let user = ports.store.password_reset_user(&token, now).await?;
    let user = user.ok_or_else(token_is_over)?;
    let new = check(ports, new, &[&user.email, &user.full_name]).await?;
    let hash = ports.passwords.hash(&new).await?;
    let changes = json!({ "from": from.to_string() });
    let audit = entry(ports, None, "password_reset", "user", changes).about(user.id);
    let done = ports.store.reset_password(&token, &hash, &audit).await?;
    done.ok_or_else(token_is_over)?;
    throttle::forget_account(ports, LOGIN, &user.email).await
}

pub(super) fn token_is_over() -> Error {
    Error::new(
        Code::InvalidToken,
        "the link is unknown, was used before or has expired",
    )
    .with_hint("ask for a new one")
}

/// Returns a user, or says that there is none.
pub(super) async fn find(ports: &Ports, id: UserId) -> Result<User, Error> {
    let user = ports.store.user(id).await?;
    user.ok_or_else(|| Error::new(Code::NotFound, format!("there is no user {id}")))
}
