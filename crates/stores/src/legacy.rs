//! Moves `accounting_transactions` out of a PostgreSQL system store, where business data once stood, into a SQLite file
//! that can be asked about. Whatever columns the table has come along; nothing is dropped before all of it was compared.

use std::path::{Path, PathBuf};

use engine::{Code, Error};
use futures::TryStreamExt;
use rusqlite::params_from_iter;
use serde::Serialize;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

const TABLE: &str = "accounting_transactions";
/// Rows written at a time.
const BATCH: usize = 1_000;

/// What to move.
#[derive(Debug, Clone)]
pub struct LegacyImport {
    /// The PostgreSQL database, as its owner.
    pub from: String,
    /// The file to make; it must not be there.
    pub to: PathBuf,
    /// Remove the table when everything was compared.
    pub drop_table: bool,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegacyImported {
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: usize,
    /// Columns whose sum was compared.
    pub sums: usize,
    /// The table is gone.
    pub was_dropped: bool,
}

/// How a column is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whole numbers and truth values.
    Integer,
    /// Decimals of up to 15 digits, which SQLite keeps as numbers; compared to the last digit.
    Decimal,
    /// Longer decimals, which SQLite would round; kept as texts.
    LongDecimal,
    /// Binary fractions; their sum depends on the order of adding.
    Real,
    Blob,
    /// Everything else, as PostgreSQL writes it.
    Text,
}

struct Column {
    name: String,
    data_type: String,
    kind: Kind,
    is_nullable: bool,
    is_key: bool,
}

/// What is compared of one column: how many values, and their sum or length.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Total {
    values: i64,
    measure: String,
}

/// Copies the table, compares rows and sums, and then puts the file in its place. `progress` hears rows written and
/// all rows.
///
/// # Errors
///
/// [`Code::Conflict`] if the file is there, [`Code::NotFound`] without such a table, [`Code::SystemStoreDown`],
/// [`Code::Internal`] naming what differs; then no file is left and nothing is dropped.
pub async fn import_legacy(
    import: &LegacyImport,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<LegacyImported, Error> {
    if import.to.exists() {
        return Err(already_there(&import.to));
    }
    let mut source = PgConnection::connect(&import.from).await.map_err(down)?;
    // One state of the table from the first look to the drop.
    source
        .execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await
        .map_err(down)?;
    if import.drop_table {
        let lock = format!("LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE");
        find_table(&mut source).await?;
        source.execute(AssertSqlSafe(lock)).await.map_err(down)?;
    }
    find_table(&mut source).await?;
    let columns = read_columns(&mut source).await?;
    let folder = match import.to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file =
        tempfile::NamedTempFile::new_in(folder).map_err(|fault| unwritable(&import.to, fault))?;
    let mut target = rusqlite::Connection::open(file.path()).map_err(failed)?;
    target
        .execute_batch(&create_table(&columns))
        .map_err(failed)?;
    let rows = copy(&mut source, &mut target, &columns, progress).await?;
    let sums = compare(&mut source, &target, &columns, rows).await?;
    target.close().map_err(|(_, fault)| failed(fault))?;
    file.as_file()
        .sync_all()
        .map_err(|fault| unwritable(&import.to, fault))?;
    file.persist_noclobber(&import.to)
        .map_err(|fault| match fault.error.kind() {
            std::io::ErrorKind::AlreadyExists => already_there(&import.to),
            _ => unwritable(&import.to, fault.error),
        })?;
    if import.drop_table {
        source
            .execute(AssertSqlSafe(format!("DROP TABLE {TABLE}")))
            .await
            .map_err(|fault| {
                Error::new(
                    Code::Conflict,
                    format!("the file is complete, but `{TABLE}` cannot be removed"),
                )
                .with_hint("remove what refers to it, then the table, by hand")
                .with_cause(fault)
            })?;
    }
    source.execute("COMMIT").await.map_err(down)?;
    source.close().await.map_err(down)?;
    Ok(LegacyImported {
        rows,
        columns: columns.len(),
        sums,
        was_dropped: import.drop_table,
    })
}

async fn find_table(source: &mut PgConnection) -> Result<(), Error> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(TABLE)
        .fetch_one(source)
        .await
        .map_err(down)?;
    if is_there {
        return Ok(());
    }
    Err(Error::new(
        Code::NotFound,
        format!("the database has no table `{TABLE}`"),
    ))
}

async fn read_columns(source: &mut PgConnection) -> Result<Vec<Column>, Error> {
    let rows = sqlx::query(
        "SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS data_type, t.typname AS type_name,
                NOT a.attnotnull AS is_nullable,
                EXISTS (SELECT 1 FROM pg_index i
                        WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS is_key
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum",
    )
    .bind(TABLE)
    .fetch_all(&mut *source)
    .await
    .map_err(down)?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in rows {
        let type_name: String = row.try_get("type_name").map_err(down)?;
        let mut column = Column {
            name: row.try_get("name").map_err(down)?,
            data_type: row.try_get("data_type").map_err(down)?,
            kind: kind_of(&type_name),
            is_nullable: row.try_get("is_nullable").map_err(down)?,
            is_key: row.try_get("is_key").map_err(down)?,
        };
        if column.kind == Kind::Decimal && has_long_decimals(source, &column.name).await? {
            column.kind = Kind::LongDecimal;
        }
        columns.push(column);
    }
    Ok(columns)
}

async fn has_long_decimals(source: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let name = quoted(name);
    let sql = format!(
        "SELECT coalesce(bool_or(length(translate(trim_scale(abs({name}))::text, '.', '')) > 15), false) FROM {TABLE}"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(source)
        .await
        .map_err(down)
}

fn kind_of(type_name: &str) -> Kind {
    match type_name {
        "int2" | "int4" | "int8" | "bool" => Kind::Integer,
        "numeric" => Kind::Decimal,
        "float4" | "float8" => Kind::Real,
        "bytea" => Kind::Blob,
        _ => Kind::Text,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn create_table(columns: &[Column]) -> String {
    let keys: Vec<&Column> = columns.iter().filter(|column| column.is_key).collect();
    let definitions: Vec<String> = columns
        .iter()
        .map(|column| {
            // The declared type decides how SQLite keeps a text that looks like a number.
            let declared = match column.kind {
                Kind::Integer => "INTEGER",
                Kind::Decimal => "NUMERIC",
                Kind::Real => "REAL",
                Kind::Blob => "BLOB",
                Kind::LongDecimal | Kind::Text => "TEXT",
            };
            let rule = match (keys.len() == 1 && column.is_key, column.is_nullable) {
                (true, _) => " PRIMARY KEY",
                (false, false) => " NOT NULL",
                (false, true) => "",
            };
            format!("{} {declared}{rule}", quoted(&column.name))
        })
        .collect();
    let several = if keys.len() > 1 {
        let names: Vec<String> = keys.iter().map(|column| quoted(&column.name)).collect();
        format!(", PRIMARY KEY ({})", names.join(", "))
    } else {
        String::new()
    };
    format!("CREATE TABLE {TABLE} ({}{several})", definitions.join(", "))
}

/// Returns the expression that gives a column's value as text, in a form that SQLite's functions understand.
fn as_text(column: &Column) -> String {
    let name = quoted(&column.name);
    match (column.kind, column.data_type.as_str()) {
        (Kind::Blob, _) => format!("encode({name}, 'hex')"),
        (Kind::Integer, "boolean") => format!("({name}::int)::text"),
        (_, data_type)
            if data_type.ends_with("with time zone") && data_type.starts_with("timestamp") =>
        {
            format!("to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z'")
        }
        _ => format!("{name}::text"),
    }
}

async fn copy(
    source: &mut PgConnection,
    target: &mut rusqlite::Connection,
    columns: &[Column],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<u64, Error> {
    let total: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {TABLE}")))
        .fetch_one(&mut *source)
        .await
        .map_err(down)?;
    let total = u64::try_from(total).unwrap_or(0);
    let expressions: Vec<String> = columns.iter().map(as_text).collect();
    let select = format!("SELECT {} FROM {TABLE}", expressions.join(", "));
    let insert = insert_of(columns);
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut *source);
    let (mut batch, mut done) = (Vec::with_capacity(BATCH), 0);
    while let Some(row) = rows.try_next().await.map_err(down)? {
        batch.push(row);
        if batch.len() == BATCH {
            done += write(target, &insert, &mut batch)?;
            progress(done, total);
        }
    }
    done += write(target, &insert, &mut batch)?;
    progress(done, total);
    Ok(done)
}

fn insert_of(columns: &[Column]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let values: Vec<&str> = columns
        .iter()
        .map(|column| {
            if column.kind == Kind::Blob {
                "unhex(?)"
            } else {
                "?"
            }
        })
        .collect();
    format!(
        "INSERT INTO {TABLE} ({}) VALUES ({})",
        names.join(", "),
        values.join(", ")
    )
}

fn write(
    target: &mut rusqlite::Connection,
    insert: &str,
    batch: &mut Vec<PgRow>,
) -> Result<u64, Error> {
    let transaction = target.transaction().map_err(failed)?;
    let mut written = 0;
    for row in batch.drain(..) {
        let values: Vec<Option<String>> = (0..row.len())
            .map(|index| row.try_get(index).map_err(down))
            .collect::<Result<_, _>>()?;
        transaction
            .prepare_cached(insert)
            .and_then(|mut statement| statement.execute(params_from_iter(values)))
            .map_err(failed)?;
        written += 1;
    }
    transaction.commit().map_err(failed)?;
    Ok(written)
}

/// Compares every column's number of values and its sum, or for texts and bytes their length together. Returns how many
/// sums were compared.
async fn compare(
    source: &mut PgConnection,
    target: &rusqlite::Connection,
    columns: &[Column],
    rows: u64,
) -> Result<usize, Error> {
    let differs = |what: String| {
        Error::new(Code::Internal, format!("the copy differs: {what}"))
            .with_hint("nothing was kept and nothing was removed; try again")
    };
    let copied: i64 = target
        .query_row(&format!("SELECT count(*) FROM {TABLE}"), [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    let there: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {TABLE}")))
        .fetch_one(&mut *source)
        .await
        .map_err(down)?;
    if copied != there || u64::try_from(copied) != Ok(rows) {
        return Err(differs(format!("{there} rows became {copied}")));
    }
    let mut sums = 0;
    for column in columns {
        let before = total_before(source, column).await?;
        let after = total_after(target, column).map_err(failed)?;
        let agrees = match column.kind {
            Kind::Real => {
                before.values == after.values && is_close(&before.measure, &after.measure)
            }
            _ => before == after,
        };
        if !agrees {
            return Err(differs(format!(
                "column `{}` had {} values of {} together and has {} of {}",
                column.name, before.values, before.measure, after.values, after.measure
            )));
        }
        sums += usize::from(!matches!(column.kind, Kind::Blob | Kind::Text));
    }
    Ok(sums)
}

/// Decimals are summed digit by digit on both sides; `NaN` and infinity have no digits.
async fn total_before(source: &mut PgConnection, column: &Column) -> Result<Total, Error> {
    let name = quoted(&column.name);
    let measure = match (column.kind, column.data_type.as_str()) {
        (Kind::Integer, "boolean") => format!("coalesce(sum({name}::int), 0)::text"),
        (Kind::Integer, _) => format!("coalesce(sum({name}), 0)::text"),
        (Kind::Decimal | Kind::LongDecimal, _) => format!(
            "trim_scale(coalesce(sum({name}) FILTER (WHERE {name}::text NOT IN ('NaN', 'Infinity', '-Infinity')), 0))::text"
        ),
        (Kind::Real, _) => format!("coalesce(sum({name}::float8), 0)::text"),
        (Kind::Blob, _) => format!("coalesce(sum(octet_length({name})), 0)::text"),
        (Kind::Text, _) => format!("coalesce(sum(length({})), 0)::text", as_text(column)),
    };
    let sql = format!("SELECT count({name}), {measure} FROM {TABLE}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .fetch_one(source)
        .await
        .map_err(down)?;
    Ok(Total {
        values: row.try_get(0).map_err(down)?,
        measure: row.try_get(1).map_err(down)?,
    })
}

fn total_after(target: &rusqlite::Connection, column: &Column) -> rusqlite::Result<Total> {
    let name = quoted(&column.name);
    let measure = match column.kind {
        Kind::Decimal | Kind::LongDecimal => {
            let mut statement = target.prepare(&format!(
                "SELECT {name} FROM {TABLE} WHERE {name} IS NOT NULL"
            ))?;
            let mut rows = statement.query([])?;
            let mut sum = Decimal::default();
            while let Some(row) = rows.next()? {
                sum.add(&number_text(row.get_ref(0)?));
            }
            sum.to_text()
        }
        Kind::Integer => sum_of(target, &format!("CAST(coalesce(sum({name}), 0) AS TEXT)"))?,
        Kind::Real => sum_of(
            target,
            &format!("format('%!.17g', coalesce(sum({name}), 0.0))"),
        )?,
        Kind::Blob | Kind::Text => sum_of(
            target,
            &format!("CAST(coalesce(sum(length({name})), 0) AS TEXT)"),
        )?,
    };
    let values = target.query_row(&format!("SELECT count({name}) FROM {TABLE}"), [], |row| {
        row.get(0)
    })?;
    Ok(Total { values, measure })
}

fn sum_of(target: &rusqlite::Connection, expression: &str) -> rusqlite::Result<String> {
    target.query_row(&format!("SELECT {expression} FROM {TABLE}"), [], |row| {
        row.get(0)
    })
}

/// Writes a value of a decimal column as SQLite kept it. The shortest text that gives the same binary fraction has the
/// digits that were stored, up to the 15 that SQLite converts; longer numbers stay texts.
fn number_text(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Null | ValueRef::Blob(_) => String::new(),
    }
}

/// A sum of decimal texts, exact as long as it has fewer than 38 digits.
#[derive(Debug, Default)]
struct Decimal {
    units: i128,
    scale: usize,
}

impl Decimal {
    /// Adds a number such as `-12.50`; what is no number adds nothing.
    fn add(&mut self, text: &str) {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let Ok(mut units) = format!("{whole}{fraction}").parse::<i128>() else {
            return;
        };
        for _ in fraction.len()..self.scale {
            units = units.saturating_mul(10);
        }
        for _ in self.scale..fraction.len() {
            self.units = self.units.saturating_mul(10);
        }
        self.scale = self.scale.max(fraction.len());
        self.units = self.units.saturating_add(units);
    }

    /// Writes the sum without zeros at the end of its fraction.
    fn to_text(&self) -> String {
        let digits = format!(
            "{:0>width$}",
            self.units.unsigned_abs(),
            width = self.scale + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.units < 0 { "-" } else { "" };
        if fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        }
    }
}

/// Sums of binary fractions agree to nine digits whatever the order.
fn is_close(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => {
            one == other
                || (one - other).abs() <= 1e-9 * one.abs().max(other.abs())
                || (one.is_nan() && other == 0.0)
        }
        _ => false,
    }
}

fn already_there(path: &Path) -> Error {
    Error::new(
        Code::Conflict,
        format!("the file `{}` is there already", path.display()),
    )
    .with_hint("name another one; nothing is overwritten")
}

fn unwritable(path: &Path, fault: std::io::Error) -> Error {
    Error::new(
        Code::InvalidRequest,
        format!("cannot write `{}`: {fault}", path.display()),
    )
}

fn down(fault: sqlx::Error) -> Error {
    Error::new(
        Code::SystemStoreDown,
        "the database to import from did not answer",
    )
    .with_hint("check the URL; `assay doctor` explains a broken connection")
    .with_cause(fault)
}

fn failed(fault: rusqlite::Error) -> Error {
    Error::new(Code::Internal, "the new file cannot be written").with_cause(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_summed_to_the_last_digit() {
        let sum = |texts: &[&str]| {
            let mut sum = Decimal::default();
            texts.iter().for_each(|text| sum.add(text));
            sum.to_text()
        };
        assert_eq!(sum(&[]), "0");
        assert_eq!(sum(&["0.1", "0.2"]), "0.3");
        assert_eq!(sum(&["12.50", "-0.005", "7"]), "19.495");
        assert_eq!(sum(&["-0.05"]), "-0.05");
        assert_eq!(sum(&["1.50", "0.50"]), "2");
        assert_eq!(
            sum(&["12345678901234567890.123456789", "NaN"]),
            "12345678901234567890.123456789"
        );
    }

    #[test]
    fn the_table_keeps_its_key_and_its_types() {
        let column = |name: &str, type_name: &str, is_nullable, is_key| Column {
            name: name.into(),
            data_type: type_name.into(),
            kind: kind_of(type_name),
            is_nullable,
            is_key,
        };
        assert_eq!(
            create_table(&[
                column("id", "int4", false, true),
                column("the \"amount\"", "numeric", false, false),
                column("paid", "bool", true, false),
                column("note", "jsonb", true, false),
            ]),
            "CREATE TABLE accounting_transactions (\"id\" INTEGER PRIMARY KEY, \
             \"the \"\"amount\"\"\" NUMERIC NOT NULL, \"paid\" INTEGER, \"note\" TEXT)"
        );
    }
}
