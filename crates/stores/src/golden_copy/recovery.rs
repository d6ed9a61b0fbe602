//! Brings a copied set into one file: replays a WAL, rolls back a hot journal, and checks what came of it. Works in
//! the private folder of a copy, the only place where a copy is ever open for writing.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use engine::policy::quote_identifier;
use engine::{Code, Error};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::copying::Snapshot;
use super::io_error;
use super::original::Original;
use crate::target::read_schema::{open_immutable, sqlite_error};

/// Where the header says which version may write and read the file: 1 is rollback journal, 2 is WAL.
///
/// Source: SQLite, "Database File Format", section 1.3.
const VERSION_OFFSET: u64 = 18;
/// Problems that an integrity check lists at most.
const MAX_PROBLEMS: usize = 20;

/// Rows per table, for the tables that were counted.
pub(super) type RowCounts = BTreeMap<String, u64>;

/// Makes the database of a snapshot complete without its journals.
///
/// Returns the row counts as they were while the journals still counted, or `None` if there was nothing to do and the
/// file was not touched.
///
/// # Errors
///
/// [`Code::InvalidTarget`] if SQLite cannot recover it.
pub(super) fn settle(original: &Original, snapshot: &Snapshot) -> Result<Option<RowCounts>, Error> {
    let database = &snapshot.database;
    let has_journals = snapshot.members.len() > 1;
    let in_folder =
        |error: io::Error| io_error(&error, "recovering a copy in", snapshot.folder.path());
    if !has_journals && !is_wal_version(database).map_err(in_folder)? {
        return Ok(None);
    }
    settle_super_journal(original, &with_suffix(database, "-journal")).map_err(in_folder)?;
    let counts = recover(database)
        .map_err(|error| recovery_error(&error, original.path(), snapshot.folder.path()))?;
    for suffix in ["-wal", "-shm", "-journal"] {
        // What a persistent journal leaves is spent; SQLite has closed the file in DELETE mode.
        match fs::remove_file(with_suffix(database, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_folder(error)),
            _ => {}
        }
    }
    if is_wal_version(database).map_err(in_folder)? {
        let message = format!(
            "the WAL of `{}` could not be merged into the copy",
            original.path().display()
        );
        return Err(Error::new(Code::GoldenCopyMismatch, message));
    }
    OpenOptions::new()
        .write(true)
        .open(database)
        .and_then(|file| file.sync_all())
        .map_err(in_folder)?;
    Ok(Some(counts))
}

fn recover(database: &Path) -> rusqlite::Result<RowCounts> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // The copy is thrown away if anything fails, and flushed as a whole if nothing does.
    connection.pragma_update(None, "synchronous", "OFF")?;
    let counts = count_rows(&connection)?;
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(counts)
}

/// Counts the rows of every ordinary table.
fn count_rows(connection: &Connection) -> rusqlite::Result<RowCounts> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_list \
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = RowCounts::new();
    while let Some(row) = rows.next()? {
        // A name that is not UTF-8 cannot be named in a statement either.
        let Ok(name) = row.get::<_, String>(0) else {
            continue;
        };
        let sql = format!("SELECT count(*) FROM {}", quote_identifier(&name));
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        counts.insert(name, u64::try_from(count).unwrap_or(0));
    }
    Ok(counts)
}

/// Decides what a journal of a transaction over several databases means, as SQLite would, but without letting
/// SQLite near the super-journal: having rolled back, it deletes that file, which is not ours.
fn settle_super_journal(original: &Original, journal: &Path) -> io::Result<()> {
    match original.super_journal(journal)? {
        None => Ok(()),
        // The transaction had committed; its journal no longer counts.
        Some(found) if !found.is_present => fs::remove_file(journal),
        // It had not: without its last bytes, the journal is one of a single database and is rolled back.
        Some(_) => {
            const MAGIC_LENGTH: i64 = 8;
            let mut file = OpenOptions::new().write(true).open(journal)?;
            file.seek(SeekFrom::End(-MAGIC_LENGTH))?;
            file.write_all(&[0; MAGIC_LENGTH as usize])
        }
    }
}

/// Returns what SQLite finds wrong with the structure of the database, in its own words; empty when nothing.
///
/// Rows that break a CHECK or NOT NULL of their table are the owner's business: the copy is faithful to them.
pub(super) fn integrity_problems(database: &Path) -> Result<Vec<String>, Error> {
    let connection = open_immutable(database)?;
    let check = |pragma: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(&format!("PRAGMA {pragma}({MAX_PROBLEMS})"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        lines.collect()
    };
    let is_unknown =
        |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::Unknown);
    let found = connection
        .pragma_update(None, "ignore_check_constraints", true)
        .and_then(|()| check("integrity_check"))
        // An index in a collation that only the owner's program knows cannot be checked against its table.
        .or_else(|error| {
            if is_unknown(&error) {
                check("quick_check")
            } else {
                Err(error)
            }
        });
    match found {
        Ok(lines) => Ok(lines
            .into_iter()
            .filter(|line| line != "ok" && !line.starts_with("NULL value in "))
            .collect()),
        Err(error) if is_unknown(&error) => {
            tracing::warn!(error = %error, "the integrity of the copy cannot be checked");
            Ok(Vec::new())
        }
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(vec![error.to_string()])
        }
        Err(error) => Err(sqlite_error(&error, database)),
    }
}

fn recovery_error(error: &rusqlite::Error, original: &Path, folder: &Path) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => sqlite_error(error, folder),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => sqlite_error(error, original),
        _ => Error::new(
            Code::InvalidTarget,
            format!("the journal of `{}` cannot be replayed", original.display()),
        )
        .with_hint("open and close it once with the program that wrote it")
        .with_cause(error),
    }
}

fn is_wal_version(database: &Path) -> io::Result<bool> {
    use std::io::Read;

    let mut file = fs::File::open(database)?;
    let mut versions = [0_u8; 2];
    file.seek(SeekFrom::Start(VERSION_OFFSET))?;
    match file.read_exact(&mut versions) {
        // Too short to be a database; SQLite will say so better.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| versions.contains(&2)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
