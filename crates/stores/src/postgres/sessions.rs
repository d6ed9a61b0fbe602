use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::accounts::{Actor, NewSession, Rotated, Rotation, UserId};
use engine::audit::AuditEntry;
use engine::jobs::Purged;
use engine::ports::Sessions;
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{id, role, storable};
use super::transaction::Transaction;
use super::users::end_sessions;

#[async_trait]
impl Sessions for PostgresStore {
    async fn create_session(&self, session: &NewSession, audit: &AuditEntry) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let insert = query(
            "INSERT INTO sessions (user_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4)
             RETURNING id",
        )
        .bind(session.user_id)
        .bind(&session.token_hash)
        .bind(audit.at)
        .bind(session.expires_at);
        let id = transaction.only(insert, id).await?;
        add_refresh_token(
            &mut transaction,
            id,
            &session.refresh_hash,
            session.refresh_expires_at,
            audit.at,
        )
        .await?;
        let login = query("UPDATE users SET last_login = $2 WHERE id = $1")
            .bind(session.user_id)
            .bind(audit.at);
        transaction.execute(login).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await
    }

    async fn session_actor(
        &self,
        token_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error> {
        let find = query(
            "SELECT users.id, users.role FROM sessions JOIN users ON users.id = sessions.user_id
             WHERE token_hash = $1 AND ended_at IS NULL AND expires_at > $2 AND is_active",
        )
        .bind(storable(token_hash))
        .bind(now);
        self.one(find, read_actor).await
    }

    async fn rotate_refresh_token(
        &self,
        rotation: &Rotation,
        audit: &AuditEntry,
    ) -> Result<Rotated, Error> {
        let mut transaction = self.begin().await?;
        let rotated = rotate(&mut transaction, rotation, audit.clone()).await?;
        transaction.commit().await?;
        Ok(rotated)
    }

    async fn end_session(&self, token_hash: &str, audit: &AuditEntry) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let end = query(
            "UPDATE sessions SET ended_at = coalesce(ended_at, $2) WHERE token_hash = $1 RETURNING id",
        );
        let end = end.bind(storable(token_hash)).bind(audit.at);
        match transaction.one(end, id).await? {
            Some(id) => transaction.append_about(id, audit.clone()).await?,
            None => transaction.append(audit).await?,
        }
        transaction.commit().await
    }

    async fn end_all_sessions(&self, user_id: UserId, audit: &AuditEntry) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let ended = end_sessions(&mut transaction, user_id, None, audit.at).await?;
        transaction.append_about(user_id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    async fn purge_over(&self, before: DateTime<Utc>, audit: &AuditEntry) -> Result<Purged, Error> {
        let mut transaction = self.begin().await?;
        let mut delete = async |sql| transaction.execute(query(sql).bind(before)).await;
        let purged = Purged {
            // Tokens go before the sessions they refer to.
            refresh_tokens: delete(
                "DELETE FROM refresh_tokens WHERE expires_at < $1 OR session_id IN (
                     SELECT id FROM sessions WHERE expires_at < $1 OR ended_at < $1
                 )",
            )
            .await?,
            sessions: delete("DELETE FROM sessions WHERE expires_at < $1 OR ended_at < $1").await?,
            invitations: delete(
                "DELETE FROM invitations
                 WHERE expires_at < $1 OR accepted_at < $1 OR withdrawn_at < $1",
            )
            .await?,
            password_resets: delete(
                "DELETE FROM password_resets
                 WHERE expires_at < $1 OR used_at < $1 OR ended_at < $1",
            )
            .await?,
        };
        if purged != Purged::default() {
            transaction.append(&purged.noted_in(audit.clone())).await?;
        }
        transaction.commit().await?;
        Ok(purged)
    }
}

async fn rotate(
    transaction: &mut Transaction,
    rotation: &Rotation,
    mut audit: AuditEntry,
) -> Result<Rotated, Error> {
    // The rows stay locked, so of two that show the same secret at once the second sees it used.
    let find = query(
        "SELECT users.id, users.role, sessions.id AS session_id, refresh_tokens.used_at
         FROM refresh_tokens
         JOIN sessions ON sessions.id = refresh_tokens.session_id
         JOIN users ON users.id = sessions.user_id
         WHERE refresh_tokens.token_hash = $1 AND refresh_tokens.expires_at > $3
           AND sessions.token_hash = $2 AND sessions.ended_at IS NULL AND sessions.expires_at > $3
           AND users.is_active
         FOR NO KEY UPDATE OF sessions, refresh_tokens",
    )
    .bind(storable(&rotation.refresh_hash))
    .bind(storable(&rotation.token_hash))
    .bind(audit.at);
    let shown = transaction
        .one(find, |row| {
            let session_id: i64 = row.try_get("session_id")?;
            let used_at: Option<DateTime<Utc>> = row.try_get("used_at")?;
            Ok((read_actor(row)?, session_id, used_at))
        })
        .await?;
    let Some((actor, session_id, used_at)) = shown else {
        return Ok(Rotated::Unknown);
    };
    audit.user_id = audit.user_id.or(Some(actor.user_id));
    if used_at.is_some_and(|used_at| audit.at - used_at > rotation.leeway) {
        let end = query("UPDATE sessions SET ended_at = $2 WHERE id = $1");
        transaction
            .execute(end.bind(session_id).bind(audit.at))
            .await?;
        audit.action = "refresh_token_reused";
        transaction.append_about(session_id, audit).await?;
        return Ok(Rotated::Reused);
    }
    // The leeway counts from the first use.
    let mark =
        query("UPDATE refresh_tokens SET used_at = coalesce(used_at, $2) WHERE token_hash = $1")
            .bind(&rotation.refresh_hash)
            .bind(audit.at);
    transaction.execute(mark).await?;
    add_refresh_token(
        transaction,
        session_id,
        &rotation.next_hash,
        rotation.next_expires_at,
        audit.at,
    )
    .await?;
    transaction.append_about(session_id, audit).await?;
    Ok(Rotated::Fresh(actor))
}

async fn add_refresh_token(
    transaction: &mut Transaction,
    session_id: i64,
    token_hash: &str,
    expires_at: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<u64, Error> {
    let insert = query(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(token_hash)
    .bind(session_id)
    .bind(at)
    .bind(expires_at);
    transaction.execute(insert).await
}

fn read_actor(row: &PgRow) -> sqlx::Result<Actor> {
    Ok(Actor {
        user_id: row.try_get("id")?,
        role: role(row, "role")?,
    })
}
