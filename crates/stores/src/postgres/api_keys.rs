use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::Error;
use engine::accounts::{Actor, ApiKey, NewApiKey, UserId};
use engine::audit::AuditEntry;
use engine::ports::{ApiKeys, Page, PageRequest};
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{and, id, role, select, storable};

#[async_trait]
impl ApiKeys for PostgresStore {
    async fn create_api_key(&self, key: &NewApiKey, audit: &AuditEntry) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let insert = query(
            "INSERT INTO api_keys (user_id, name, key_hash, scope, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(key.user_id)
        .bind(storable(&key.name))
        .bind(&key.key_hash)
        .bind(key.scope.as_str())
        .bind(audit.at)
        .bind(key.expires_at);
        let id = transaction.only(insert, id).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn api_key_actor(
        &self,
        key_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error> {
        let find = query(
            "SELECT users.id AS user_id, users.role, api_keys.id, scope, last_used_at
             FROM api_keys JOIN users ON users.id = api_keys.user_id
             WHERE key_hash = $1 AND revoked_at IS NULL AND is_active AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(storable(key_hash))
        .bind(now);
        let found = self
            .one(find, |row| {
                let actor = Actor {
                    user_id: row.try_get("user_id")?,
                    role: role(row, "role")?.min(role(row, "scope")?),
                };
                let last_used_at: Option<DateTime<Utc>> = row.try_get("last_used_at")?;
                Ok((actor, id(row)?, last_used_at))
            })
            .await?;
        let Some((actor, id, last_used_at)) = found else {
            return Ok(None);
        };
        let minute_ago = now - TimeDelta::minutes(1);
        if last_used_at.is_none_or(|last| last <= minute_ago) {
            let note = query(
                "UPDATE api_keys SET last_used_at = $2
                 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)",
            );
            self.execute(note.bind(id).bind(now).bind(minute_ago))
                .await?;
        }
        Ok(Some(actor))
    }

    async fn api_keys(&self, user_id: UserId, request: PageRequest) -> Result<Page<ApiKey>, Error> {
        let mut keys = select(
            "id, user_id, name, scope, created_at, expires_at, revoked_at, last_used_at FROM api_keys",
        );
        and(&mut keys, "user_id = ", Some(user_id));
        self.page(keys, request, read, |key| key.id).await
    }

    async fn revoke_api_key(
        &self,
        user_id: UserId,
        id: i64,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let revoke = query(
            "UPDATE api_keys SET revoked_at = $3
             WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(id)
        .bind(user_id)
        .bind(audit.at);
        if transaction.execute(revoke).await? == 0 {
            return Ok(false);
        }
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn read(row: &PgRow) -> sqlx::Result<ApiKey> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        name: row.try_get("name")?,
        scope: role(row, "scope")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}
