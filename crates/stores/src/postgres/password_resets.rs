use chrono::{DateTime, Utc};
use engine::Error;
use engine::accounts::UserId;
use engine::audit::AuditEntry;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::storable;
use super::users::{end_sessions, set_password};

impl PostgresStore {
    pub(super) async fn begin_reset(
        &self,
        user_id: UserId,
        token_hash: &str,
        expires_at: DateTime<Utc>,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        // Two letters asked for at once are written one after the other.
        let user = query("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(user_id);
        transaction.one(user, super::rows::id).await?;
        let end = query(
            "UPDATE password_resets SET ended_at = $2
             WHERE user_id = $1 AND used_at IS NULL AND ended_at IS NULL",
        );
        transaction
            .execute(end.bind(user_id).bind(audit.at))
            .await?;
        let insert = query(
            "INSERT INTO password_resets (user_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(user_id)
        .bind(token_hash)
        .bind(audit.at)
        .bind(expires_at);
        transaction.execute(insert).await?;
        transaction.append_about(user_id, audit.clone()).await?;
        transaction.commit().await
    }

    pub(super) async fn complete_reset(
        &self,
        token_hash: &str,
        password_hash: &str,
        audit: &AuditEntry,
    ) -> Result<Option<UserId>, Error> {
        let mut transaction = self.begin().await?;
        // The user's row first, as where a reset begins; then the token, which is used up by whoever comes first.
        let user = query(
            "SELECT id FROM users
             WHERE is_active AND id = (SELECT user_id FROM password_resets WHERE token_hash = $1)
             FOR NO KEY UPDATE",
        );
        let user = user.bind(storable(token_hash));
        transaction.one(user, super::rows::id).await?;
        let take = query(
            "UPDATE password_resets SET used_at = $2
             FROM users
             WHERE token_hash = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2
               AND users.id = user_id AND is_active
             RETURNING user_id",
        );
        let take = take.bind(storable(token_hash)).bind(audit.at);
        let taken = transaction.one(take, |row| row.try_get("user_id")).await?;
        let Some(user_id) = taken else {
            return Ok(None);
        };
        set_password(&mut transaction, user_id, password_hash, audit.at).await?;
        end_sessions(&mut transaction, user_id, None, audit.at).await?;
        let mut audit = audit.clone();
        audit.user_id = Some(user_id);
        transaction.append_about(user_id, audit).await?;
        transaction.commit().await?;
        Ok(Some(user_id))
    }
}
