//! Finds out what SQLite would say of a text if what is hidden did not exist, by asking it: the text is prepared, and
//! never run, in an empty database in memory that has the visible tables and columns and nothing else.

use std::sync::Arc;

use engine::policy::{VisibleSchema, quote_identifier};
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Batch, Connection, ErrorCode};

use super::faults;
use super::watch::Watch;

/// Returns what SQLite finds wrong with `text`, or `None` if it finds nothing or has no time to look.
pub(super) fn message_of(
    text: &str,
    visible: &VisibleSchema,
    watch: &Arc<Watch>,
) -> Option<String> {
    let connection = visible_only(text, visible).ok()?;
    let _attended = watch.attend(&connection).ok()?;
    match Batch::new(&connection, text).next() {
        Ok(_) => None,
        Err(error) if faults::code(&error) == Some(ErrorCode::OperationInterrupted) => None,
        Err(error) => Some(faults::native_message(&error)),
    }
}

/// Makes the tables that the text may name: on a thousand tables, making them all takes a tenth of a second.
fn visible_only(text: &str, visible: &VisibleSchema) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    let mut schema = String::from("BEGIN;");
    let text = text.to_ascii_lowercase();
    // A quote in a name is doubled in a text.
    let may_name =
        |name: &str| text.contains(&name.to_ascii_lowercase()) || name.contains(['"', '`', '\'']);
    for table in visible
        .tables()
        .iter()
        .filter(|table| may_name(&table.name))
    {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote_identifier(&column.name))
            .collect();
        schema.push_str(&format!(
            "CREATE TABLE {} ({});",
            quote_identifier(&table.name),
            columns.join(", ")
        ));
    }
    schema.push_str("COMMIT;");
    connection.execute_batch(&schema)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    for (limit, value) in super::connection::LIMITS {
        connection.set_limit(limit, value)?;
    }
    connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select
        | AuthAction::Recursive
        | AuthAction::Read { .. }
        | AuthAction::Function { .. } => Authorization::Allow,
        // Some pragmas take effect while they are prepared, and for the whole process.
        _ => Authorization::Deny,
    }))?;
    Ok(connection)
}
