//! The system store in one SQLite file: users, sessions, queries, audit log.

mod migrate;
mod thread;

mod audit_logs;
mod queries;
mod sessions;
mod users;

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use engine::{Code, Error};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::thread::ConnectionThread;

/// The system store on SQLite: one thread writes, one reads.
pub struct SqliteStore {
    writer: ConnectionThread,
    /// `None` in memory, where a second connection would see another database.
    reader: Option<ConnectionThread>,
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
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // A committed answer must survive a loss of power, not only of the process.
            connection.pragma_update(None, "synchronous", "FULL")?;
            configure(&connection)?;
            Ok(connection)
        };
        let mut writer = open().map_err(down)?;
        migrate::run(&mut writer)?;
        Ok(Self {
            reader: Some(ConnectionThread::start(
                "system-store-reader",
                open().map_err(down)?,
            )),
            writer: ConnectionThread::start("system-store-writer", writer),
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
            writer: ConnectionThread::start("system-store", connection),
            reader: None,
        })
    }

    /// Runs `work` in one transaction; an error from it, or from the commit, leaves nothing behind.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer
            .call(move |connection| {
                let transaction = connection
                    .transaction_with_behavior(TransactionBehavior::Immediate)
                    .map_err(down)?;
                let done = work(&transaction)?;
                transaction.commit().map_err(down)?;
                Ok(done)
            })
            .await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.reader
            .as_ref()
            .unwrap_or(&self.writer)
            .call(move |connection| work(connection).map_err(down))
            .await
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)
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

fn down(fault: rusqlite::Error) -> Error {
    Error::new(Code::SystemStoreDown, "the system store did not answer").with_cause(fault)
}

/// Writes a time as RFC 3339 in UTC with microseconds, the precision that PostgreSQL keeps; texts sort as times do.
fn text_of(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "rows are stamped by the store, as DEFAULT now() would"
)]
fn now() -> String {
    text_of(Utc::now())
}
