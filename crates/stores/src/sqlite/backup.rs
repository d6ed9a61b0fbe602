//! Backups through SQLite's online backup interface: the pages of one committed state, while others go on writing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::audit::{self, Anchor, SealingKey};
use engine::backups::{Backup, Backups, VerifiedBackup};
use engine::{Code, Error};
use rusqlite::backup::{Backup as Copy, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::audit_logs::last_seal;
use super::{SqliteStore, create_private, down};
use crate::backups::{BackupFolder, Contents, RowCounts, compare_rows, invalid, off_thread};

/// How long another process may keep the store locked.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process that has just ended may take to close the store.
const CLOSING: Duration = Duration::from_secs(2);

/// Backups of one file.
#[derive(Debug, Clone)]
pub struct SqliteBackups {
    store: PathBuf,
    folder: BackupFolder,
}

impl SqliteBackups {
    /// Names the system store and the folder of its backups, of which `keep` stay.
    pub fn new(store: &Path, folder: &Path, keep: usize) -> Self {
        Self {
            store: store.to_owned(),
            folder: BackupFolder::new(folder, "sqlite", keep),
        }
    }
}

#[async_trait]
impl Backups for SqliteBackups {
    async fn create(&self, at: DateTime<Utc>) -> Result<Backup, Error> {
        let this = self.clone();
        off_thread(move || {
            let lock = this.folder.lock()?;
            let draft = this.folder.draft(&lock)?;
            let file = draft.path().join("store");
            let contents = copy_out(&this.store, &file)?;
            this.folder.publish(&lock, &draft, &file, contents, at)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Backup>, Error> {
        let this = self.clone();
        off_thread(move || this.folder.list()).await
    }

    async fn retain(&self) -> Result<(), Error> {
        let this = self.clone();
        off_thread(move || this.folder.retain(&this.folder.lock()?)).await
    }

    async fn verify(&self, name: &str, keys: &[SealingKey]) -> Result<VerifiedBackup, Error> {
        let (this, name) = (self.clone(), name.to_owned());
        let (backup, store, scratch) = off_thread(move || {
            let (backup, file) = this.folder.intact(&name)?;
            let scratch = tempfile::tempdir().map_err(no_scratch)?;
            let path = scratch.path().join("system.db");
            copy_in(&file, &path)?;
            check(&backup, &path)?;
            // Opening it brings it to the newest migration, as a restore does.
            Ok((backup, SqliteStore::open(&path)?, scratch))
        })
        .await?;
        let anchors: Vec<Anchor> = backup.last_seal.iter().cloned().collect();
        let report = audit::verify(&store, keys, &anchors, &|_| ()).await?;
        drop((store, scratch));
        match &report.fault {
            None => Ok(VerifiedBackup {
                backup,
                audit: report,
            }),
            Some(fault) => Err(invalid(format!("its audit trail does not fit: {fault}"))),
        }
    }

    async fn restore(&self, name: &str, replace: bool) -> Result<Backup, Error> {
        let (this, name) = (self.clone(), name.to_owned());
        off_thread(move || {
            let (backup, file) = this.folder.intact(&name)?;
            if !replace && holds_data(&this.store)? {
                return Err(Error::new(
                    Code::StoreNotEmpty,
                    format!("the system store `{}` holds data", this.store.display()),
                )
                .with_hint("`--force` replaces it; make a backup of it before"));
            }
            copy_in(&file, &this.store)?;
            SqliteStore::open(&this.store)?;
            Ok(backup)
        })
        .await
    }
}

/// Copies the store to a file that stands alone, and counts in the copy, which nobody changes.
fn copy_out(store: &Path, file: &Path) -> Result<Contents, Error> {
    let source = open(store, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|fault| {
        Error::new(
            Code::SystemStoreDown,
            format!("there is no system store at `{}`", store.display()),
        )
        .with_hint("`assay init` makes one")
        .with_cause(fault)
    })?;
    let mut copy = Connection::open(file).map_err(failed)?;
    copy_pages(&source, &mut copy)?;
    // The copy is a store in WAL mode too; a single file must not need a second one to be read.
    copy.pragma_update(None, "journal_mode", "DELETE")
        .map_err(failed)?;
    let read = || -> rusqlite::Result<Contents> {
        Ok(Contents {
            schema_version: copy.query_row(
                "SELECT coalesce(max(name), '') FROM schema_migrations",
                [],
                |row| row.get(0),
            )?,
            row_counts: row_counts(&copy)?,
            last_seal: last_seal(&copy)?.as_ref().map(Anchor::of),
        })
    };
    let contents = read().map_err(failed)?;
    copy.close().map_err(|(_, fault)| failed(fault))?;
    Ok(contents)
}

/// Puts the pages of a backup in the place of those of the store, in one transaction of SQLite's.
fn copy_in(file: &Path, store: &Path) -> Result<(), Error> {
    create_private(store).map_err(|fault| {
        Error::new(
            Code::BackupFailed,
            format!("cannot write the system store `{}`", store.display()),
        )
        .with_cause(fault)
    })?;
    let source = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let mut destination = open(store, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    claim(&destination)?;
    copy_pages(&source, &mut destination)
}

/// Makes sure that no other process has the store open: it would go on with what it remembers of the old one.
fn claim(store: &Connection) -> Result<(), Error> {
    let claim = || -> rusqlite::Result<()> {
        store.busy_timeout(CLOSING)?;
        store.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        store.pragma_update(None, "journal_mode", "WAL")?;
        store.pragma_update(None, "synchronous", "FULL")?;
        store.execute_batch("BEGIN IMMEDIATE; COMMIT")
    };
    claim().map_err(|fault| match fault.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Error::new(Code::Conflict, "the system store is in use")
                .with_hint("stop every Assay that uses it, then restore")
        }
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::new(Code::BackupFailed, "the system store there is damaged")
                .with_hint("move its files away, then restore")
                .with_cause(fault)
        }
        _ => failed(fault),
    })
}

/// Copies all pages in one step. In WAL mode that reads one committed state and keeps nobody from writing; several
/// steps would begin anew at every commit between them.
fn copy_pages(source: &Connection, destination: &mut Connection) -> Result<(), Error> {
    let started = Instant::now();
    let copy = Copy::new(source, destination).map_err(failed)?;
    loop {
        match copy.step(-1).map_err(failed)? {
            StepResult::Done => return Ok(()),
            _ if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                return Err(
                    Error::new(Code::BackupFailed, "the system store stayed locked")
                        .with_hint("try again"),
                );
            }
        }
    }
}

fn check(backup: &Backup, path: &Path) -> Result<(), Error> {
    let restored = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let read = || -> rusqlite::Result<(String, RowCounts)> {
        let verdict = restored.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((verdict, row_counts(&restored)?))
    };
    let (verdict, counts) = read().map_err(|fault| {
        invalid("SQLite cannot read the database in the backup".into()).with_cause(fault)
    })?;
    if verdict != "ok" {
        return Err(
            invalid("SQLite finds the database in the backup damaged".into()).with_cause(verdict),
        );
    }
    compare_rows(backup, &counts)
}

fn row_counts(connection: &Connection) -> rusqlite::Result<RowCounts> {
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    tables
        .into_iter()
        .map(|table| {
            let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
            let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            Ok((table, u64::try_from(count).unwrap_or(0)))
        })
        .collect()
}

/// Says whether someone has used the store: its first administrator is its first row.
fn holds_data(store: &Path) -> Result<bool, Error> {
    if std::fs::metadata(store).map_or(0, |metadata| metadata.len()) == 0 {
        return Ok(false);
    }
    let read = || -> rusqlite::Result<bool> {
        let store = open(store, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if !store.table_exists(None, "users")? {
            return row_counts(&store).map(|counts| !counts.is_empty());
        }
        store.query_row(
            "SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM audit_logs)",
            [],
            |row| row.get(0),
        )
    };
    read().map_err(down)
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

fn failed(fault: rusqlite::Error) -> Error {
    Error::new(Code::BackupFailed, "SQLite cannot copy the system store").with_cause(fault)
}

fn no_scratch(fault: std::io::Error) -> Error {
    Error::new(
        Code::BackupFailed,
        "there is no place to restore the backup to for verification",
    )
    .with_hint("set TMPDIR to a folder with room for it")
    .with_cause(fault)
}
