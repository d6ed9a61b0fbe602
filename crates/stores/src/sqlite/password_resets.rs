use chrono::{DateTime, Utc};
use engine::accounts::{User, UserId};
use engine::audit::AuditEntry;
use rusqlite::{Connection, Savepoint};

use super::audit_logs::append_about;
use super::rows::{execute, text_of};
use super::{Failed, users};

pub(super) fn begin(
    savepoint: &Savepoint<'_>,
    user_id: UserId,
    token_hash: &str,
    expires_at: DateTime<Utc>,
    audit: AuditEntry,
) -> Result<(), Failed> {
    let at = text_of(audit.at);
    execute(
        savepoint,
        "UPDATE password_resets SET ended_at = ?2 WHERE user_id = ?1 AND used_at IS NULL AND ended_at IS NULL",
        (user_id, &at),
    )?;
    execute(
        savepoint,
        "INSERT INTO password_resets (user_id, token_hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        (user_id, token_hash, &at, text_of(expires_at)),
    )?;
    append_about(savepoint, user_id, audit)
}

/// Returns the active user of a token that is live at `now`.
pub(super) fn user(
    connection: &Connection,
    token_hash: &str,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<User>> {
    users::find(
        connection,
        "is_active = 1 AND id = (
             SELECT user_id FROM password_resets
             WHERE token_hash = ?1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > ?2
         )",
        (token_hash, text_of(now)),
    )
}

pub(super) fn complete(
    savepoint: &Savepoint<'_>,
    token_hash: &str,
    password_hash: &str,
    mut audit: AuditEntry,
) -> Result<Option<UserId>, Failed> {
    let Some(user) = user(savepoint, token_hash, audit.at)? else {
        return Ok(None);
    };
    execute(
        savepoint,
        "UPDATE password_resets SET used_at = ?2 WHERE token_hash = ?1",
        (token_hash, text_of(audit.at)),
    )?;
    users::set_password(savepoint, user.id, password_hash, audit.at)?;
    users::end_sessions(savepoint, user.id, None, audit.at)?;
    audit.user_id = Some(user.id);
    append_about(savepoint, user.id, audit)?;
    Ok(Some(user.id))
}
