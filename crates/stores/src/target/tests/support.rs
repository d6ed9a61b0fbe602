//! A company in a file, and ways to ask it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::policy::{Visibility, VisibleSchema, quote_identifier};
use engine::ports::{PlanStep, QueryLimits};
use engine::question::Provenance;
use engine::result::{ResultSet, Value};
use engine::schema::{Column, ColumnRef, Schema, Table, TableKind};
use engine::{Code, Error};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use tempfile::TempDir;

use crate::target::SqliteGeneration;
use crate::target::connection::open_read_only;
use crate::target::rows::{self, Failure};
use crate::target::watch::Watch;

pub(super) struct Target {
    pub(super) folder: TempDir,
    pub(super) path: PathBuf,
    pub(super) generation: SqliteGeneration,
    pub(super) visible: Arc<VisibleSchema>,
}

impl Target {
    /// A file made by `sql`, seen by someone from whom `hidden` is hidden.
    pub(super) fn new(sql: &str, hidden: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("target.db");
        let connection = Connection::open(&path).expect("a file");
        connection.execute_batch(sql).expect("the schema");
        drop(connection);
        Self::of(path, folder, hidden)
    }

    /// The file at `path`, wherever it lies, with a folder to keep.
    pub(super) fn of(path: PathBuf, folder: TempDir, hidden: &[&str]) -> Self {
        let schema = Arc::new(read(&path));
        let visible = VisibleSchema::new(&schema, &Visibility::hiding(hidden));
        let provenance = Box::new(|| Provenance {
            fingerprint: String::new(),
            data_as_of: String::new(),
            copied_at: String::new(),
            original_changed: false,
        });
        Self {
            generation: SqliteGeneration::new(path.clone(), schema, provenance),
            folder,
            path,
            visible,
        }
    }

    /// Runs raw text under the engine's fences alone.
    pub(super) fn ask_within(&self, sql: &str, limits: QueryLimits) -> Result<ResultSet, Error> {
        let asked = self
            .generation
            .run(sql.to_owned(), self.visible.clone(), limits);
        runtime().block_on(asked)
    }

    pub(super) fn ask(&self, sql: &str) -> Result<ResultSet, Error> {
        let limits = QueryLimits {
            timeout: Duration::from_secs(10),
            ..QueryLimits::default()
        };
        self.ask_within(sql, limits)
    }

    /// How raw text would run under the engine's fences alone.
    pub(super) fn explain(&self, sql: &str) -> Result<Vec<PlanStep>, Error> {
        let (text, visible) = (sql.to_owned(), self.visible.clone());
        let limits = QueryLimits::default();
        let asked = self.generation.work(limits, move |connection, watch| {
            connection.explain(&text, &visible, &limits, watch)
        });
        runtime().block_on(asked)
    }

    /// The rows as text, or code and message of the error.
    pub(super) fn answer(&self, sql: &str) -> String {
        match self.ask(sql) {
            Ok(result) => result
                .rows
                .iter()
                .map(|row| row.iter().map(Value::to_text).collect::<Vec<_>>().join("|"))
                .collect::<Vec<_>>()
                .join("\n"),
            Err(error) => format!("{}: {}", error.code(), error.message()),
        }
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Runs text on an open file with no fence but the deadline and the caps, which always stay on.
pub(super) fn plain(path: &Path, sql: &str, limits: &QueryLimits) -> Result<ResultSet, Error> {
    let connection = Connection::open(path).expect("a file");
    connection
        .set_limit(Limit::SQLITE_LIMIT_LENGTH, 1 << 20)
        .expect("a limit");
    let watch = Arc::new(Watch::until(Instant::now() + limits.timeout));
    let _attended = watch.attend(&connection).expect("a progress handler");
    let told = |error: rusqlite::Error| match watch.stopped() {
        Some(_) => Error::new(Code::TargetQueryTimeout, error.to_string()),
        None => Error::new(Code::InvalidSql, error.to_string()),
    };
    let mut statement = connection.prepare(sql).map_err(told)?;
    rows::collect(&mut statement, limits).map_err(|failure| match failure {
        Failure::Sqlite(error) => told(error),
        Failure::TooManyBytes => Error::new(Code::ResultTooLarge, "too many bytes"),
        Failure::Sink(error) => Error::new(Code::Internal, error.to_string()),
    })
}

/// Reads the schema of a file, as far as these tests need it.
pub(super) fn read(path: &Path) -> Schema {
    let connection = open_read_only(path).expect("a file");
    let listed: Vec<(String, String)> = connection
        .prepare("SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite_%'")
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("the tables");
    let tables = listed.into_iter().map(|(name, kind)| Table {
        columns: columns(&connection, &name),
        kind: match kind.as_str() {
            "view" => TableKind::View,
            "virtual" => TableKind::Virtual,
            _ => TableKind::Table,
        },
        reads: if kind == "view" {
            reads(&connection, &name)
        } else {
            Vec::new()
        },
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        row_count: None,
        ddl: String::new(),
        name,
    });
    Schema {
        tables: tables.collect(),
    }
}

fn columns(connection: &Connection, table: &str) -> Vec<Column> {
    connection
        .prepare("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1")
        .and_then(|mut statement| {
            let column = |row: &rusqlite::Row<'_>| {
                Ok(Column {
                    name: row.get(0)?,
                    ..Column::default()
                })
            };
            statement.query_map([table], column)?.collect()
        })
        .expect("the columns")
}

fn reads(connection: &Connection, view: &str) -> Vec<ColumnRef> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let shared = heard.clone();
    let listen = move |context: AuthContext<'_>| {
        if let AuthAction::Read {
            table_name,
            column_name,
        } = context.action
        {
            shared.lock().expect("no panic").push(ColumnRef {
                table: table_name.to_owned(),
                column: column_name.to_owned(),
            });
        }
        Authorization::Allow
    };
    connection.authorizer(Some(listen)).expect("an authorizer");
    connection
        .prepare(&format!("SELECT * FROM {}", quote_identifier(view)))
        .expect("the view");
    connection
        .authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
        .expect("no authorizer");
    heard.lock().expect("no panic").drain(..).collect()
}
