use async_trait::async_trait;
use engine::Error;
use engine::accounts::{NewUser, User, UserId};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::Users;
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::audit_logs::append;
use super::{SqliteStore, down, now};

#[async_trait]
impl Users for SqliteStore {
    async fn create_first_admin(
        &self,
        user: &NewUser,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        let (user, audit) = (user.clone(), audit.clone());
        self.write(move |transaction| {
            let exists: bool = transaction
                .query_row("SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin')", [], |row| row.get(0))
                .map_err(down)?;
            if exists {
                return Ok(None);
            }
            let at = now();
            transaction
                .execute(
                    "INSERT INTO users (email, password_hash, full_name, role, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                    (user.email.as_str(), &user.password_hash, &user.full_name, user.role.as_str(), at),
                )
                .map_err(down)?;
            let id = transaction.last_insert_rowid();
            append(transaction, &AuditEntry { user_id: Some(id), ..audit })?;
            Ok(Some(id))
        })
        .await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let email = email.to_owned();
        self.read(move |connection| find(connection, "email = ?1", [email]))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        self.read(move |connection| find(connection, "id = ?1", [id]))
            .await
    }
}

fn find(
    connection: &Connection,
    condition: &'static str,
    params: impl Params,
) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, email, password_hash, full_name, role, is_active FROM users WHERE {condition}"
        ))?
        .query_row(params, read)
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        email: row.get(1)?,
        password_hash: row.get(2)?,
        full_name: row.get(3)?,
        role: role_of(row, 4)?,
        is_active: row.get(5)?,
    })
}

pub(super) fn role_of(row: &Row<'_>, index: usize) -> rusqlite::Result<Role> {
    let text: String = row.get(index)?;
    Role::parse(&text).ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(index, "role".into(), rusqlite::types::Type::Text)
    })
}
