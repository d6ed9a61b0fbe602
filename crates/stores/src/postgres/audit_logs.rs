use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::audit::{
    AuditEntry, AuditFilter, AuditRecord, Hash, MAX_SEALED_ROWS, Seal, SealingKey, StoredEntry,
};
use engine::ports::{AuditLog, Page, PageRequest};
use serde_json::Value as Json;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Decode, Postgres, Row, Type, query};

use super::PostgresStore;
use super::faults::down;
use super::pool::Lease;
use super::rows::{and, select, storable};
use super::transaction::{WRITING, bind_entry, wait_for_writers};

/// Whoever seals holds this advisory lock.
const SEALING: i64 = 4707186421085270902;

/// A time that no entry can have, which someone with the rights of the owner may have left, reads as the last one that
/// can: it does not agree with the canonical bytes, and verification names the row.
macro_rules! finite {
    ($column:literal) => {
        concat!(
            "least(greatest(",
            $column,
            ", '0001-01-01Z'), '9999-12-31Z') AS ",
            $column
        )
    };
}

macro_rules! columns {
    () => {
        concat!(
            "id, user_id, action, resource, resource_id, changes::text, ",
            finite!("timestamp")
        )
    };
}

macro_rules! seals {
    () => {
        concat!(
            "SELECT number, first_row, last_row, row_count, root, previous, key_id, signature, ",
            finite!("sealed_at"),
            " FROM audit_seals"
        )
    };
}

const LAST_SEAL: &str = concat!(seals!(), " ORDER BY number DESC LIMIT 1");

#[async_trait]
impl AuditLog for PostgresStore {
    async fn record(&self, audit: &AuditEntry) -> Result<(), Error> {
        const RECORD: &str = "
            WITH writing AS MATERIALIZED (
                SELECT pg_advisory_xact_lock_shared($9)
            )
            INSERT INTO audit_logs (user_id, action, resource, resource_id, changes, timestamp, canonical, hash)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM writing";
        let record = bind_entry(query(RECORD), audit).bind(WRITING);
        self.execute(record).await.map(drop)
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        request: PageRequest,
    ) -> Result<Page<AuditRecord>, Error> {
        let mut entries = select(concat!(columns!(), " FROM audit_logs"));
        and(&mut entries, "user_id = ", filter.user_id);
        and(
            &mut entries,
            "action = ",
            filter.action.as_deref().map(storable),
        );
        and(
            &mut entries,
            "resource = ",
            filter.resource.as_deref().map(storable),
        );
        and(&mut entries, "resource_id = ", filter.resource_id);
        and(&mut entries, "timestamp >= ", filter.since);
        and(&mut entries, "timestamp < ", filter.until);
        self.page(entries, request, read_record, |record| record.id)
            .await
    }

    async fn stored_entries(&self, after: i64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        const ENTRIES: &str = concat!(
            "SELECT ",
            columns!(),
            ", canonical, hash FROM audit_logs WHERE id > $1 ORDER BY id LIMIT $2"
        );
        let entries = query(ENTRIES).bind(after).bind(i64::from(limit));
        self.all(entries, |row| {
            Ok(StoredEntry {
                record: read_record(row)?,
                canonical: or_default(row, 7)?,
                hash: or_default(row, 8)?,
            })
        })
        .await
    }

    async fn seal(&self, key: &SealingKey, at: DateTime<Utc>) -> Result<Option<Seal>, Error> {
        let mut lease = self.pool.take().await?;
        lease.script("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        let seal = close_block(&mut lease, key, at).await?;
        lease.script("COMMIT").await?;
        lease.give_back();
        Ok(seal)
    }

    async fn seals(&self, after: i64, limit: u32) -> Result<Vec<Seal>, Error> {
        const SEALS: &str = concat!(seals!(), " WHERE number > $1 ORDER BY number LIMIT $2");
        let seals = query(SEALS).bind(after).bind(i64::from(limit));
        self.all(seals, read_seal).await
    }

    async fn seal_of(&self, entry_id: i64) -> Result<Option<Seal>, Error> {
        const SEAL: &str = concat!(seals!(), " WHERE last_row >= $1 ORDER BY last_row LIMIT 1");
        let seal = self.one(query(SEAL).bind(entry_id), read_seal).await?;
        Ok(seal.filter(|seal| seal.first_row <= entry_id))
    }
}

async fn close_block(
    lease: &mut Lease,
    key: &SealingKey,
    at: DateTime<Utc>,
) -> Result<Option<Seal>, Error> {
    let alone = query("SELECT pg_try_advisory_xact_lock($1)").bind(SEALING);
    if !lease.only(alone, |row| row.try_get(0)).await? {
        return Ok(None);
    }
    let previous = lease.one(query(LAST_SEAL), read_seal).await?;
    let first = previous.as_ref().map_or(0, |seal| seal.last_row);
    let newest = query("SELECT coalesce(max(id), 0) FROM audit_logs");
    let boundary: i64 = lease.only(newest, |row| row.try_get(0)).await?;
    if boundary <= first {
        return Ok(None);
    }
    wait_for_writers(lease).await?;
    let rows =
        query("SELECT id, hash FROM audit_logs WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3")
            .bind(first)
            .bind(boundary)
            .bind(i64::from(MAX_SEALED_ROWS));
    let rows: Vec<(i64, Hash)> = lease
        .all(rows, |row| Ok((row.try_get("id")?, bytes(row, "hash")?)))
        .await?;
    let Some(seal) = Seal::close(previous.as_ref(), &rows, key, at) else {
        return Ok(None);
    };
    let insert = query(
        "INSERT INTO audit_seals (number, first_row, last_row, row_count, root, previous, sealed_at, key_id, signature)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(seal.number)
    .bind(seal.first_row)
    .bind(seal.last_row)
    .bind(seal.row_count)
    .bind(seal.root)
    .bind(seal.previous)
    .bind(seal.sealed_at)
    .bind(&seal.key_id)
    .bind(seal.signature);
    lease.execute(insert).await?;
    Ok(Some(seal))
}

/// Reads a row, by position because verification reads millions. A value that no entry could have left there, whoever
/// has the rights of the owner may have, becomes one that cannot agree with the canonical bytes, so that verification
/// names the row instead of stopping.
fn read_record(row: &PgRow) -> sqlx::Result<AuditRecord> {
    Ok(AuditRecord {
        id: row.try_get(0)?,
        user_id: row.try_get(1)?,
        action: or_default(row, 2)?,
        resource: or_default(row, 3)?,
        resource_id: row.try_get(4)?,
        changes: changes_of(or_default(row, 5)?),
        timestamp: or_default(row, 6)?,
    })
}

/// Reads the newest seal on a connection of the owner's.
pub(super) async fn last_seal(owner: &mut PgConnection) -> Result<Option<Seal>, Error> {
    let row = query(LAST_SEAL).fetch_optional(owner).await.map_err(down)?;
    row.as_ref().map(read_seal).transpose().map_err(down)
}

/// Reads a column that is never null unless someone took the constraint away.
fn or_default<'r, T>(row: &'r PgRow, column: usize) -> sqlx::Result<T>
where
    T: Default + Decode<'r, Postgres> + Type<Postgres>,
{
    let value: Option<T> = row.try_get(column)?;
    Ok(value.unwrap_or_default())
}

/// Reads the changes of an entry. JSONB can hold numbers that no program reads; such changes stand as text.
fn changes_of(text: String) -> Json {
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}

/// Reads a seal. What cannot be a part of one reads as zeros, which were not signed.
fn read_seal(row: &PgRow) -> sqlx::Result<Seal> {
    Ok(Seal {
        number: row.try_get("number")?,
        first_row: row.try_get("first_row")?,
        last_row: row.try_get("last_row")?,
        row_count: row.try_get("row_count")?,
        root: bytes(row, "root")?,
        previous: bytes(row, "previous")?,
        sealed_at: row.try_get("sealed_at")?,
        key_id: row.try_get("key_id")?,
        signature: bytes(row, "signature")?,
    })
}

fn bytes<const N: usize>(row: &PgRow, column: &'static str) -> sqlx::Result<[u8; N]> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    Ok(bytes
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or([0; N]))
}
