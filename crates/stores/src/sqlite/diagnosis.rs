//! What an operator wants to know of the file before anything is changed in it.

use std::path::Path;

use engine::{Code, Error};
use rusqlite::{Connection, OpenFlags};

use super::migrate;

/// The store as it was found. Looking changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Migrations that this program knows and the store lacks.
    pub pending: Vec<String>,
    /// Migrations that the store has and this program does not know.
    pub unknown: Vec<String>,
}

/// Looks into the file; one that is not there lacks everything.
///
/// # Errors
///
/// [`Code::SystemStoreDown`] if it cannot be read or is no database.
pub fn diagnose(path: &Path) -> Result<Diagnosis, Error> {
    let applied = applied(path).map_err(|fault| {
        Error::new(
            Code::SystemStoreDown,
            format!("the system store `{}` cannot be read", path.display()),
        )
        .with_hint("check who owns the file, or restore it with `assay backup restore`")
        .with_cause(fault)
    })?;
    Ok(Diagnosis {
        pending: migrate::known()
            .filter(|name| !applied.iter().any(|done| done == name))
            .map(str::to_owned)
            .collect(),
        unknown: applied
            .iter()
            .filter(|name| !migrate::known().any(|known| known == *name))
            .cloned()
            .collect(),
    })
}

fn applied(path: &Path) -> rusqlite::Result<Vec<String>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let store = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    if !store.table_exists(None, "schema_migrations")? {
        return Ok(Vec::new());
    }
    store
        .prepare("SELECT name FROM schema_migrations ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect()
}
