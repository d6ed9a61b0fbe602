//! What accounts need of this machine: the first administrator, the hashing of passwords and the signing of tokens. What
//! people do with their accounts is in [`engine::accounts`].

mod passwords;
mod private_file;
mod tokens;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::accounts::{NewUser, Password, UserFilter, UserId};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::{PageRequest, Ports, Random};
use engine::{Code, Error};
use serde_json::json;

use crate::config::{AuthSettings, Settings};

pub use passwords::{BcryptPasswords, COST as BCRYPT_COST};
pub use private_file::{create_private, read_or_create, write_private};
pub use tokens::AccessTokens;

/// A password that was made up because none was given.
pub struct FreshPassword {
    /// For the terminal, once.
    pub text: String,
    /// The administrator's address.
    pub email: String,
}

/// Returns 256 bits that nobody can guess, as text for an address.
pub fn code(random: &dyn Random) -> String {
    URL_SAFE_NO_PAD.encode(random.bytes())
}

/// Creates the first administrator if there is none. Returns the identifier of the one who has been there longest and,
/// if a password was made up, that password.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn ensure_admin(
    ports: &Ports,
    auth: &AuthSettings,
) -> Result<(UserId, Option<FreshPassword>), Error> {
    if let Some(id) = longest_serving_admin(ports).await? {
        return Ok((id, None));
    }
    let (password, fresh) = match &auth.admin_password {
        Some(password) => (password.clone(), None),
        None => {
            let text = code(&*ports.random);
            let fresh = FreshPassword {
                email: auth.admin_email.as_str().to_owned(),
                text: text.clone(),
            };
            (Password::of_operator(&text)?, Some(fresh))
        }
    };
    let user = NewUser {
        email: auth.admin_email.clone(),
        password_hash: ports.passwords.hash(&password).await?,
        full_name: "Administrator".into(),
        role: Role::Admin,
    };
    let changes = json!({ "email": user.email.as_str(), "role": user.role.as_str() });
    let audit = AuditEntry::new(ports.clock.now(), None, "user_created", "user", changes);
    if let Some(id) = ports.store.create_first_admin(&user, &audit).await? {
        return Ok((id, fresh));
    }
    // Another process was quicker, or every administrator there was is inactive now.
    match longest_serving_admin(ports).await? {
        Some(id) => Ok((id, None)),
        None => Err(Error::new(
            Code::LastAdmin,
            "there are administrators, but none is active",
        )),
    }
}

async fn longest_serving_admin(ports: &Ports) -> Result<Option<UserId>, Error> {
    let filter = UserFilter {
        role: Some(Role::Admin),
        is_active: Some(true),
        ..UserFilter::default()
    };
    let page = PageRequest::first(PageRequest::MAX_LIMIT);
    let admins = ports.store.users(&filter, page).await?;
    Ok(admins.items.last().map(|user| user.id))
}

/// Keeps a made-up password in a file of mode 0600 when there is no terminal to show it on; returns the path.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the data folder cannot be written.
pub fn keep_password(settings: &Settings, password: &FreshPassword) -> Result<PathBuf, Error> {
    let path = password_file(settings);
    write_private(&path, &password.text)?;
    Ok(path)
}

/// Returns where a made-up password is kept.
pub fn password_file(settings: &Settings) -> PathBuf {
    settings.data_dir.join("initial-admin-password")
}
