//! A new password from the command line, for someone whom no administrator can help.

use serde_json::json;

use super::passwords::{check, find};
use super::{UserId, entry};
use crate::error::Error;
use crate::ports::Ports;

/// Sets the password of any user, the only administrator's too, and ends all their sessions. The entry names nobody: it
/// was someone who may run commands on the server's machine.
///
/// # Errors
///
/// [`crate::Code::NotFound`], [`crate::Code::InvalidPassword`].
pub async fn reset_password(ports: &Ports, id: UserId, password: &str) -> Result<(), Error> {
    let user = find(ports, id).await?;
    let password = check(ports, password, &[&user.email, &user.full_name]).await?;
    let hash = ports.passwords.hash(&password).await?;
    let changes = json!({ "from": "command line" });
    let audit = entry(ports, None, "password_set", "user", changes).about(id);
    ports.store.set_password(id, &hash, None, &audit).await?;
    Ok(())
}
