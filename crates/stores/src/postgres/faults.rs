//! The driver's errors as those of the engine.

use std::io;

use engine::{Code, Error};
use sqlx::postgres::PgConnectOptions;

/// What a second one of its kind breaks, by the name of its constraint.
const TAKEN: [(&str, Code, &str); 6] = [
    (
        "users_email_taken",
        Code::EmailTaken,
        "a user has this address already",
    ),
    (
        "business_ontologies_name_taken",
        Code::NameTaken,
        "there is a term of this name already",
    ),
    (
        "policies_of_tables",
        Code::Conflict,
        "a policy hides this table from this role already",
    ),
    (
        "policies_of_columns",
        Code::Conflict,
        "a policy hides this column from this role already",
    ),
    (
        "invitations_open",
        Code::Conflict,
        "this address is being invited by someone else at this moment",
    ),
    (
        "password_resets_open",
        Code::Conflict,
        "this password is being reset at this moment",
    ),
];

/// Says what a failed statement means to the caller.
pub(super) fn down(fault: sqlx::Error) -> Error {
    let taken = fault
        .as_database_error()
        .filter(|fault| fault.is_unique_violation())
        .and_then(|fault| fault.constraint())
        .and_then(|name| TAKEN.iter().find(|(constraint, ..)| *constraint == name));
    match taken {
        Some((_, code, message)) => Error::new(*code, *message),
        None => Error::new(Code::SystemStoreDown, "the system store did not answer")
            .with_cause(cause(&fault)),
    }
}

/// Says why no connection could be opened.
pub(super) fn unreachable(options: &PgConnectOptions, fault: sqlx::Error) -> Error {
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    let (host, port, user) = (
        options.get_host(),
        options.get_port(),
        options.get_username(),
    );
    let error = Error::new(
        Code::SystemStoreDown,
        format!("cannot connect to the system store `{database}` at {host}:{port} as `{user}`"),
    )
    .with_cause(cause(&fault));
    match state(&fault).as_deref() {
        Some("28000" | "28P01") => error.with_hint("check the user and the password in DATABASE_URL or POSTGRES_USER and POSTGRES_PASSWORD"),
        Some("3D000") => error.with_hint(format!("create it with: createdb --encoding=UTF8 --owner={user} {database}")),
        Some("53300") => error.with_hint("the server has no connection left; raise its max_connections"),
        Some("22023" | "42501") => error.with_hint("run `assay init` or `assay migrate` with a MIGRATION_DATABASE_URL of the owner first"),
        Some(_) => error,
        None => error.with_hint("check that PostgreSQL runs there and takes connections from this machine"),
    }
}

/// Says whether the connection itself broke, so that nothing more can be run on it.
pub(super) fn is_lost(fault: &sqlx::Error) -> bool {
    match fault {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        _ => state(fault).is_some_and(|state| state.starts_with("57P") || state.starts_with("08")),
    }
}

/// Says whether the server is there and not ready yet.
pub(super) fn is_starting(fault: &sqlx::Error) -> bool {
    state(fault).as_deref() == Some("57P03")
}

/// Says whether the statement lacked a right.
pub(super) fn is_forbidden(fault: &sqlx::Error) -> bool {
    state(fault).as_deref() == Some("42501")
}

/// Returns the SQLSTATE of an error that the server reported.
pub(super) fn state(fault: &sqlx::Error) -> Option<String> {
    let fault = fault.as_database_error()?;
    fault.code().map(|code| code.into_owned())
}

fn cause(fault: &sqlx::Error) -> String {
    match (state(fault), fault) {
        (Some(state), _) => format!("{state} {fault}"),
        (None, sqlx::Error::Io(fault)) if fault.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection".to_owned()
        }
        (None, fault) => fault.to_string(),
    }
}
