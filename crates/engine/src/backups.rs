//! Backups of the system store: what is known of one, and the acts of making and verifying one, each with its entry in
//! the audit trail. Restoring replaces that trail, so its entry stands in what was restored.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::UserId;
use crate::audit::{Anchor, AuditEntry, Report, SealingKey};
use crate::error::Error;
use crate::ports::AuditLog;

/// What is known of a backup without opening it; its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// The name, which sorts by age.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The kind of store that it was made from: `sqlite` or `postgresql`.
    pub store: String,
    /// Bytes of its file.
    pub size_bytes: u64,
    /// BLAKE3, in hex, of its file.
    pub hash: String,
    /// The newest migration of the store it was made from.
    pub schema_version: String,
    /// The rows of each table.
    pub row_counts: BTreeMap<String, u64>,
    /// The head of the audit trail; null when nothing was sealed yet.
    #[schema(value_type = Option<Object>)]
    pub last_seal: Option<Anchor>,
}

/// A backup that was restored into a scratch database and found to be whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedBackup {
    /// The backup.
    pub backup: Backup,
    /// What was read of its audit trail.
    pub audit: Report,
}

/// Backups of one system store, kept in one folder.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Makes a backup of one consistent moment while the store is in use, then removes the oldest ones beyond the count
    /// that is kept.
    ///
    /// # Errors
    ///
    /// [`crate::Code::BackupFailed`], [`crate::Code::SystemStoreDown`].
    async fn create(&self, at: DateTime<Utc>) -> Result<Backup, Error>;

    /// Lists whole backups, the newest first. One that was interrupted, or whose file has lost bytes, is none.
    ///
    /// # Errors
    ///
    /// [`crate::Code::BackupFailed`] if the folder cannot be read.
    async fn list(&self) -> Result<Vec<Backup>, Error>;

    /// Removes the oldest backups beyond the count that is kept, which may have been lowered since the newest was made.
    ///
    /// # Errors
    ///
    /// [`crate::Code::BackupFailed`] if the folder cannot be written.
    async fn retain(&self) -> Result<(), Error>;

    /// Restores a backup into a scratch database and compares all of it with its manifest: hash, rows, and the audit
    /// trail with its seals, signed by one of `keys`.
    ///
    /// # Errors
    ///
    /// [`crate::Code::NotFound`], [`crate::Code::InvalidBackup`] naming the first thing that does not fit,
    /// [`crate::Code::BackupFailed`] if there is no place to restore it to.
    async fn verify(&self, name: &str, keys: &[SealingKey]) -> Result<VerifiedBackup, Error>;

    /// Puts a backup in the place of what is in the store, whole or not at all. `replace` allows that to be something.
    ///
    /// # Errors
    ///
    /// [`crate::Code::NotFound`], [`crate::Code::InvalidBackup`], [`crate::Code::StoreNotEmpty`] without `replace`,
    /// [`crate::Code::BackupFailed`].
    async fn restore(&self, name: &str, replace: bool) -> Result<Backup, Error>;
}

/// Makes a backup; a failed attempt is recorded too.
///
/// # Errors
///
/// As [`Backups::create`] and [`AuditLog::record`].
pub async fn create(
    backups: &dyn Backups,
    log: &dyn AuditLog,
    at: DateTime<Utc>,
    by: Option<UserId>,
) -> Result<Backup, Error> {
    let made = backups.create(at).await;
    let changes = match &made {
        Ok(backup) => {
            json!({ "name": backup.name, "hash": backup.hash, "size_bytes": backup.size_bytes })
        }
        Err(fault) => json!({ "error": fault.code().as_str() }),
    };
    let entry = AuditEntry::new(at, by, "backup_created", "backup", changes);
    log.record(&entry).await?;
    made
}

/// Verifies a backup; one that is found damaged is recorded too.
///
/// # Errors
///
/// As [`Backups::verify`] and [`AuditLog::record`].
pub async fn verify(
    backups: &dyn Backups,
    log: &dyn AuditLog,
    name: &str,
    keys: &[SealingKey],
    at: DateTime<Utc>,
    by: Option<UserId>,
) -> Result<VerifiedBackup, Error> {
    let verified = backups.verify(name, keys).await;
    let outcome = match &verified {
        Ok(_) => "whole",
        Err(fault) => fault.code().as_str(),
    };
    let changes = json!({ "name": name, "outcome": outcome });
    let entry = AuditEntry::new(at, by, "backup_verified", "backup", changes);
    log.record(&entry).await?;
    verified
}

/// Returns the entry that a restored store begins with.
pub fn restored(backup: &Backup, at: DateTime<Utc>) -> AuditEntry {
    let changes = json!({
        "name": backup.name,
        "hash": backup.hash,
        "created_at": backup.created_at,
        "last_seal": backup.last_seal.as_ref().map(|seal| seal.number),
    });
    AuditEntry::new(at, None, "backup_restored", "backup", changes)
}
