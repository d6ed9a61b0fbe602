//! What every table shares: times and names as text, statements kept prepared, listings by descending identifier.

use chrono::{DateTime, SecondsFormat, Utc};
use engine::policy::Role;
use engine::ports::{Page, PageRequest};
use rusqlite::types::{FromSqlError, Type, Value};
use rusqlite::{Connection, OptionalExtension, Params, Row};

/// Writes a time as RFC 3339 in UTC with microseconds, the precision that PostgreSQL keeps; texts sort as times do.
pub(super) fn text_of(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads a time as [`text_of`] writes it; another spelling of the same time is none.
pub(super) fn time_of(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (text_of(time) == text).then_some(time)
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<DateTime<Utc>> {
    parsed(row, column, time_of)
}

pub(super) fn time_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| time_of(&text).ok_or_else(|| unreadable(row, column)))
        .transpose()
}

pub(super) fn role(row: &Row<'_>, column: &str) -> rusqlite::Result<Role> {
    parsed(row, column, Role::parse)
}

/// Reads a text that must be one of those that `parse` knows.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    column: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(column)?.as_str()?).ok_or_else(|| unreadable(row, column))
}

fn unreadable(row: &Row<'_>, column: &str) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(
        index,
        Type::Text,
        Box::new(FromSqlError::Other(
            format!("`{column}` holds no value of its kind").into(),
        )),
    )
}

/// Folds a name that is unique without regard to case.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Runs a statement that returns nothing and says how many rows it changed.
pub(super) fn execute(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params)
}

/// Returns the identifier of the row that an INSERT makes.
pub(super) fn insert(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<i64> {
    execute(connection, sql, params)?;
    Ok(connection.last_insert_rowid())
}

/// Returns the first row of a statement, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached(sql)?
        .query_row(params, read)
        .optional()
}

/// Returns all rows of a statement.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(sql)?
        .query_map(params, read)?
        .collect()
}

/// Conditions that all must hold, with their parameters.
#[derive(Default)]
pub(super) struct Conditions {
    texts: Vec<String>,
    params: Vec<Value>,
}

impl Conditions {
    /// Adds a condition on `value`, which it names `?N`, unless there is none.
    pub(super) fn and(mut self, condition: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.params.push(value.into());
            let number = format!("?{}", self.params.len());
            self.texts
                .push(format!("({})", condition.replace("?N", &number)));
        }
        self
    }

    /// Adds that one of these texts contains `search`, without regard to ASCII case. No character is special.
    pub(super) fn and_contains(self, texts: &[&str], search: Option<&str>) -> Self {
        let contains: Vec<String> = texts
            .iter()
            .map(|text| format!("instr(lower({text}), ?N) > 0"))
            .collect();
        self.and(&contains.join(" OR "), search.map(str::to_ascii_lowercase))
    }
}

/// Lists what `select` (`SELECT ... FROM ...` of a table with `id`) gives under `conditions`.
pub(super) fn page<T>(
    connection: &Connection,
    select: &str,
    conditions: Conditions,
    request: PageRequest,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    id: impl Fn(&T) -> i64,
) -> rusqlite::Result<Page<T>> {
    let limit = request.limit.clamp(1, PageRequest::MAX_LIMIT);
    let Conditions { texts, params } = conditions.and("id < ?N", request.cursor);
    let filter = if texts.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", texts.join(" AND "))
    };
    let sql = format!("{select} {filter} ORDER BY id DESC LIMIT {}", limit + 1);
    let items = all(connection, &sql, rusqlite::params_from_iter(params), read)?;
    Ok(Page::of(items, limit, id))
}
