//! One fenced connection to a working copy: opened so that nothing can be written, limited so that nothing can grow
//! without bound, and asked only through [`FencedConnection::query`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use engine::Error;
use engine::policy::{VisibleSchema, quote_identifier};
use engine::ports::{PlanStep, QueryLimits, RowSink, RowsTaken};
use engine::result::ResultSet;
use engine::schema::TableKind;
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::{Batch, Connection, ErrorCode, OpenFlags, Statement};

use super::authorizer::Authorizer;
use super::faults::{self, Fault};
use super::program::{self, Catalog};
use super::watch::Watch;
use super::{functions, plan, rows, temporary_files, words};

/// The longest value, stored or made on the way.
pub(super) const VALUE_BYTES: i32 = 1 << 20;
/// Bounds that SQLite itself holds, each where nobody's honest question comes near it.
///
/// The length of a value also bounds how long one opcode can run, and SQLite looks at the clock only between opcodes.
pub(super) const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 250),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
    // A text may have none; the statements of full-text tables have a few.
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// How deep parentheses may be nested. SQLite limits expressions but not queries within queries, for which it recurses,
/// and a thousand of them take seconds to prepare.
pub(super) const MAX_NESTING: usize = 150;

/// Memory of all of SQLite in this process. Page caches, sorts and temporary tables stay far below it, because they
/// go to files; what meets it is a single value that grows inside a function, which then fails for want of one more
/// large piece while small ones can still be had.
const HEAP_BYTES: u64 = 512 << 20;
/// Page cache of one connection; also the most that is sorted in memory, and so in one opcode.
const CACHE_KIB: u32 = 4 << 10;

/// The table-valued functions that a text may read from.
const TABLE_FUNCTIONS: [&str; 2] = ["json_each", "json_tree"];

/// A connection on which only questions can be asked.
pub(super) struct FencedConnection {
    authorizer: Authorizer,
    connection: Connection,
    catalog: Catalog,
    /// The table functions that no table of the file has the name of.
    table_functions: Vec<&'static str>,
    /// How the program of a statement names each virtual table that has been connected, by lower-case name.
    virtual_tables: HashMap<String, String>,
    is_sound: bool,
}

impl FencedConnection {
    /// Opens the working copy at `path`.
    ///
    /// # Errors
    ///
    /// [`engine::Code::TargetDatabaseDown`] if it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::try_open(path).map_err(faults::cannot_open)
    }

    fn try_open(path: &Path) -> rusqlite::Result<Self> {
        let connection = open_read_only(path)?;
        for (setting, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        ] {
            connection.set_db_config(setting, value)?;
        }
        connection.execute_batch(&settings())?;
        functions::install(&connection)?;
        let authorizer = Authorizer::install(&connection)?;
        // Reads the schema. The limits come after it: a file with an odd view is still a readable file.
        let catalog = Catalog::read(&connection)?;
        for (limit, value) in LIMITS {
            connection.set_limit(limit, value)?;
        }
        let table_functions = TABLE_FUNCTIONS
            .into_iter()
            .filter(|name| !catalog.has_object(name))
            .collect();
        Ok(Self {
            authorizer,
            connection,
            catalog,
            table_functions,
            virtual_tables: HashMap::new(),
            is_sound: true,
        })
    }

    /// Says whether the connection may be used again.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Runs one statement that only reads, and only what is visible.
    pub(super) fn query(
        &mut self,
        text: &str,
        visible: &Arc<VisibleSchema>,
        limits: &QueryLimits,
        watch: &Arc<Watch>,
    ) -> Result<ResultSet, Error> {
        self.ask(text, visible, limits, watch, |mut asked| {
            asked.check.authorizer.run();
            Ok(rows::collect(&mut asked.statement, limits)?)
        })
    }

    /// Runs a statement as [`FencedConnection::query`] does, and hands its rows over instead of collecting them.
    pub(super) fn each_row(
        &mut self,
        text: &str,
        visible: &Arc<VisibleSchema>,
        limits: &QueryLimits,
        watch: &Arc<Watch>,
        sink: &mut dyn RowSink,
    ) -> Result<RowsTaken, Error> {
        self.ask(text, visible, limits, watch, |mut asked| {
            asked.check.authorizer.run();
            Ok(rows::hand_over(&mut asked.statement, limits, sink)?)
        })
    }

    /// Returns how SQLite would run a statement that [`FencedConnection::query`] would run.
    pub(super) fn explain(
        &mut self,
        text: &str,
        visible: &Arc<VisibleSchema>,
        limits: &QueryLimits,
        watch: &Arc<Watch>,
    ) -> Result<Vec<PlanStep>, Error> {
        self.ask(text, visible, limits, watch, |asked| {
            plan::read(&asked.check, text)
        })
    }

    /// Prepares and checks a statement, and gives it to `then`.
    fn ask<T>(
        &mut self,
        text: &str,
        visible: &Arc<VisibleSchema>,
        limits: &QueryLimits,
        watch: &Arc<Watch>,
        then: impl FnOnce(Asked<'_>) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let outcome = self.try_ask(text, visible, watch, then);
        self.authorizer.own();
        outcome.map_err(|fault| {
            if let Fault::Sqlite(error) = &fault {
                self.is_sound &= !leaves_doubt(error);
            }
            let asked = faults::Asked {
                text,
                visible,
                limits,
                watch,
            };
            faults::to_error(fault, &asked)
        })
    }

    fn try_ask<T>(
        &mut self,
        text: &str,
        visible: &Arc<VisibleSchema>,
        watch: &Arc<Watch>,
        then: impl FnOnce(Asked<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        // For SQLite a text ends at its first NUL, for everyone else who reads it later it does not.
        if text.contains('\0') {
            return Err(Fault::NulByte);
        }
        if words::nesting(text) > MAX_NESTING {
            return Err(Fault::TooDeep);
        }
        let virtual_tables = self.connect_virtual_tables(visible)?;
        let _attended = watch.attend(&self.connection)?;

        self.authorizer.ask(visible, &self.table_functions);
        let statement =
            prepare_select(&self.connection, text).map_err(|fault| self.denied_or(fault))?;
        let check = program::Check {
            connection: &self.connection,
            authorizer: &self.authorizer,
            catalog: &self.catalog,
            visible,
            virtual_tables: &virtual_tables,
        };
        check.run(text)?;
        then(Asked { statement, check }).map_err(|fault| self.denied_or(fault))
    }

    fn denied_or(&self, fault: Fault) -> Fault {
        match (self.authorizer.denial(), fault) {
            (Some(denial), Fault::Sqlite(_)) => Fault::Denied(denial),
            (_, fault) => fault,
        }
    }

    /// Connects the virtual tables that are visible wholly, so that what their modules prepare in doing so is not
    /// taken for the text's, and returns how a program names each.
    ///
    /// A virtual table of which columns are hidden is not readable at all: what it searches by, it does not say.
    fn connect_virtual_tables(&mut self, visible: &VisibleSchema) -> rusqlite::Result<Vec<String>> {
        self.authorizer.own();
        let tables = visible
            .tables()
            .iter()
            .filter(|table| {
                table.kind == TableKind::Virtual && !visible.has_hidden_columns(&table.name)
            })
            .map(|table| table.name.as_str());
        let mut names = Vec::new();
        for table in tables.chain(self.table_functions.iter().copied()) {
            let key = table.to_ascii_lowercase();
            if !self.virtual_tables.contains_key(&key) {
                let explain = format!("EXPLAIN SELECT 1 FROM {}", quote_identifier(table));
                // One whose module is missing cannot be read by anyone.
                let opened =
                    program::virtual_tables_opened(&self.connection, &explain).unwrap_or_default();
                self.virtual_tables
                    .insert(key.clone(), opened.into_iter().next().unwrap_or_default());
            }
            names.extend(
                self.virtual_tables
                    .get(&key)
                    .cloned()
                    .filter(|name| !name.is_empty()),
            );
        }
        Ok(names)
    }
}

/// A statement that has passed every check.
struct Asked<'a> {
    statement: Statement<'a>,
    check: program::Check<'a>,
}

/// Opens a file of which nothing will be written and which nobody else writes.
pub(super) fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(read_only_uri(path), flags)
}

/// Writes a path as an SQLite URI; every byte that means something in one is escaped.
fn read_only_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    // Two slashes at the beginning would make the first folder a host name.
    if path.is_absolute() {
        uri.push_str("//");
    }
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

/// Temporary data goes to files without a name, whose bytes the watch bounds: that keeps memory small and makes a sort
/// run in pieces, between which SQLite looks at the clock. Where files cannot be measured, memory holds it instead.
fn settings() -> String {
    let temp_store = if temporary_files::can_be_measured() {
        "FILE"
    } else {
        "MEMORY"
    };
    format!(
        "PRAGMA query_only = 1; PRAGMA hard_heap_limit = {HEAP_BYTES}; PRAGMA temp_store = {temp_store};
         PRAGMA cache_size = -{CACHE_KIB}; PRAGMA mmap_size = 0; PRAGMA cell_size_check = 1;"
    )
}

/// Prepares a text that is one statement which returns rows, needs no values and, by SQLite's own account, writes
/// nothing.
pub(super) fn prepare_select<'c>(
    connection: &'c Connection,
    text: &str,
) -> Result<Statement<'c>, Fault> {
    let statement = prepare_only(connection, text)?;
    if !statement.readonly() {
        return Err(Fault::Write(
            "not read-only by SQLite's own account".to_owned(),
        ));
    }
    if statement.is_explain() != 0 || statement.column_count() == 0 {
        return Err(Fault::NotASelect);
    }
    if statement.parameter_count() > 0 {
        return Err(Fault::Parameters);
    }
    Ok(statement)
}

/// Prepares a text that holds exactly one statement.
///
/// Not `Connection::prepare`, which looks for a second statement by calling itself, once for each statement there is:
/// a text of many thousands would overflow the stack.
fn prepare_only<'c>(connection: &'c Connection, text: &str) -> Result<Statement<'c>, Fault> {
    let mut statements = Batch::new(connection, text);
    let first = statements.next()?.ok_or(Fault::NotASelect)?;
    match statements.next() {
        Ok(None) => Ok(first),
        // Whether or not the second one can be prepared.
        Ok(Some(_)) | Err(_) => Err(Fault::SeveralStatements),
    }
}

/// Says whether SQLite may have dropped its schema, and with it the identity of the virtual tables.
fn leaves_doubt(error: &rusqlite::Error) -> bool {
    !matches!(
        faults::code(error),
        Some(
            ErrorCode::Unknown
                | ErrorCode::OperationInterrupted
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::AuthorizationForStatementDenied
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_signs_that_mean_something_in_a_uri_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "plain.db",
            "a b?c#d%20&mode=rwc.db",
            "ünï.db",
            ":memory:",
            "file:x.db",
        ] {
            let path = folder.path().join(name);
            Connection::open_with_flags(
                &path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            )
            .and_then(|connection| {
                connection.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (42)")
            })
            .expect("a file");
            let connection = open_read_only(&path).expect("opened");
            let value: i64 = connection
                .query_row("SELECT a FROM t", [], |row| row.get(0))
                .expect("a row");
            assert_eq!(value, 42, "{name}");
        }
        let missing = open_read_only(&folder.path().join("missing.db"));
        assert!(
            missing.is_err()
                || missing.is_ok_and(|c| c.execute_batch("SELECT * FROM sqlite_master").is_err())
        );
        assert!(!folder.path().join("missing.db").exists());
    }
}
