use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::accounts::{Invitation, NewInvitation, NewUser, User, UserChange, UserFilter, UserId};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::{Page, PageRequest, Users};
use engine::{Code, Error};
use serde_json::{Value as Json, json};
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{and, and_contains, folded, id, role, select, storable};
use super::transaction::Transaction;

macro_rules! columns {
    () => {
        "id, email, password_hash, full_name, role, is_active, last_login, last_query_at, created_at, updated_at"
    };
}

#[async_trait]
impl Users for PostgresStore {
    async fn create_first_admin(
        &self,
        user: &NewUser,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        let mut transaction = self.begin().await?;
        if has_admin(&mut transaction).await? {
            return Ok(None);
        }
        // Looked at again when no one else can be making one.
        transaction
            .script("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
            .await?;
        if has_admin(&mut transaction).await? {
            return Ok(None);
        }
        let mut audit = audit.clone();
        audit.user_id = None;
        let id = create(&mut transaction, user, audit).await?;
        transaction.commit().await?;
        Ok(Some(id))
    }

    async fn create_user(&self, user: &NewUser, audit: &AuditEntry) -> Result<UserId, Error> {
        let mut transaction = self.begin().await?;
        let id = create(&mut transaction, user, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM users WHERE email_folded = $1");
        self.one(query(FIND).bind(folded(email)), read).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1");
        self.one(query(FIND).bind(id), read).await
    }

    async fn users(&self, filter: &UserFilter, request: PageRequest) -> Result<Page<User>, Error> {
        let mut users = select(concat!(columns!(), " FROM users"));
        and(&mut users, "role = ", filter.role.map(Role::as_str));
        and(&mut users, "is_active = ", filter.is_active);
        and_contains(
            &mut users,
            &["email", "full_name"],
            filter.search.as_deref(),
        );
        self.page(users, request, read, |user| user.id).await
    }

    async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        audit: &AuditEntry,
    ) -> Result<Option<User>, Error> {
        let mut transaction = self.begin().await?;
        let changed = change_user(&mut transaction, id, change, audit.clone()).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    async fn set_password(
        &self,
        id: UserId,
        password_hash: &str,
        keep_session: Option<&str>,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        if !set_password(&mut transaction, id, password_hash, audit.at).await? {
            return Ok(false);
        }
        end_sessions(&mut transaction, id, keep_session, audit.at).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn begin_password_reset(
        &self,
        id: UserId,
        token_hash: &str,
        expires_at: DateTime<Utc>,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        self.begin_reset(id, token_hash, expires_at, audit).await
    }

    async fn password_reset_user(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<User>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM users WHERE is_active AND id = (
                 SELECT user_id FROM password_resets
                 WHERE token_hash = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2
             )"
        );
        let find = query(FIND).bind(storable(token_hash)).bind(now);
        self.one(find, read).await
    }

    async fn reset_password(
        &self,
        token_hash: &str,
        password_hash: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        self.complete_reset(token_hash, password_hash, audit).await
    }

    async fn create_invitation(
        &self,
        invitation: &NewInvitation,
        audit: &AuditEntry,
    ) -> Result<i64, Error> {
        self.invite(invitation, audit).await
    }

    async fn invitation(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Invitation>, Error> {
        self.open_invitation(token_hash, now).await
    }

    async fn accept_invitation(
        &self,
        token_hash: &str,
        password_hash: &str,
        full_name: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        self.accept(token_hash, password_hash, full_name, audit)
            .await
    }

    async fn invitations(&self, request: PageRequest) -> Result<Page<Invitation>, Error> {
        self.list_invitations(request).await
    }

    async fn withdraw_invitation(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        self.withdraw(id, audit).await
    }
}

async fn has_admin(transaction: &mut Transaction) -> Result<bool, Error> {
    let has_admin = query("SELECT EXISTS (SELECT FROM users WHERE role = 'admin')");
    transaction.only(has_admin, |row| row.try_get(0)).await
}

/// Creates a user; an entry without a user becomes the new user's own.
pub(super) async fn create(
    transaction: &mut Transaction,
    user: &NewUser,
    mut audit: AuditEntry,
) -> Result<UserId, Error> {
    let insert = query(
        "INSERT INTO users (email, email_folded, password_hash, full_name, role, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING id",
    )
    .bind(storable(user.email.as_str()))
    .bind(folded(user.email.as_str()))
    .bind(&user.password_hash)
    .bind(storable(&user.full_name))
    .bind(user.role.as_str())
    .bind(audit.at);
    let id = transaction.only(insert, id).await?;
    audit.user_id = audit.user_id.or(Some(id));
    transaction.append_about(id, audit).await?;
    Ok(id)
}

async fn change_user(
    transaction: &mut Transaction,
    id: UserId,
    change: &UserChange,
    audit: AuditEntry,
) -> Result<Option<User>, Error> {
    // Two who demote each other meet at these rows; the second finds what the first has left. Every change takes them
    // in the same order, before the row of its user.
    let admins = transaction
        .all(
            query(
                "SELECT id FROM users WHERE role = 'admin' AND is_active ORDER BY id FOR NO KEY UPDATE",
            ),
            super::rows::id,
        )
        .await?;
    const FIND: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM users WHERE id = $1 FOR NO KEY UPDATE"
    );
    let Some(before) = transaction.one(query(FIND).bind(id), read).await? else {
        return Ok(None);
    };
    let full_name = change.full_name.as_deref().map(storable);
    let after = User {
        full_name: full_name.unwrap_or(before.full_name.clone()),
        role: change.role.unwrap_or(before.role),
        is_active: change.is_active.unwrap_or(before.is_active),
        updated_at: audit.at,
        ..before.clone()
    };
    if is_active_admin(&before) && !is_active_admin(&after) && admins == [id] {
        return Err(Error::new(
            Code::LastAdmin,
            format!("`{}` is the last active administrator", before.email),
        )
        .with_hint("make someone else an administrator first"));
    }
    let update = query(
        "UPDATE users SET full_name = $2, role = $3, is_active = $4, updated_at = $5 WHERE id = $1",
    )
    .bind(id)
    .bind(&after.full_name)
    .bind(after.role.as_str())
    .bind(after.is_active)
    .bind(after.updated_at);
    transaction.execute(update).await?;
    if before.is_active && !after.is_active {
        end_sessions(transaction, id, None, audit.at).await?;
        let revoke =
            query("UPDATE api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL");
        transaction.execute(revoke.bind(id).bind(audit.at)).await?;
    }
    let audit = audit.with_difference(&fields(&before), &fields(&after));
    transaction.append_about(id, audit).await?;
    Ok(Some(after))
}

fn is_active_admin(user: &User) -> bool {
    user.is_active && user.role == Role::Admin
}

/// What of a user can change and may be shown.
fn fields(user: &User) -> Json {
    json!({ "full_name": user.full_name, "role": user.role, "is_active": user.is_active })
}

/// Replaces a password hash, ends open reset tokens and says whether there is such a user.
pub(super) async fn set_password(
    transaction: &mut Transaction,
    id: UserId,
    password_hash: &str,
    at: DateTime<Utc>,
) -> Result<bool, Error> {
    let update = query("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1")
        .bind(id)
        .bind(password_hash)
        .bind(at);
    if transaction.execute(update).await? != 1 {
        return Ok(false);
    }
    let end = query(
        "UPDATE password_resets SET ended_at = $2
         WHERE user_id = $1 AND used_at IS NULL AND ended_at IS NULL",
    );
    transaction.execute(end.bind(id).bind(at)).await?;
    Ok(true)
}

/// Ends the live sessions of a user, all but the one of `keep`, and returns how many.
pub(super) async fn end_sessions(
    transaction: &mut Transaction,
    user_id: UserId,
    keep: Option<&str>,
    at: DateTime<Utc>,
) -> Result<u64, Error> {
    let end = query(
        "UPDATE sessions SET ended_at = $2
         WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND token_hash IS DISTINCT FROM $3",
    )
    .bind(user_id)
    .bind(at)
    .bind(keep.map(storable));
    transaction.execute(end).await
}

fn read(row: &PgRow) -> sqlx::Result<User> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        password_hash: row.try_get("password_hash")?,
        full_name: row.try_get("full_name")?,
        role: role(row, "role")?,
        is_active: row.try_get("is_active")?,
        last_login: row.try_get("last_login")?,
        last_query_at: row.try_get("last_query_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
