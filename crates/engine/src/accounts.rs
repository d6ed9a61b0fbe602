//! People and their sessions.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};
use crate::policy::Role;

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
}
