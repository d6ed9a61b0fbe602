use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::accounts::Actor;
use engine::audit::AuditEntry;
use engine::ports::{NewSession, Sessions};
use rusqlite::OptionalExtension;

use super::audit_logs::append;
use super::users::role_of;
use super::{SqliteStore, down, now, text_of};

#[async_trait]
impl Sessions for SqliteStore {
    async fn create_session(&self, session: &NewSession, audit: &AuditEntry) -> Result<(), Error> {
        let (session, audit) = (session.clone(), audit.clone());
        self.write(move |transaction| {
            let at = now();
            transaction
                .execute(
                    "INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
                    (&session.token_hash, session.user_id, &at, text_of(session.expires_at)),
                )
                .and_then(|_| {
                    transaction.execute("UPDATE users SET last_login = ?2 WHERE id = ?1", (session.user_id, &at))
                })
                .map_err(down)?;
            append(transaction, &audit)
        })
        .await
    }

    async fn session_actor(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error> {
        let token_hash = token_hash.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT users.id, users.role FROM sessions JOIN users ON users.id = sessions.user_id
                     WHERE token_hash = ?1 AND ended_at IS NULL AND expires_at > ?2 AND is_active",
                )?
                .query_row((token_hash, text_of(now)), |row| {
                    Ok(Actor {
                        user_id: row.get(0)?,
                        role: role_of(row, 1)?,
                    })
                })
                .optional()
        })
        .await
    }

    async fn end_session(&self, token_hash: &str, audit: &AuditEntry) -> Result<(), Error> {
        let (token_hash, audit) = (token_hash.to_owned(), audit.clone());
        self.write(move |transaction| {
            transaction
                .execute(
                    "UPDATE sessions SET ended_at = ?2 WHERE token_hash = ?1 AND ended_at IS NULL",
                    (token_hash, now()),
                )
                .map_err(down)?;
            append(transaction, &audit)
        })
        .await
    }

    async fn record(&self, audit: &AuditEntry) -> Result<(), Error> {
        let audit = audit.clone();
        self.write(move |transaction| append(transaction, &audit))
            .await
    }
}
