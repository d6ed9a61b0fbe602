//! How people come to have an account: registered by themselves, or invited by an administrator.

use std::net::IpAddr;

use serde_json::json;

use super::passwords::{TOKEN, check, token_is_over};
use super::{
    AccountSettings, Actor, Email, Invitation, NewInvitation, NewUser, Registration, Secret,
    UserId, entry, letters, parse_full_name, throttle,
};
use crate::error::{Code, Error};
use crate::policy::Role;
use crate::ports::Ports;

/// Makes an account for someone who is not invited, as a viewer, where the policy lets everyone in.
///
/// # Errors
///
/// [`Code::RegistrationClosed`], [`Code::EmailTaken`], [`Code::InvalidPassword`], [`Code::InvalidRequest`],
/// [`Code::RateLimited`].
pub async fn register(
    ports: &Ports,
    settings: &AccountSettings,
    email: &str,
    full_name: &str,
    password: &str,
    from: IpAddr,
) -> Result<UserId, Error> {
    if settings.registration != Registration::Open {
        return Err(
            Error::new(Code::RegistrationClosed, "registration is not open")
                .with_hint("ask an administrator for an account"),
        );
    }
    throttle::take_of_address(ports, "register", from, settings.tries_per_address).await?;
    let user = new_user(
        ports,
        Email::parse(email)?,
        full_name,
        password,
        Role::Viewer,
    )
    .await?;
    let changes = json!({
        "email": user.email.as_str(),
        "full_name": user.full_name,
        "role": user.role.as_str(),
        "from": from.to_string(),
    });
    let audit = entry(ports, None, "user_registered", "user", changes);
    ports.store.create_user(&user, &audit).await
}

/// Makes the account of the first administrator, who chose everything about it.
///
/// # Errors
///
/// [`Code::Conflict`] if there is an administrator, [`Code::InvalidPassword`], [`Code::InvalidRequest`].
pub async fn first_administrator(
    ports: &Ports,
    email: &str,
    full_name: &str,
    password: &str,
) -> Result<UserId, Error> {
    let user = new_user(
        ports,
        Email::parse(email)?,
        full_name,
        password,
        Role::Admin,
    )
    .await?;
    let changes = json!({ "email": user.email.as_str(), "role": user.role.as_str() });
    let audit = entry(ports, None, "user_created", "user", changes);
    let created = ports.store.create_first_admin(&user, &audit).await?;
    created.ok_or_else(|| Error::new(Code::Conflict, "there is an administrator already"))
}

/// Checks everything about a user to be and hashes the password.
pub(super) async fn new_user(
    ports: &Ports,
    email: Email,
    full_name: &str,
    password: &str,
    role: Role,
) -> Result<NewUser, Error> {
    let full_name = parse_full_name(full_name)?;
    let password = check(ports, password, &[email.as_str(), &full_name]).await?;
    Ok(NewUser {
        password_hash: ports.passwords.hash(&password).await?,
        email,
        full_name,
        role,
    })
}

/// Invites someone by letter. An earlier open invitation to the same address ends.
///
/// # Errors
///
/// [`Code::RegistrationClosed`] if the policy knows no invitations; [`Code::EmailTaken`], [`Code::InvalidRequest`];
/// [`Code::MailFailed`], after which a second try sends a new letter.
pub async fn invite(
    ports: &Ports,
    settings: &AccountSettings,
    actor: &Actor,
    email: &str,
    role: Role,
) -> Result<Invitation, Error> {
    not_closed(settings)?;
    let email = Email::parse(email)?;
    let token = Secret::generate(&*ports.random);
    let now = ports.clock.now();
    let new = NewInvitation {
        email: email.clone(),
        role,
        token_hash: token.hash(),
        expires_at: now + settings.invitation_lifetime,
    };
    let changes = json!({ "email": email.as_str(), "role": role.as_str() });
    let audit = entry(
        ports,
        Some(actor.user_id),
        "invitation_created",
        "invitation",
        changes,
    );
    let id = ports.store.create_invitation(&new, &audit).await?;
    let letter = letters::invitation(settings, email, &token, new.expires_at);
    ports.mailer.send(&letter).await?;
    Ok(Invitation {
        id,
        email: new.email.as_str().to_owned(),
        role,
        invited_by: Some(actor.user_id),
        created_at: audit.at,
        expires_at: new.expires_at,
        accepted_at: None,
        withdrawn_at: None,
    })
}

fn not_closed(settings: &AccountSettings) -> Result<(), Error> {
    if settings.registration == Registration::Closed {
        return Err(
            Error::new(Code::RegistrationClosed, "there are no invitations")
                .with_hint("an administrator sets REGISTRATION to `invite`, or creates the user"),
        );
    }
    Ok(())
}

/// Makes the account of an invitation.
///
/// # Errors
///
/// [`Code::InvalidToken`], [`Code::InvalidPassword`], [`Code::InvalidRequest`], [`Code::EmailTaken`],
/// [`Code::RegistrationClosed`] if the policy knows no invitations any more, [`Code::RateLimited`].
pub async fn accept_invitation(
    ports: &Ports,
    settings: &AccountSettings,
    token: &str,
    full_name: &str,
    password: &str,
    from: IpAddr,
) -> Result<UserId, Error> {
    not_closed(settings)?;
    throttle::take_of_address(ports, TOKEN, from, settings.tries_per_address).await?;
    let token = Secret::shown(token).hash();
    let invitation = ports.store.invitation(&token, ports.clock.now()).await?;
    let invitation = invitation.ok_or_else(token_is_over)?;
    let email = Email::parse(&invitation.email)?;
    let user = new_user(ports, email, full_name, password, invitation.role).await?;
    let changes = json!({
        "email": user.email.as_str(),
        "full_name": user.full_name,
        "role": user.role.as_str(),
        "from": from.to_string(),
    });
    let audit = entry(ports, None, "invitation_accepted", "user", changes);
    let id = ports
        .store
        .accept_invitation(&token, &user.password_hash, &user.full_name, &audit)
        .await?;
    id.ok_or_else(token_is_over)
}

/// Withdraws an open invitation.
///
/// # Errors
///
/// [`Code::NotFound`] if there is none such.
pub async fn withdraw_invitation(ports: &Ports, actor: &Actor, id: i64) -> Result<(), Error> {
    let audit = entry(
        ports,
        Some(actor.user_id),
        "invitation_withdrawn",
        "invitation",
        json!({}),
    )
    .about(id);
    if ports.store.withdraw_invitation(id, &audit).await? {
        Ok(())
    } else {
        Err(Error::new(
            Code::NotFound,
            format!("there is no open invitation {id}"),
        ))
    }
}
