use async_trait::async_trait;
use engine::Error;
use engine::audit::AuditEntry;
use engine::configuration::{Configuration, NewConfiguration};
use engine::ports::Configurations;
use serde_json::{Value as Json, json};
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{id, storable, storable_or_none};

macro_rules! columns {
    () => {
        "id, key, value, description, is_secret, updated_at"
    };
}

#[async_trait]
impl Configurations for PostgresStore {
    async fn set_configuration(
        &self,
        configuration: &NewConfiguration,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM configurations WHERE key = $1 FOR NO KEY UPDATE"
        );
        const PUT: &str = concat!(
            "INSERT INTO configurations (key, value, description, is_secret, updated_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (key) DO UPDATE SET value = $2, description = coalesce($3, configurations.description),
                 is_secret = $4, updated_at = $5
             RETURNING ",
            columns!()
        );
        let key = storable(&configuration.key);
        let mut transaction = self.begin().await?;
        let before = transaction.one(query(FIND).bind(&key), read).await?;
        let put = query(PUT)
            .bind(&key)
            .bind(storable(&configuration.value))
            .bind(storable_or_none(&configuration.description))
            .bind(configuration.is_secret)
            .bind(audit.at);
        let after = transaction.only(put, read).await?;
        let audit = match before {
            None => audit.clone(),
            Some(before) => {
                // A value that was kept in the clear and now is a secret is likely the same one.
                let is_secret = before.is_secret || after.is_secret;
                audit
                    .clone()
                    .with_difference(&fields(&before, is_secret), &fields(&after, is_secret))
            }
        };
        transaction.append_about(after.id, audit).await?;
        transaction.commit().await
    }

    async fn replace_secret(
        &self,
        key: &str,
        old: &str,
        new: &str,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        // Who comes second waits for the row, and then finds another value in it.
        const REPLACE: &str = "
            UPDATE configurations SET value = $3, updated_at = $4 WHERE key = $1 AND value = $2 AND is_secret
            RETURNING id";
        let mut transaction = self.begin().await?;
        let replace = query(REPLACE)
            .bind(storable(key))
            .bind(storable(old))
            .bind(storable(new))
            .bind(audit.at);
        let Some(id) = transaction.one(replace, id).await? else {
            return Ok(false);
        };
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn configuration(&self, key: &str) -> Result<Option<Configuration>, Error> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM configurations WHERE key = $1");
        self.one(query(FIND).bind(storable(key)), read).await
    }

    async fn configurations(&self) -> Result<Vec<Configuration>, Error> {
        const ALL: &str = concat!("SELECT ", columns!(), " FROM configurations ORDER BY key");
        self.all(query(ALL), read).await
    }

    async fn delete_configuration(&self, key: &str, audit: &AuditEntry) -> Result<bool, Error> {
        const DELETE: &str = concat!(
            "DELETE FROM configurations WHERE key = $1 RETURNING ",
            columns!()
        );
        let mut transaction = self.begin().await?;
        let delete = query(DELETE).bind(storable(key));
        let Some(before) = transaction.one(delete, read).await? else {
            return Ok(false);
        };
        let audit = audit
            .clone()
            .with("before", fields(&before, before.is_secret));
        transaction.append_about(before.id, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// What of an entry can change, with the value unless that is secret.
fn fields(configuration: &Configuration, is_value_secret: bool) -> Json {
    let mut fields = json!({
        "description": configuration.description,
        "is_secret": configuration.is_secret,
    });
    if !is_value_secret {
        fields["value"] = configuration.value.clone().into();
    }
    fields
}

fn read(row: &PgRow) -> sqlx::Result<Configuration> {
    Ok(Configuration {
        id: id(row)?,
        key: row.try_get("key")?,
        value: row.try_get("value")?,
        description: row.try_get("description")?,
        is_secret: row.try_get("is_secret")?,
        updated_at: row.try_get("updated_at")?,
    })
}
