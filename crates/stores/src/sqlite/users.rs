use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::accounts::{Invitation, NewInvitation, NewUser, User, UserChange, UserFilter, UserId};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::{Page, PageRequest, Users};
use engine::{Code, Error};
use rusqlite::{Connection, Params, Row, Savepoint};
use serde_json::{Value as Json, json};

use super::audit_logs::append_about;
use super::rows::{
    Conditions, execute, first, folded, insert, page, role, text_of, time, time_or_none,
};
use super::{Failed, SqliteStore, invitations, password_resets};

#[async_trait]
impl Users for SqliteStore {
    async fn create_first_admin(
        &self,
        user: &NewUser,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        let (user, mut audit) = (user.clone(), audit.clone());
        self.write(move |savepoint| {
            let has_admin: bool = savepoint.query_row(
                "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin')",
                [],
                |row| row.get(0),
            )?;
            if has_admin {
                return Ok(None);
            }
            audit.user_id = None;
            create(savepoint, &user, audit).map(Some)
        })
        .await
    }

    async fn create_user(&self, user: &NewUser, audit: &AuditEntry) -> Result<UserId, Error> {
        let (user, audit) = (user.clone(), audit.clone());
        self.write(move |savepoint| create(savepoint, &user, audit))
            .await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let email = folded(email);
        self.read(move |connection| find(connection, "email_folded = ?1", [email]))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        self.read(move |connection| find(connection, "id = ?1", [id]))
            .await
    }

    async fn users(&self, filter: &UserFilter, request: PageRequest) -> Result<Page<User>, Error> {
        let conditions = Conditions::default()
            .and(
                "role = ?N",
                filter.role.map(|role| role.as_str().to_owned()),
            )
            .and("is_active = ?N", filter.is_active)
            .and_contains(&["email", "full_name"], filter.search.as_deref());
        self.read(move |connection| {
            page(
                connection,
                "SELECT * FROM users",
                conditions,
                request,
                read,
                |user| user.id,
            )
        })
        .await
    }

    async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        audit: &AuditEntry,
    ) -> Result<Option<User>, Error> {
        let (change, audit) = (change.clone(), audit.clone());
        self.write(move |savepoint| change_user(savepoint, id, change, audit))
            .await
    }

    async fn set_password(
        &self,
        id: UserId,
        password_hash: &str,
        keep_session: Option<&str>,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let (password_hash, keep_session, audit) = (
            password_hash.to_owned(),
            keep_session.map(str::to_owned),
            audit.clone(),
        );
        self.write(move |savepoint| {
            if !set_password(savepoint, id, &password_hash, audit.at)? {
                return Ok(false);
            }
            end_sessions(savepoint, id, keep_session.as_deref(), audit.at)?;
            append_about(savepoint, id, audit)?;
            Ok(true)
        })
        .await
    }

    async fn begin_password_reset(
        &self,
        id: UserId,
        token_hash: &str,
        expires_at: DateTime<Utc>,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (token_hash, audit) = (token_hash.to_owned(), audit.clone());
        self.write(move |savepoint| {
            password_resets::begin(savepoint, id, &token_hash, expires_at, audit)
        })
        .await
    }

    async fn password_reset_user(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<User>, Error> {
        let token_hash = token_hash.to_owned();
        self.read(move |connection| password_resets::user(connection, &token_hash, now))
            .await
    }

    async fn reset_password(
        &self,
        token_hash: &str,
        password_hash: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        let (token_hash, password_hash, audit) = (
            token_hash.to_owned(),
            password_hash.to_owned(),
            audit.clone(),
        );
        self.write(move |savepoint| {
            password_resets::complete(savepoint, &token_hash, &password_hash, audit)
        })
        .await
    }

    async fn create_invitation(
        &self,
        invitation: &NewInvitation,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        let (invitation, audit) = (invitation.clone(), audit.clone());
        self.write(move |savepoint| invitations::create(savepoint, &invitation, audit))
            .await
    }

    async fn invitation(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Invitation>, Error> {
        let token_hash = token_hash.to_owned();
        self.read(move |connection| invitations::open(connection, &token_hash, now))
            .await
    }

    async fn accept_invitation(
        &self,
        token_hash: &str,
        password_hash: &str,
        full_name: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        let (token_hash, password_hash, full_name, audit) = (
            token_hash.to_owned(),
            password_hash.to_owned(),
            full_name.to_owned(),
            audit.clone(),
        );
        self.write(move |savepoint| {
            invitations::accept(savepoint, &token_hash, password_hash, full_name, audit)
        })
        .await
    }

    async fn invitations(&self, request: PageRequest) -> Result<Page<Invitation>, Error> {
        self.read(move |connection| invitations::list(connection, request))
            .await
    }

    async fn withdraw_invitation(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| invitations::withdraw(savepoint, id, audit))
            .await
    }
}

/// Creates a user; an entry without a user becomes the new user's own.
pub(super) fn create(
    savepoint: &Savepoint<'_>,
    user: &NewUser,
    mut audit: AuditEntry,
) -> Result<UserId, Failed> {
    refuse_taken(savepoint, user.email.as_str())?;
    let id = insert(
        savepoint,
        "INSERT INTO users (email, email_folded, password_hash, full_name, role, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        (
            user.email.as_str(),
            folded(user.email.as_str()),
            &user.password_hash,
            &user.full_name,
            user.role.as_str(),
            text_of(audit.at),
        ),
    )?;
    audit.user_id = audit.user_id.or(Some(id));
    append_about(savepoint, id, audit)?;
    Ok(id)
}

/// Fails if a user has this address.
pub(super) fn refuse_taken(connection: &Connection, email: &str) -> Result<(), Failed> {
    match find(connection, "email_folded = ?1", [folded(email)])? {
        Some(user) => Err(Error::new(
            Code::EmailTaken,
            format!("a user has the address `{}` already", user.email),
        )
        .into()),
        None => Ok(()),
    }
}

fn change_user(
    savepoint: &Savepoint<'_>,
    id: UserId,
    change: UserChange,
    audit: AuditEntry,
) -> Result<Option<User>, Failed> {
    let Some(before) = find(savepoint, "id = ?1", [id])? else {
        return Ok(None);
    };
    let after = User {
        full_name: change.full_name.unwrap_or(before.full_name.clone()),
        role: change.role.unwrap_or(before.role),
        is_active: change.is_active.unwrap_or(before.is_active),
        updated_at: audit.at,
        ..before.clone()
    };
    if is_active_admin(&before) && !is_active_admin(&after) && !has_other_admin(savepoint, id)? {
        return Err(Error::new(
            Code::LastAdmin,
            format!("`{}` is the last active administrator", before.email),
        )
        .with_hint("make someone else an administrator first")
        .into());
    }
    execute(
        savepoint,
        "UPDATE users SET full_name = ?2, role = ?3, is_active = ?4, updated_at = ?5 WHERE id = ?1",
        (
            id,
            &after.full_name,
            after.role.as_str(),
            after.is_active,
            text_of(after.updated_at),
        ),
    )?;
    if before.is_active && !after.is_active {
        end_sessions(savepoint, id, None, audit.at)?;
        execute(
            savepoint,
            "UPDATE api_keys SET revoked_at = ?2 WHERE user_id = ?1 AND revoked_at IS NULL",
            (id, text_of(audit.at)),
        )?;
    }
    let audit = audit.with_difference(&fields(&before), &fields(&after));
    append_about(savepoint, id, audit)?;
    Ok(Some(after))
}

fn is_active_admin(user: &User) -> bool {
    user.is_active && user.role == Role::Admin
}

fn has_other_admin(connection: &Connection, id: UserId) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND is_active = 1 AND id <> ?1)",
        [id],
        |row| row.get(0),
    )
}

/// What of a user can change and may be shown.
fn fields(user: &User) -> Json {
    json!({ "full_name": user.full_name, "role": user.role, "is_active": user.is_active })
}

/// Replaces a password hash, ends open reset tokens and says whether there is such a user.
pub(super) fn set_password(
    savepoint: &Savepoint<'_>,
    id: UserId,
    password_hash: &str,
    at: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let changed = execute(
        savepoint,
        "UPDATE users SET password_hash = ?2, updated_at = ?3 WHERE id = ?1",
        (id, password_hash, text_of(at)),
    )?;
    if changed != 1 {
        return Ok(false);
    }
    execute(
        savepoint,
        "UPDATE password_resets SET ended_at = ?2 WHERE user_id = ?1 AND used_at IS NULL AND ended_at IS NULL",
        (id, text_of(at)),
    )?;
    Ok(true)
}

/// Ends the live sessions of a user, all but the one of `keep`, and returns how many.
pub(super) fn end_sessions(
    savepoint: &Savepoint<'_>,
    user_id: UserId,
    keep: Option<&str>,
    at: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    execute(
        savepoint,
        "UPDATE sessions SET ended_at = ?2
         WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2 AND token_hash IS NOT ?3",
        (user_id, text_of(at), keep),
    )
}

pub(super) fn find(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> rusqlite::Result<Option<User>> {
    first(
        connection,
        &format!("SELECT * FROM users WHERE {condition}"),
        params,
        read,
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get("id")?,
        email: row.get("email")?,
        password_hash: row.get("password_hash")?,
        full_name: row.get("full_name")?,
        role: role(row, "role")?,
        is_active: row.get("is_active")?,
        last_login: time_or_none(row, "last_login")?,
        last_query_at: time_or_none(row, "last_query_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
