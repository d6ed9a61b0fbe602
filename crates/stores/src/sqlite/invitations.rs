use chrono::{DateTime, Utc};
use engine::accounts::{Email, Invitation, NewInvitation, NewUser, UserId};
use engine::audit::AuditEntry;
use engine::ports::{Page, PageRequest};
use rusqlite::{Connection, Row, Savepoint};

use super::audit_logs::append_about;
use super::rows::{
    Conditions, execute, first, folded, insert, page, role, text_of, time, time_or_none,
};
use super::{Failed, users};

pub(super) fn create(
    savepoint: &Savepoint<'_>,
    invitation: &NewInvitation,
    audit: AuditEntry,
) -> Result<i64, Failed> {
    let email = invitation.email.as_str();
    users::refuse_taken(savepoint, email)?;
    let at = text_of(audit.at);
    execute(
        savepoint,
        "UPDATE invitations SET withdrawn_at = ?2
         WHERE email_folded = ?1 AND accepted_at IS NULL AND withdrawn_at IS NULL",
        (folded(email), &at),
    )?;
    let id = insert(
        savepoint,
        "INSERT INTO invitations (email, email_folded, role, token_hash, invited_by, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            email,
            folded(email),
            invitation.role.as_str(),
            &invitation.token_hash,
            audit.user_id,
            &at,
            text_of(invitation.expires_at),
        ),
    )?;
    append_about(savepoint, id, audit)?;
    Ok(id)
}

/// Returns the invitation of a token that can be accepted at `now`.
pub(super) fn open(
    connection: &Connection,
    token_hash: &str,
    now: DateTime<Utc>,
) -> rusqlite::Result<Option<Invitation>> {
    first(
        connection,
        "SELECT * FROM invitations
         WHERE token_hash = ?1 AND accepted_at IS NULL AND withdrawn_at IS NULL AND expires_at > ?2",
        (token_hash, text_of(now)),
        read,
    )
}

pub(super) fn accept(
    savepoint: &Savepoint<'_>,
    token_hash: &str,
    password_hash: String,
    full_name: String,
    mut audit: AuditEntry,
) -> Result<Option<UserId>, Failed> {
    let Some(invitation) = open(savepoint, token_hash, audit.at)? else {
        return Ok(None);
    };
    execute(
        savepoint,
        "UPDATE invitations SET accepted_at = ?2 WHERE id = ?1",
        (invitation.id, text_of(audit.at)),
    )?;
    let user = NewUser {
        email: Email::parse(&invitation.email)?,
        password_hash,
        full_name,
        role: invitation.role,
    };
    audit.user_id = None;
    users::create(savepoint, &user, audit).map(Some)
}

pub(super) fn list(
    connection: &Connection,
    request: PageRequest,
) -> rusqlite::Result<Page<Invitation>> {
    page(
        connection,
        "SELECT * FROM invitations",
        Conditions::default(),
        request,
        read,
        |invitation| invitation.id,
    )
}

pub(super) fn withdraw(
    savepoint: &Savepoint<'_>,
    id: i64,
    audit: AuditEntry,
) -> Result<bool, Failed> {
    let changed = execute(
        savepoint,
        "UPDATE invitations SET withdrawn_at = ?2
         WHERE id = ?1 AND accepted_at IS NULL AND withdrawn_at IS NULL AND expires_at > ?2",
        (id, text_of(audit.at)),
    )?;
    if changed == 0 {
        return Ok(false);
    }
    append_about(savepoint, id, audit)?;
    Ok(true)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Invitation> {
    Ok(Invitation {
        id: row.get("id")?,
        email: row.get("email")?,
        role: role(row, "role")?,
        invited_by: row.get("invited_by")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        accepted_at: time_or_none(row, "accepted_at")?,
        withdrawn_at: time_or_none(row, "withdrawn_at")?,
    })
}
