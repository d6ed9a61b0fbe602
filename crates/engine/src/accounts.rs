//! People: who they are, how they prove it, and for how long. The acts, such as logging in or resetting a password, are
//! in the modules; each is a function over [`Ports`] that knows neither HTTP nor the form of a token.

pub mod administration;
pub mod api_keys;
pub mod joining;
pub mod logging_in;
pub mod passwords;
pub mod recovery;

mod letters;
mod secret;
mod session_cache;
mod settings;
mod throttle;

pub use secret::Secret;
pub use settings::{AccountSettings, Registration};

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::policy::Role;
use crate::ports::Ports;

/// The identifier of a user in the system store.
pub type UserId = i64;

/// The authenticated user on whose behalf something is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
}

/// What an actor has shown to be recognised.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The secret of a session, which began with the password.
    Session(Secret),
    /// A personal key, which may have been left in a script or on a server.
    ApiKey,
}

impl Credential {
    /// Returns the session's secret, for acts that a key must not be able to do.
    ///
    /// # Errors
    ///
    /// [`Code::SessionRequired`] for an API key.
    pub fn session(&self) -> Result<&Secret, Error> {
        match self {
            Credential::Session(secret) => Ok(secret),
            Credential::ApiKey => Err(Error::new(
                Code::SessionRequired,
                "an API key may not do this",
            )
            .with_hint("log in with the password and use the session")),
        }
    }
}

/// An e-mail address that is plausible: one `@`, something on both sides, no white space, at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Parses an address; kept as typed, compared without regard to case by the system store.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidRequest`] if it is not plausible.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let plausible = text.len() <= 254
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && text.split_once('@').is_some_and(|(name, host)| {
                !name.is_empty() && !host.is_empty() && !host.contains('@')
            });
        if plausible {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::new(
                Code::InvalidRequest,
                format!("`{text}` is not an e-mail address"),
            ))
        }
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A new password that may be used: long enough, short enough for bcrypt, not one that is known from breaches.
///
/// Its text is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Characters at least. Source: NIST SP 800-63B-4, section 3.1.1.2, asks for 15 without a second factor and 8 with
    /// one; 12 stands between, with a check of known passwords.
    pub const MIN_CHARS: usize = 12;

    /// Bytes at most: bcrypt reads no more, and a password is never cut.
    pub const MAX_BYTES: usize = 72;

    /// Parses a password. `is_known` says whether a text is among passwords known from breaches.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidPassword`], naming the rule but never the password.
    pub fn parse(text: &str, is_known: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let refuse = |message: String| {
            Err(Error::new(Code::InvalidPassword, message).with_hint(
                format!("choose {} characters or more, for example four words that have nothing to do with each other", Self::MIN_CHARS),
            ))
        };
        let chars = text.chars().count();
        if chars < Self::MIN_CHARS {
            return refuse(format!(
                "the password has {chars} characters, at least {} are needed",
                Self::MIN_CHARS
            ));
        }
        if text.len() > Self::MAX_BYTES {
            return refuse(format!(
                "the password has {} bytes, at most {} are allowed",
                text.len(),
                Self::MAX_BYTES
            ));
        }
        if text.contains('\0') {
            return refuse("the password holds a NUL character".into());
        }
        if is_known(text) {
            return refuse("the password is among those that attackers try first".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes the password that an operator set for the first administrator. Only what cannot be hashed is refused: the
    /// operator answers for the rest.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidPassword`] if it is empty, longer than bcrypt reads or holds a NUL character.
    pub fn of_operator(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.contains('\0') {
            return Err(Error::new(
                Code::InvalidPassword,
                format!(
                    "a password has 1 to {} bytes and no NUL character",
                    Self::MAX_BYTES
                ),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text, for hashing only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Parses the name of a person as shown to others: one line of 1 to 200 characters.
///
/// # Errors
///
/// [`Code::InvalidRequest`].
pub fn parse_full_name(text: &str) -> Result<String, Error> {
    parse_line("the name", text, 200)
}

/// Parses one line of text; `what` names it in the error.
fn parse_line(what: &str, text: &str, max_chars: usize) -> Result<String, Error> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars == 0 || chars > max_chars || text.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidRequest,
            format!("{what} must be one line of 1 to {max_chars} characters"),
        ));
    }
    Ok(text.to_owned())
}

/// Makes the audit entry of an act that happens now.
fn entry(
    ports: &Ports,
    by: Option<UserId>,
    action: &'static str,
    resource: &'static str,
    changes: Json,
) -> AuditEntry {
    AuditEntry::new(ports.clock.now(), by, action, resource, changes)
}

/// A user about to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The address to log in with.
    pub email: Email,
    /// The bcrypt hash of the password.
    pub password_hash: String,
    /// The name as shown.
    pub full_name: String,
    /// What they may do.
    pub role: Role,
}

/// A user as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The identifier.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// The bcrypt hash of the password.
    pub password_hash: String,
    /// The name as shown.
    pub full_name: String,
    /// What they may do.
    pub role: Role,
    /// May log in.
    pub is_active: bool,
    /// When they last logged in.
    pub last_login: Option<DateTime<Utc>>,
    /// When they last asked, to the second.
    pub last_query_at: Option<DateTime<Utc>>,
    /// When they were created.
    pub created_at: DateTime<Utc>,
    /// When they were last changed.
    pub updated_at: DateTime<Utc>,
}

/// What to change of a user; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// The name as shown.
    pub full_name: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// May log in.
    pub is_active: Option<bool>,
}

/// Which users are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Of this role.
    pub role: Option<Role>,
    /// Who may, or may not, log in.
    pub is_active: Option<bool>,
    /// Whose address or name contains this text, without regard to ASCII case.
    pub search: Option<String>,
}

/// A session about to be opened.
///
/// A session has one secret for its whole life, which every access token carries inside its signature, and a second
/// one that changes with each refresh. The store knows the BLAKE3 hashes, in hex, of both.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose.
    pub user_id: UserId,
    /// The hash of the session's secret.
    pub token_hash: String,
    /// When it ends, however often it is refreshed.
    pub expires_at: DateTime<Utc>,
    /// The hash of the first refresh secret.
    pub refresh_hash: String,
    /// When that can no longer be exchanged.
    pub refresh_expires_at: DateTime<Utc>,
}

/// One refresh secret exchanged for the next.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The hash of the session's secret.
    pub token_hash: String,
    /// The hash of the refresh secret shown.
    pub refresh_hash: String,
    /// The hash of the next one.
    pub next_hash: String,
    /// When the next one can no longer be exchanged.
    pub next_expires_at: DateTime<Utc>,
    /// For so long a used secret is still good: two tabs of one browser may refresh at the same moment.
    pub leeway: TimeDelta,
}

/// What came of a [`Rotation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The next secret is in force.
    Fresh(Actor),
    /// The secret had been used before; the session is over.
    Reused,
    /// No such live secret.
    Unknown,
}

/// A personal key about to be recorded.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Whose.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// BLAKE3, in hex, of the key.
    pub key_hash: String,
    /// The most it may do, whatever its owner may.
    pub scope: Role,
    /// When it ends; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A personal key as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// The identifier.
    pub id: i64,
    /// Whose.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// The most it may do, whatever its owner may.
    pub scope: Role,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends; null for never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// An invitation about to be recorded.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Who is invited.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// BLAKE3, in hex, of the token in the letter.
    pub token_hash: String,
    /// When it can no longer be accepted.
    pub expires_at: DateTime<Utc>,
}

/// An invitation as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invitation {
    /// The identifier.
    pub id: i64,
    /// Who is invited.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Who invited; null for the command line.
    pub invited_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it can no longer be accepted.
    pub expires_at: DateTime<Utc>,
    /// When it was accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it was withdrawn, or replaced by a later one.
    pub withdrawn_at: Option<DateTime<Utc>>,
}
