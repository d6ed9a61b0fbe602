//! Reads what a database file holds: tables, views, columns, keys, and bounded statistics of the values. Runs on the
//! working copy only, read-only and immutable; never on the original. What SQLite itself could not query is left out.

mod catalog;
mod descriptions;
mod inferred_keys;
mod statistics;

use std::collections::BTreeSet;
use std::path::Path;

use engine::schema::{ColumnRef, Schema, Table, TableKind};
use engine::{Code, Error};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use statistics::Measured;

/// Bounds on what reading a schema may cost. Structure and row counts are always read wholly; values are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaLimits {
    /// Values looked at in all tables together; each table gets an equal part.
    pub max_cells: usize,
    /// Values looked at in one table. A table with more is sampled, spread over its rowids.
    pub max_cells_per_table: usize,
    /// Bytes of values read from one table before the rest of it is left unread.
    pub max_bytes_per_table: usize,
    /// Sample values kept per column.
    pub max_samples: usize,
    /// Characters kept of a sample value.
    pub max_sample_chars: usize,
}

impl Default for SchemaLimits {
    /// 12 million values, 150,000 and 32 MiB of them in one table; 10 samples of 40 characters per column.
    fn default() -> Self {
        Self {
            max_cells: 12_000_000,
            max_cells_per_table: 150_000,
            max_bytes_per_table: 32 << 20,
            max_samples: 10,
            max_sample_chars: 40,
        }
    }
}

/// Returns the schema of the SQLite file at `path`, with statistics that are the same every time.
///
/// Hears of its progress as tables read and tables in all. Tables of SQLite itself, shadow tables of virtual tables,
/// hidden columns, virtual tables whose module is missing and views that cannot be prepared are left out; declared
/// keys that refer to nothing are dropped.
///
/// # Errors
///
/// [`Code::InvalidTarget`] if the file is damaged or not SQLite, [`Code::TargetDatabaseDown`] if it cannot be read.
pub fn read_schema(
    path: &Path,
    limits: &SchemaLimits,
    progress: &dyn Fn(usize, usize),
) -> Result<Schema, Error> {
    let connection = open_immutable(path)?;
    read(&connection, limits, progress).map_err(|error| sqlite_error(&error, path))
}

fn read(
    connection: &Connection,
    limits: &SchemaLimits,
    progress: &dyn Fn(usize, usize),
) -> rusqlite::Result<Schema> {
    let mut tables = catalog::read_tables(connection)?;
    let cells_per_table = (limits.max_cells / tables.len().max(1)).min(limits.max_cells_per_table);
    let total = tables.len();
    let mut measured: Vec<Measured> = Vec::with_capacity(total);
    for (index, table) in tables.iter_mut().enumerate() {
        measured.push(statistics::measure(
            connection,
            table,
            cells_per_table,
            limits,
        )?);
        progress(index + 1, total);
    }
    inferred_keys::infer(connection, &mut tables, &measured)?;
    let mut schema = Schema {
        tables: tables.into_iter().map(|listed| listed.table).collect(),
    };
    resolve_reads(&mut schema);
    Ok(schema)
}

/// Replaces, in what a view reads, every virtual table that reads other tables by those tables as well.
fn resolve_reads(schema: &mut Schema) {
    let virtual_reads: Vec<(String, Vec<ColumnRef>)> = schema
        .tables
        .iter()
        .filter(|table| table.kind == TableKind::Virtual && !table.reads.is_empty())
        .map(|table| (table.name.clone(), table.reads.clone()))
        .collect();
    if virtual_reads.is_empty() {
        return;
    }
    let add = |table: &mut Table| {
        let mut reads: BTreeSet<ColumnRef> = table.reads.drain(..).collect();
        for (name, below) in &virtual_reads {
            if reads.iter().any(|read| read.table == *name) {
                reads.extend(below.iter().cloned());
            }
        }
        table.reads = reads.into_iter().collect();
    };
    schema
        .tables
        .iter_mut()
        .filter(|table| table.kind == TableKind::View)
        .for_each(add);
}

/// Opens a file that nobody writes, with the strictness that questions are asked under, so that a view which only
/// works without it is not shown to anyone.
pub(crate) fn open_immutable(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(immutable_uri(path), flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        Ok(connection)
    };
    open().map_err(|error| sqlite_error(&error, path))
}

/// Writes a path as an SQLite URI; every byte that means something in a URI is escaped.
fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;

    // With an empty authority, a path that begins with two slashes is not taken for a host's name.
    let mut uri = String::from(if path.is_absolute() {
        "file://"
    } else {
        "file:"
    });
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    uri
}

/// Says what SQLite's error means for someone who gave the file.
pub(crate) fn sqlite_error(error: &rusqlite::Error, path: &Path) -> Error {
    let path = path.display();
    let made = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::new(
            Code::InvalidTarget,
            format!("`{path}` is not an SQLite database, or it is encrypted"),
        )
        .with_hint("decrypt it to an ordinary SQLite file first"),
        Some(ErrorCode::DatabaseCorrupt) => Error::new(
            Code::InvalidTarget,
            format!("the database `{path}` is damaged"),
        )
        .with_hint(
            "restore it from a backup, or save what can be saved with `sqlite3 FILE .recover`",
        ),
        Some(ErrorCode::DiskFull) => Error::new(
            Code::TargetDatabaseDown,
            format!("no space left on the device of `{path}`"),
        )
        .with_hint("free some space, or set TARGET_DB_PATH to a folder on another device"),
        _ => Error::new(
            Code::TargetDatabaseDown,
            format!("the database `{path}` cannot be read"),
        ),
    };
    made.with_cause(error)
}
