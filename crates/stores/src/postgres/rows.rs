//! What every table shares: names and enumerations as text, conditions of listings.

use engine::policy::Role;
use sqlx::postgres::PgRow;
use sqlx::{Encode, Postgres, QueryBuilder, Row, Type};

pub(super) fn role(row: &PgRow, column: &'static str) -> sqlx::Result<Role> {
    parsed(row, column, Role::parse)
}

/// Reads a text that must be one of those that `parse` knows.
pub(super) fn parsed<T>(
    row: &PgRow,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> sqlx::Result<T> {
    let text: &str = row.try_get(column)?;
    parse(text).ok_or_else(|| sqlx::Error::ColumnDecode {
        index: column.into(),
        source: "it holds no value of its kind".into(),
    })
}

/// Reads a count, of which none is negative.
pub(super) fn count(row: &PgRow, column: &'static str) -> sqlx::Result<Option<u64>> {
    let count: Option<i64> = row.try_get(column)?;
    Ok(count.and_then(|count| u64::try_from(count).ok()))
}

/// PostgreSQL's integers end where `i64` does; no count of ours gets there.
pub(super) fn count_of(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn id(row: &PgRow) -> sqlx::Result<i64> {
    row.try_get("id")
}

/// Folds a name that is unique without regard to case.
pub(super) fn folded(name: &str) -> String {
    storable(name).to_lowercase()
}

/// PostgreSQL stores every text but those with NUL characters.
pub(super) fn storable(text: &str) -> String {
    engine::audit::storable(text)
}

pub(super) fn storable_or_none(text: &Option<String>) -> Option<String> {
    text.as_deref().map(storable)
}

/// Starts a listing, to which conditions are added.
pub(super) fn select(columns_and_table: &str) -> QueryBuilder<Postgres> {
    QueryBuilder::new(format!("SELECT {columns_and_table} WHERE true"))
}

/// Adds a condition on `value`, which it ends before, unless there is none.
///
/// Each combination of conditions is a statement of its own: one for all of them, `$1 IS NULL OR ...`, would be planned
/// once for all and then read whole tables.
pub(super) fn and<'v, T>(
    select: &mut QueryBuilder<Postgres>,
    condition: &'static str,
    value: Option<T>,
) where
    T: Encode<'v, Postgres> + Type<Postgres>,
{
    if let Some(value) = value {
        select.push(" AND ").push(condition).push_bind(value);
    }
}

/// Adds that one of these texts contains `search`, without regard to ASCII case. No character is special.
pub(super) fn and_contains(
    select: &mut QueryBuilder<Postgres>,
    texts: &[&'static str],
    search: Option<&str>,
) {
    let Some(search) = search else { return };
    let search = storable(search).to_ascii_lowercase();
    select.push(" AND (false");
    for text in texts {
        select
            .push(" OR position(")
            .push_bind(search.clone())
            .push(format_args!(" IN lower(({text}) COLLATE \"C\")) > 0"));
    }
    select.push(")");
}
