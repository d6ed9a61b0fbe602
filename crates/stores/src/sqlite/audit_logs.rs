use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::audit::{
    AuditEntry, AuditFilter, AuditRecord, Hash, MAX_SEALED_ROWS, Seal, SealingKey, StoredEntry,
    entry_hash,
};
use engine::ports::{AuditLog, Page, PageRequest};
use rusqlite::{Connection, Row, RowIndex, Savepoint};
use serde_json::Value as Json;

use super::rows::{Conditions, all, execute, first, page, text_of, time_of};
use super::{Failed, SqliteStore};

#[async_trait]
impl AuditLog for SqliteStore {
    async fn record(&self, audit: &AuditEntry) -> Result<(), Error> {
        let audit = audit.clone();
        self.write(move |savepoint| append(savepoint, &audit)).await
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        request: PageRequest,
    ) -> Result<Page<AuditRecord>, Error> {
        let conditions = Conditions::default()
            .and("user_id = ?N", filter.user_id)
            .and("action = ?N", filter.action.clone())
            .and("resource = ?N", filter.resource.clone())
            .and("resource_id = ?N", filter.resource_id)
            .and("timestamp >= ?N", filter.since.map(text_of))
            .and("timestamp < ?N", filter.until.map(text_of));
        self.read(move |connection| {
            page(
                connection,
                "SELECT id, user_id, action, resource, resource_id, changes, timestamp FROM audit_logs",
                conditions,
                request,
                read_record,
                |record| record.id,
            )
        })
        .await
    }

    async fn stored_entries(&self, after: i64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT id, user_id, action, resource, resource_id, changes, timestamp, canonical, hash
                 FROM audit_logs WHERE id > ?1 ORDER BY id LIMIT ?2",
                (after, limit),
                read_stored,
            )
        })
        .await
    }

    async fn seal(&self, key: &SealingKey, at: DateTime<Utc>) -> Result<Option<Seal>, Error> {
        let key = key.clone();
        // Writers hold the lock from before an identifier is drawn to the commit, in whatever process. So whoever holds
        // it sees every entry below the highest: what came before is committed, what comes after is higher.
        self.write(move |savepoint| close_block(savepoint, &key, at))
            .await
    }

    async fn seals(&self, after: i64, limit: u32) -> Result<Vec<Seal>, Error> {
        self.read(move |connection| {
            all(
                connection,
                "SELECT * FROM audit_seals WHERE number > ?1 ORDER BY number LIMIT ?2",
                (after, limit),
                read_seal,
            )
        })
        .await
    }

    async fn seal_of(&self, entry_id: i64) -> Result<Option<Seal>, Error> {
        self.read(move |connection| {
            let seal = first(
                connection,
                "SELECT * FROM audit_seals WHERE last_row >= ?1 ORDER BY last_row LIMIT 1",
                [entry_id],
                read_seal,
            )?;
            Ok(seal.filter(|seal| seal.first_row <= entry_id))
        })
        .await
    }
}

/// Appends an entry inside the transaction of the change that it records.
pub(super) fn append(savepoint: &Savepoint<'_>, audit: &AuditEntry) -> Result<(), Failed> {
    let canonical = audit.canonical();
    let hash = entry_hash(&canonical);
    execute(
        savepoint,
        "INSERT INTO audit_logs (user_id, action, resource, resource_id, changes, timestamp, canonical, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            audit.user_id,
            audit.action,
            audit.resource,
            audit.resource_id,
            audit.changes.to_string(),
            text_of(audit.at),
            canonical,
            hash,
        ),
    )?;
    Ok(())
}

/// Appends an entry about the thing of this identifier, unless the entry names another.
pub(super) fn append_about(
    savepoint: &Savepoint<'_>,
    id: i64,
    mut audit: AuditEntry,
) -> Result<(), Failed> {
    audit.resource_id = audit.resource_id.or(Some(id));
    append(savepoint, &audit)
}

fn close_block(
    savepoint: &Savepoint<'_>,
    key: &SealingKey,
    at: DateTime<Utc>,
) -> Result<Option<Seal>, Failed> {
    let previous = last_seal(savepoint)?;
    let rows: Vec<(i64, Hash)> = all(
        savepoint,
        "SELECT id, hash FROM audit_logs WHERE id > ?1 ORDER BY id LIMIT ?2",
        (
            previous.as_ref().map_or(0, |seal| seal.last_row),
            MAX_SEALED_ROWS,
        ),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some(seal) = Seal::close(previous.as_ref(), &rows, key, at) else {
        return Ok(None);
    };
    execute(
        savepoint,
        "INSERT INTO audit_seals (number, first_row, last_row, row_count, root, previous, sealed_at, key_id, signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            seal.number,
            seal.first_row,
            seal.last_row,
            seal.row_count,
            seal.root,
            seal.previous,
            text_of(seal.sealed_at),
            &seal.key_id,
            seal.signature,
        ),
    )?;
    Ok(Some(seal))
}

pub(super) fn last_seal(connection: &Connection) -> rusqlite::Result<Option<Seal>> {
    first(
        connection,
        "SELECT * FROM audit_seals ORDER BY number DESC LIMIT 1",
        [],
        read_seal,
    )
}

// The trail is read even where someone wrote into it: a value that no entry could have left there becomes one that cannot
// agree with what was sealed, so that verification names the row and listings go on.

fn read_record(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(AuditRecord {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        action: text(row, "action")?,
        resource: text(row, "resource")?,
        resource_id: row.get("resource_id")?,
        changes: changes_of(text(row, "changes")?),
        timestamp: audit_time(&text(row, "timestamp")?),
    })
}

/// Reads a row for verification, by position because there may be millions.
fn read_stored(row: &Row<'_>) -> rusqlite::Result<StoredEntry> {
    Ok(StoredEntry {
        record: AuditRecord {
            id: row.get(0)?,
            user_id: row.get(1)?,
            action: text(row, 2)?,
            resource: text(row, 3)?,
            resource_id: row.get(4)?,
            changes: changes_of(text(row, 5)?),
            timestamp: audit_time(&text(row, 6)?),
        },
        canonical: row.get(7)?,
        hash: row.get(8)?,
    })
}

/// Reads a seal. What has not the length of a hash or a signature reads as zeros.
fn read_seal(row: &Row<'_>) -> rusqlite::Result<Seal> {
    Ok(Seal {
        number: row.get("number")?,
        first_row: row.get("first_row")?,
        last_row: row.get("last_row")?,
        row_count: row.get("row_count")?,
        root: bytes(row, "root")?,
        previous: bytes(row, "previous")?,
        sealed_at: audit_time(&text(row, "sealed_at")?),
        key_id: text(row, "key_id")?,
        signature: bytes(row, "signature")?,
    })
}

/// Reads a text, which SQLite does not keep from holding bytes that are none.
fn text(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<String> {
    let bytes = row.get_ref(column)?.as_bytes()?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn bytes<const N: usize>(row: &Row<'_>, column: &str) -> rusqlite::Result<[u8; N]> {
    Ok(row.get_ref(column)?.as_blob()?.try_into().unwrap_or([0; N]))
}

fn audit_time(text: &str) -> DateTime<Utc> {
    time_of(text).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Reads the changes of an entry, which are an object. Anything that [`append`] did not write, a field given twice for
/// example, stands as text instead.
fn changes_of(text: String) -> Json {
    let changes: Json = serde_json::from_str(&text).unwrap_or_default();
    let as_written = changes.to_string();
    if as_written == text {
        changes
    } else {
        Json::String(text)
    }
}
