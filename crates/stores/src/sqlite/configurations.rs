use async_trait::async_trait;
use engine::Error;
use engine::audit::AuditEntry;
use engine::configuration::{Configuration, NewConfiguration};
use engine::ports::Configurations;
use rusqlite::{Connection, Row, Savepoint};
use serde_json::{Value as Json, json};

use super::audit_logs::append_about;
use super::rows::{all, execute, first, insert, text_of, time};
use super::{Failed, SqliteStore};

#[async_trait]
impl Configurations for SqliteStore {
    async fn set_configuration(
        &self,
        configuration: &NewConfiguration,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let (configuration, audit) = (configuration.clone(), audit.clone());
        self.write(move |savepoint| set(savepoint, configuration, audit))
            .await
    }

    async fn replace_secret(
        &self,
        key: &str,
        old: &str,
        new: &str,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let (key, old, new) = (key.to_owned(), old.to_owned(), new.to_owned());
        let audit = audit.clone();
        self.write(move |savepoint| {
            let replaced = first(
                savepoint,
                "UPDATE configurations SET value = ?3, updated_at = ?4 WHERE key = ?1 AND value = ?2 AND is_secret
                 RETURNING id",
                (key, old, new, text_of(audit.at)),
                |row| row.get(0),
            )?;
            match replaced {
                Some(id) => append_about(savepoint, id, audit).map(|()| true),
                None => Ok(false),
            }
        })
        .await
    }

    async fn configuration(&self, key: &str) -> Result<Option<Configuration>, Error> {
        let key = key.to_owned();
        self.read(move |connection| find(connection, &key)).await
    }

    async fn configurations(&self) -> Result<Vec<Configuration>, Error> {
        self.read(|connection| {
            all(
                connection,
                "SELECT * FROM configurations ORDER BY key",
                [],
                read,
            )
        })
        .await
    }

    async fn delete_configuration(&self, key: &str, audit: &AuditEntry) -> Result<bool, Error> {
        let (key, audit) = (key.to_owned(), audit.clone());
        self.write(move |savepoint| {
            let before = first(
                savepoint,
                "DELETE FROM configurations WHERE key = ?1 RETURNING *",
                [key],
                read,
            )?;
            let Some(before) = before else {
                return Ok(false);
            };
            let audit = audit.with("before", fields(&before, before.is_secret));
            append_about(savepoint, before.id, audit)?;
            Ok(true)
        })
        .await
    }
}

fn set(savepoint: &Savepoint<'_>, new: NewConfiguration, audit: AuditEntry) -> Result<(), Failed> {
    let at = text_of(audit.at);
    let Some(before) = find(savepoint, &new.key)? else {
        let id = insert(
            savepoint,
            "INSERT INTO configurations (key, value, description, is_secret, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            (new.key, new.value, new.description, new.is_secret, at),
        )?;
        return append_about(savepoint, id, audit);
    };
    let after = Configuration {
        value: new.value,
        description: new.description.or(before.description.clone()),
        is_secret: new.is_secret,
        updated_at: audit.at,
        ..before.clone()
    };
    execute(
        savepoint,
        "UPDATE configurations SET value = ?2, description = ?3, is_secret = ?4, updated_at = ?5 WHERE id = ?1",
        (
            after.id,
            &after.value,
            &after.description,
            after.is_secret,
            at,
        ),
    )?;
    // A value that was kept in the clear and now is a secret is likely the same one.
    let is_secret = before.is_secret || after.is_secret;
    let audit = audit.with_difference(&fields(&before, is_secret), &fields(&after, is_secret));
    append_about(savepoint, after.id, audit)
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

fn find(connection: &Connection, key: &str) -> rusqlite::Result<Option<Configuration>> {
    first(
        connection,
        "SELECT * FROM configurations WHERE key = ?1",
        [key],
        read,
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<Configuration> {
    Ok(Configuration {
        id: row.get("id")?,
        key: row.get("key")?,
        value: row.get("value")?,
        description: row.get("description")?,
        is_secret: row.get("is_secret")?,
        updated_at: time(row, "updated_at")?,
    })
}
