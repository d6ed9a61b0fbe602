//! What an operator wants to know of the file before anything is changed in it.

use std::path::Path;

use engine::{Code, Error};
use rusqlite::{Connection, OpenFlags};

use super::{down, migrate};
use crate::migrations::Differences;

/// The store as it was found. Looking changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Migrations that this program knows and the store lacks.
    pub pending: Vec<String>,
    /// Migrations that the store has and this program does not know.
    pub unknown: Vec<String>,
    /// Migrations that the store has with another text.
    pub altered: Vec<String>,
}

/// Looks into the file; one that is not there lacks everything.
///
/// # Errors
///
/// [`Code::SystemStoreDown`] if it cannot be read or is no database, [`Code::SystemStoreMismatch`] if its tables are
/// another program's.
pub fn diagnose(path: &Path) -> Result<Diagnosis, Error> {
    let differences = look(path).map_err(|fault| match fault.code() {
        Code::SystemStoreMismatch => fault,
        _ => Error::new(
            Code::SystemStoreDown,
            format!("the system store `{}` cannot be read", path.display()),
        )
        .with_hint("check who owns the file, or restore it with `assay backup restore`")
        .with_cause(fault.cause().unwrap_or_default()),
    })?;
    Ok(Diagnosis {
        pending: differences.pending,
        unknown: differences.unknown,
        altered: differences.altered,
    })
}

fn look(path: &Path) -> Result<Differences, Error> {
    let store = if path.exists() {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)
    } else {
        Connection::open_in_memory()
    };
    migrate::look(&store.map_err(down)?)
}
