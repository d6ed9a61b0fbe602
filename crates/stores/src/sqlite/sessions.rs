use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::accounts::{Actor, NewSession, Rotated, Rotation, UserId};
use engine::audit::AuditEntry;
use engine::jobs::Purged;
use engine::ports::Sessions;
use rusqlite::{Connection, OptionalExtension, Row, Savepoint};

use super::audit_logs::{append, append_about};
use super::rows::{execute, first, insert, role, text_of, time_or_none};
use super::users::end_sessions;
use super::{Failed, SqliteStore};

#[async_trait]
impl Sessions for SqliteStore {
    async fn create_session(&self, session: &NewSession, audit: &AuditEntry) -> Result<(), Error> {
        let (session, audit) = (session.clone(), audit.clone());
        self.write(move |savepoint| {
            let at = text_of(audit.at);
            let id = insert(
                savepoint,
                "INSERT INTO sessions (user_id, token_hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
                (session.user_id, &session.token_hash, &at, text_of(session.expires_at)),
            )?;
            add_refresh_token(
                savepoint,
                id,
                &session.refresh_hash,
                session.refresh_expires_at,
                audit.at,
            )?;
            execute(
                savepoint,
                "UPDATE users SET last_login = ?2 WHERE id = ?1",
                (session.user_id, &at),
            )?;
            append_about(savepoint, id, audit)
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
            first(
                connection,
                "SELECT users.id, users.role FROM sessions JOIN users ON users.id = sessions.user_id
                 WHERE token_hash = ?1 AND ended_at IS NULL AND expires_at > ?2 AND is_active = 1",
                (token_hash, text_of(now)),
                read_actor,
            )
        })
        .await
    }

    async fn rotate_refresh_token(
        &self,
        rotation: &Rotation,
        audit: &AuditEntry,
    ) -> Result<Rotated, Error> {
        let (rotation, audit) = (rotation.clone(), audit.clone());
        self.write(move |savepoint| rotate(savepoint, &rotation, audit))
            .await
    }

    async fn end_session(&self, token_hash: &str, audit: &AuditEntry) -> Result<(), Error> {
        let (token_hash, audit) = (token_hash.to_owned(), audit.clone());
        self.write(move |savepoint| {
            execute(
                savepoint,
                "UPDATE sessions SET ended_at = ?2 WHERE token_hash = ?1 AND ended_at IS NULL",
                (&token_hash, text_of(audit.at)),
            )?;
            match session_id(savepoint, &token_hash)? {
                Some(id) => append_about(savepoint, id, audit),
                None => append(savepoint, &audit),
            }
        })
        .await
    }

    async fn end_all_sessions(&self, user_id: UserId, audit: &AuditEntry) -> Result<u64, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| {
            let ended = end_sessions(savepoint, user_id, None, audit.at)?;
            append_about(savepoint, user_id, audit)?;
            Ok(ended as u64)
        })
        .await
    }

    async fn purge_over(&self, before: DateTime<Utc>, audit: &AuditEntry) -> Result<Purged, Error> {
        let (before, audit) = (text_of(before), audit.clone());
        self.write(move |savepoint| {
            let delete = |sql| execute(savepoint, sql, [&before]).map(|rows| rows as u64);
            let purged = Purged {
                // Tokens go before the sessions they refer to.
                refresh_tokens: delete(
                    "DELETE FROM refresh_tokens WHERE expires_at < ?1 OR session_id IN (
                         SELECT id FROM sessions WHERE expires_at < ?1 OR ended_at < ?1
                     )",
                )?,
                sessions: delete("DELETE FROM sessions WHERE expires_at < ?1 OR ended_at < ?1")?,
                invitations: delete(
                    "DELETE FROM invitations
                     WHERE expires_at < ?1 OR accepted_at < ?1 OR withdrawn_at < ?1",
                )?,
                password_resets: delete(
                    "DELETE FROM password_resets
                     WHERE expires_at < ?1 OR used_at < ?1 OR ended_at < ?1",
                )?,
            };
            if purged != Purged::default() {
                append(savepoint, &purged.noted_in(audit))?;
            }
            Ok(purged)
        })
        .await
    }
}

fn rotate(
    savepoint: &Savepoint<'_>,
    rotation: &Rotation,
    mut audit: AuditEntry,
) -> Result<Rotated, Failed> {
    let at = text_of(audit.at);
    let shown = first(
        savepoint,
        "SELECT users.id, users.role, sessions.id AS session_id, refresh_tokens.used_at
         FROM refresh_tokens
         JOIN sessions ON sessions.id = refresh_tokens.session_id
         JOIN users ON users.id = sessions.user_id
         WHERE refresh_tokens.token_hash = ?1 AND refresh_tokens.expires_at > ?3
           AND sessions.token_hash = ?2 AND sessions.ended_at IS NULL AND sessions.expires_at > ?3
           AND users.is_active = 1",
        (&rotation.refresh_hash, &rotation.token_hash, &at),
        |row| {
            let session_id: i64 = row.get("session_id")?;
            Ok((read_actor(row)?, session_id, time_or_none(row, "used_at")?))
        },
    )?;
    let Some((actor, session_id, used_at)) = shown else {
        return Ok(Rotated::Unknown);
    };
    audit.user_id = audit.user_id.or(Some(actor.user_id));
    if used_at.is_some_and(|used_at| audit.at - used_at > rotation.leeway) {
        execute(
            savepoint,
            "UPDATE sessions SET ended_at = ?2 WHERE id = ?1",
            (session_id, &at),
        )?;
        audit.action = "refresh_token_reused";
        append_about(savepoint, session_id, audit)?;
        return Ok(Rotated::Reused);
    }
    // The leeway counts from the first use.
    execute(
        savepoint,
        "UPDATE refresh_tokens SET used_at = ?2 WHERE token_hash = ?1 AND used_at IS NULL",
        (&rotation.refresh_hash, &at),
    )?;
    add_refresh_token(
        savepoint,
        session_id,
        &rotation.next_hash,
        rotation.next_expires_at,
        audit.at,
    )?;
    append_about(savepoint, session_id, audit)?;
    Ok(Rotated::Fresh(actor))
}

fn add_refresh_token(
    savepoint: &Savepoint<'_>,
    session_id: i64,
    token_hash: &str,
    expires_at: DateTime<Utc>,
    at: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    execute(
        savepoint,
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        (token_hash, session_id, text_of(at), text_of(expires_at)),
    )
}

fn session_id(connection: &Connection, token_hash: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM sessions WHERE token_hash = ?1")?
        .query_row([token_hash], |row| row.get(0))
        .optional()
}

fn read_actor(row: &Row<'_>) -> rusqlite::Result<Actor> {
    Ok(Actor {
        user_id: row.get("id")?,
        role: role(row, "role")?,
    })
}
