//! What a person is told when a statement does not come to its end: SQLite's own words where they help to mend the
//! text, one fixed sentence for every kind of write, and nothing that shows that something hidden exists. The native
//! cause goes to the log.

use std::sync::Arc;
use std::time::Duration;

use engine::policy::VisibleSchema;
use engine::ports::QueryLimits;
use engine::{Code, Error};
use rusqlite::ErrorCode;

use super::authorizer::Denial;
use super::watch::{Stopped, Watch};
use super::{echo, rows, words};

/// Why a statement gave no rows.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Denied(Denial),
    Write(String),
    SeveralStatements,
    NotASelect,
    Parameters,
    NulByte,
    TooDeep,
    TooManyCalls,
    TooManyBytes,
    Sink(std::io::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

impl From<rows::Failure> for Fault {
    fn from(failure: rows::Failure) -> Self {
        match failure {
            rows::Failure::TooManyBytes => Fault::TooManyBytes,
            rows::Failure::Sqlite(error) => Fault::Sqlite(error),
            rows::Failure::Sink(error) => Fault::Sink(error),
        }
    }
}

pub(super) fn timed_out(timeout: Duration) -> Error {
    Error::new(
        Code::TargetQueryTimeout,
        format!("the query took longer than {} ms", timeout.as_millis()),
    )
    .with_hint("ask for less: fewer tables, a shorter period, an aggregate")
}

pub(super) fn cannot_open(error: rusqlite::Error) -> Error {
    Error::new(
        Code::TargetDatabaseDown,
        "the target database cannot be read",
    )
    .with_cause(error)
}

/// A statement that came to no end, as asked.
pub(super) struct Asked<'a> {
    pub(super) text: &'a str,
    pub(super) visible: &'a VisibleSchema,
    pub(super) limits: &'a QueryLimits,
    pub(super) watch: &'a Arc<Watch>,
}

/// Says what a fault means to whoever wrote the text.
pub(super) fn to_error(fault: Fault, asked: &Asked<'_>) -> Error {
    let limits = asked.limits;
    match fault {
        Fault::Sqlite(error) if code(&error) == Some(ErrorCode::OperationInterrupted) => {
            match asked.watch.stopped() {
                Some(Stopped::TemporaryFiles) => Error::new(
                    Code::SqlTooComplex,
                    "the query needs more temporary space than there is",
                )
                .with_hint("sort, group or join fewer rows"),
                Some(Stopped::Cancelled) => Error::new(Code::Cancelled, "the query was cancelled"),
                Some(Stopped::Deadline) | None => timed_out(limits.timeout),
            }
            .with_cause(error)
        }
        Fault::Denied(Denial::Write(cause)) | Fault::Write(cause) => write_refused(cause),
        // What a write was stopped for first, a column or a function perhaps, does not matter.
        fault if words::begins_a_write(asked.text) => write_refused(format!("{fault:?}")),
        Fault::Denied(Denial::Hidden { table, column }) => hidden(&table, &column, asked),
        Fault::Denied(Denial::Function(name)) => Error::new(
            Code::FunctionNotAllowed,
            format!("the function `{name}` is not allowed"),
        ),
        Fault::SeveralStatements => {
            Error::new(Code::MoreThanOneStatement, "only one statement may run")
        }
        Fault::NotASelect => Error::new(Code::NotASelect, "only SELECT may run"),
        Fault::Parameters => Error::new(
            Code::InvalidSql,
            "parameters cannot be used: write the values into the SQL",
        ),
        Fault::NulByte => Error::new(Code::InvalidSql, "the SQL holds a NUL byte"),
        Fault::TooDeep => Error::new(Code::SqlTooComplex, "the SQL is nested too deeply"),
        Fault::TooManyCalls => Error::new(
            Code::SqlTooComplex,
            "the SQL calls functions in too many places",
        ),
        Fault::TooManyBytes => Error::new(
            Code::ResultTooLarge,
            format!("the result is larger than {} bytes", limits.max_bytes),
        )
        .with_hint("ask for fewer rows or columns"),
        Fault::Sink(error) => {
            Error::new(Code::Internal, "the rows could not be written").with_cause(error)
        }
        Fault::Sqlite(error) => of_sqlite(error, asked),
    }
}

/// The one answer to a write of any kind, in SQLite's words, whichever fence stopped it.
fn write_refused(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::SqlNotReadOnly, "attempt to write a readonly database").with_cause(cause)
}

fn of_sqlite(error: rusqlite::Error, asked: &Asked<'_>) -> Error {
    let made = match code(&error) {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => return write_refused(error),
        Some(ErrorCode::TooBig) => Error::new(Code::ResultTooLarge, "string or blob too big"),
        Some(ErrorCode::OutOfMemory) => Error::new(
            Code::SqlTooComplex,
            "the query needs more memory than it may have",
        ),
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => Error::new(
            Code::TargetDatabaseDown,
            "the target database cannot be read",
        ),
        Some(ErrorCode::DiskFull) => Error::new(
            Code::SqlTooComplex,
            "the query needs more temporary space than there is",
        ),
        Some(ErrorCode::AuthorizationForStatementDenied) => {
            Error::new(Code::UnknownTable, "no such table")
        }
        Some(ErrorCode::Unknown | ErrorCode::TypeMismatch) => of_message(&error, asked),
        _ => Error::new(Code::Internal, "the query failed"),
    };
    made.with_cause(error)
}

/// Passes SQLite's own message on, unless a hidden name had a part in it.
fn of_message(error: &rusqlite::Error, asked: &Asked<'_>) -> Error {
    let native = native_message(error);
    // SQLite has no INSERT inside a WITH or a FROM, but that is what the text wanted.
    let near = native
        .strip_prefix("near \"")
        .and_then(|rest| rest.split_once('"'));
    if near.is_some_and(|(word, _)| words::is_writing(word)) {
        return write_refused(native);
    }
    // "ambiguous column name" may be said of a visible and a hidden one: only what SQLite would say of the visible
    // schema can be repeated.
    let message = match echo::message_of(asked.text, asked.visible, asked.watch) {
        Some(echoed) => echoed,
        None if native.starts_with("ambiguous column name") => "ambiguous column name".to_owned(),
        None => native,
    };
    Error::new(code_of(&message), message)
}

/// Answers a text that reaches for something hidden as SQLite would if it did not exist.
fn hidden(table: &str, column: &str, asked: &Asked<'_>) -> Error {
    let cause = format!("denied: {table}.{column}");
    let message = echo::message_of(asked.text, asked.visible, asked.watch);
    let error = match message {
        Some(message) => Error::new(code_of(&message), message),
        // The text is right as far as names go, so it reached the hidden thing without naming it: by `*`, by a NATURAL
        // join, or as a table that every SQLite file has and nobody may read.
        None if asked.visible.table(table).is_none()
            && is_of_sqlite(table)
            && words::mentions(asked.text, table) =>
        {
            Error::new(Code::UnknownTable, format!("no such table: {table}"))
        }
        None if asked.visible.table(table).is_none() => {
            Error::new(Code::UnknownTable, "no such table")
        }
        None => Error::new(Code::UnknownColumn, "no such column").with_hint(
            "name the columns one by one, each with its table, instead of `*` or a NATURAL join",
        ),
    };
    error.with_cause(cause)
}

/// Says whether a name tells nothing about the file, because every file has it.
fn is_of_sqlite(table: &str) -> bool {
    let table = table.to_ascii_lowercase();
    table.starts_with("sqlite_") || table.starts_with("pragma_") || table.starts_with("json_")
}

/// Returns SQLite's result code, which rusqlite gives for one of its two forms only.
pub(super) fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        error => error.sqlite_error_code(),
    }
}

/// Returns SQLite's message without the text that rusqlite puts after it.
pub(super) fn native_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}

fn code_of(message: &str) -> Code {
    const TOO_COMPLEX: [&str; 8] = [
        "Expression tree is too large",
        "too many terms in compound SELECT",
        "too many columns",
        "parser stack overflow",
        "at most 64 tables",
        "too many FROM clause terms",
        "too many SQL variables",
        "Recursion limit",
    ];
    if message.starts_with("no such table") {
        Code::UnknownTable
    } else if message.contains("should this be a string literal in single-quotes?") {
        Code::DoubleQuotedString
    } else if message.starts_with("no such column") {
        Code::UnknownColumn
    } else if message.starts_with("no such function") {
        Code::FunctionNotAllowed
    } else if TOO_COMPLEX.iter().any(|start| message.contains(start)) {
        Code::SqlTooComplex
    } else {
        Code::InvalidSql
    }
}
