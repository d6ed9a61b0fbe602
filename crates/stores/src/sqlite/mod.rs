//! The system store in one SQLite file. One thread writes and commits what is waiting together; a few read.

mod migrate;
mod rows;
mod thread;

mod users;

mod invitations;
mod password_resets;

mod api_keys;
mod sessions;

mod conversations;
mod feedback;
mod queries;
mod situation;

mod configurations;
mod ontologies;
mod policies;
mod verified_queries;

mod audit_logs;
mod backup;
mod diagnosis;

pub use backup::SqliteBackups;
pub use diagnosis::{Diagnosis, diagnose};

use std::path::Path;
use std::time::Duration;

use engine::{Code, Error};
use rusqlite::{Connection, Savepoint};

use self::thread::{Readers, Writer};

/// Threads that read.
const READERS: usize = 2;

/// The system store on SQLite.
pub struct SqliteStore {
    writer: Writer,
    /// `None` in memory, where a second connection would see another database.
    readers: Option<Readers>,
}

impl SqliteStore {
    /// Opens the store at `path`, creating the file with mode 0600 and bringing it up to the newest migration.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreDown`] if the file cannot be opened, is not ours or is newer than this program.
    pub fn open(path: &Path) -> Result<Self, Error> {
        create_private(path).map_err(|fault| {
            Error::new(
                Code::SystemStoreDown,
                format!("cannot create the system store `{}`", path.display()),
            )
            .with_hint("choose another place with DATA_DIR or SQLITE_DB_PATH")
            .with_cause(fault)
        })?;
        let mut writer = connect(path).map_err(down)?;
        migrate::run(&mut writer)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(path)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            })
            .collect::<rusqlite::Result<_>>()
            .map_err(down)?;
        Ok(Self {
            writer: Writer::start(writer),
            readers: Some(Readers::start(readers)),
        })
    }

    /// Opens a store that is gone when it is dropped.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreDown`] if SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, Error> {
        let mut connection = Connection::open_in_memory().map_err(down)?;
        configure(&connection).map_err(down)?;
        migrate::run(&mut connection)?;
        Ok(Self {
            writer: Writer::start(connection),
            readers: None,
        })
    }

    /// Runs `work` in one transaction; an error from it, or from the commit, leaves nothing behind.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Savepoint<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer.call(work).await
    }

    /// Runs `work`, which reads with one statement, so that it sees one state.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        match &self.readers {
            Some(readers) => readers.call(work).await,
            None => {
                self.writer
                    .call(move |connection| Ok(work(connection)?))
                    .await
            }
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A committed answer must survive a loss of power, not only of the process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_lock))?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "foreign_keys", true)
}

/// Waits for another process that is writing, the command line beside a server, for some ten seconds.
///
/// SQLite's own timeout looks ever less often, at last ten times a second. A server under load leaves the lock free for
/// some microseconds between two batches only, and would keep such a waiter out.
fn wait_for_lock(tries: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    tries < 10_000
}

#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    }
}

/// An error on its way out of a piece of work, so that `?` takes the engine's errors and SQLite's.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(fault: rusqlite::Error) -> Self {
        Self(down(fault))
    }
}

fn down(fault: rusqlite::Error) -> Error {
    Error::new(Code::SystemStoreDown, "the system store did not answer").with_cause(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_the_disk_and_readers_wait_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connect(&folder.path().join("system.db")).unwrap();
        let pragma = |name| -> rusqlite::types::Value {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma("synchronous"), 2.into());
        assert_eq!(pragma("foreign_keys"), 1.into());
    }
}
