//! Runs gold SQL, which somebody checked, so without the fences of production: on a read-only connection of its own,
//! with a deadline, and with strings in double quotes allowed, because published gold SQL is full of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::result::{ResultColumn, ResultSet, Value};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// How long gold SQL may run.
const DEADLINE: Duration = Duration::from_secs(5);

/// How many rows of gold SQL are kept; more are never right.
const MAX_ROWS: usize = 1_000_000;

/// Runs gold SQL and returns its rows, or what went wrong in words.
pub async fn run_gold(database: &Path, sql: &str) -> Result<ResultSet, String> {
    let (database, sql) = (database.to_owned(), sql.to_owned());
    tokio::task::spawn_blocking(move || {
        rows_of(&database, &sql, DEADLINE).map_err(|error| error.to_string())
    })
    .await
    .unwrap_or_else(|error| Err(error.to_string()))
}

fn rows_of(database: &Path, sql: &str, deadline: Duration) -> rusqlite::Result<ResultSet> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable_uri(database), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, true)?;
    let end = Instant::now() + deadline;
    connection.progress_handler(1_000, Some(move || Instant::now() > end))?;
    rows_on(&connection, sql)
}

/// Runs a statement on a connection and keeps its rows.
pub fn rows_on(connection: &Connection, sql: &str) -> rusqlite::Result<ResultSet> {
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut result = ResultSet::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if result.rows.len() == MAX_ROWS {
            result.truncated = true;
            break;
        }
        let cells = (0..names.len()).map(|column| row.get_ref(column).map(value));
        result.rows.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    result.columns = names
        .into_iter()
        .map(|name| ResultColumn {
            name,
            kind: "mixed".to_owned(),
        })
        .collect();
    Ok(result)
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Returns the URI that opens a file as one that nobody changes, so that SQLite neither locks nor creates anything.
fn immutable_uri(database: &Path) -> PathBuf {
    let path = database.to_string_lossy();
    let mut uri = String::from("file:");
    for character in path.chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    uri.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_database() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("100% of #1?.sqlite");
        let connection = Connection::open(&path).expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, NULL);",
            )
            .expect("rows");
        (folder, path)
    }

    #[tokio::test]
    async fn gold_may_write_strings_in_double_quotes() {
        let (_folder, path) = a_database();
        let result = run_gold(&path, r#"SELECT a, b, 0.5 FROM t WHERE b = "x""#)
            .await
            .expect("rows");
        assert_eq!(
            result.rows,
            [[
                Value::Integer(1),
                Value::Text("x".to_owned()),
                Value::Real(0.5)
            ]]
        );
    }

    #[tokio::test]
    async fn gold_writes_nothing() {
        let (_folder, path) = a_database();
        let before = std::fs::read(&path).expect("bytes");
        for sql in [
            "DELETE FROM t",
            "CREATE TABLE u (a)",
            "SELECT 1; DELETE FROM t",
        ] {
            assert!(run_gold(&path, sql).await.is_err(), "{sql}");
        }
        assert_eq!(std::fs::read(&path).expect("bytes"), before);
    }

    #[test]
    fn endless_gold_ends_at_its_deadline() {
        let (_folder, path) = a_database();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
        let begun = Instant::now();
        assert!(rows_of(&path, sql, Duration::from_millis(50)).is_err());
        assert!(begun.elapsed() < DEADLINE);
    }
}
