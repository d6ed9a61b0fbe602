use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::Error;
use engine::accounts::{Actor, ApiKey, NewApiKey, UserId};
use engine::audit::AuditEntry;
use engine::ports::{ApiKeys, Page, PageRequest};
use rusqlite::Row;

use super::SqliteStore;
use super::audit_logs::append_about;
use super::rows::{Conditions, execute, first, insert, page, role, text_of, time, time_or_none};

#[async_trait]
impl ApiKeys for SqliteStore {
    async fn create_api_key(&self, key: &NewApiKey, audit: &AuditEntry) -> Result<i64, Error> {
        let (key, audit) = (key.clone(), audit.clone());
        self.write(move |savepoint| {
            let id = insert(
                savepoint,
                "INSERT INTO api_keys (user_id, name, key_hash, scope, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    key.user_id,
                    &key.name,
                    &key.key_hash,
                    key.scope.as_str(),
                    text_of(audit.at),
                    key.expires_at.map(text_of),
                ),
            )?;
            append_about(savepoint, id, audit)?;
            Ok(id)
        })
        .await
    }

    async fn api_key_actor(
        &self,
        key_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Actor>, Error> {
        let key_hash = key_hash.to_owned();
        let found = self
            .read(move |connection| {
                first(
                    connection,
                    "SELECT users.id AS user_id, users.role, api_keys.id, scope, last_used_at
                     FROM api_keys JOIN users ON users.id = api_keys.user_id
                     WHERE key_hash = ?1 AND revoked_at IS NULL AND is_active = 1
                       AND (expires_at IS NULL OR expires_at > ?2)",
                    (key_hash, text_of(now)),
                    |row| {
                        let actor = Actor {
                            user_id: row.get("user_id")?,
                            role: role(row, "role")?.min(role(row, "scope")?),
                        };
                        let id: i64 = row.get("id")?;
                        Ok((actor, id, time_or_none(row, "last_used_at")?))
                    },
                )
            })
            .await?;
        let Some((actor, id, last_used_at)) = found else {
            return Ok(None);
        };
        if last_used_at.is_none_or(|last| now - last >= TimeDelta::minutes(1)) {
            self.write(move |savepoint| {
                execute(
                    savepoint,
                    "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1",
                    (id, text_of(now)),
                )?;
                Ok(())
            })
            .await?;
        }
        Ok(Some(actor))
    }

    async fn api_keys(&self, user_id: UserId, request: PageRequest) -> Result<Page<ApiKey>, Error> {
        let conditions = Conditions::default().and("user_id = ?N", Some(user_id));
        self.read(move |connection| {
            page(
                connection,
                "SELECT * FROM api_keys",
                conditions,
                request,
                read,
                |key| key.id,
            )
        })
        .await
    }

    async fn revoke_api_key(
        &self,
        user_id: UserId,
        id: i64,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| {
            let changed = execute(
                savepoint,
                "UPDATE api_keys SET revoked_at = ?3 WHERE id = ?1 AND user_id = ?2 AND revoked_at IS NULL
                   AND (expires_at IS NULL OR expires_at > ?3)",
                (id, user_id, text_of(audit.at)),
            )?;
            if changed == 0 {
                return Ok(false);
            }
            append_about(savepoint, id, audit)?;
            Ok(true)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        name: row.get("name")?,
        scope: role(row, "scope")?,
        created_at: time(row, "created_at")?,
        expires_at: time_or_none(row, "expires_at")?,
        revoked_at: time_or_none(row, "revoked_at")?,
        last_used_at: time_or_none(row, "last_used_at")?,
    })
}
