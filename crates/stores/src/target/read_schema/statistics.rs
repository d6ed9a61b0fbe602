//! Measures the values of one table within a budget: counts, distinct values, NULLs, samples. Deterministic.

use std::collections::HashMap;

use engine::policy::quote_identifier;
use engine::result::Value;
use engine::schema::{Table, TableKind};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

use super::SchemaLimits;
use super::catalog::{Listed, is_damage};

/// Parts of a big table that are looked at, spread evenly over its rowids.
const SPREAD: i64 = 64;
/// Distinct values per column kept for comparing columns with one another.
const KEPT_VALUES: usize = 200;

/// What was seen of one table's values, for comparing its columns with those of other tables.
#[derive(Default)]
pub(super) struct Measured {
    /// One entry per column, in the order of the columns; empty when nothing was read.
    pub columns: Vec<MeasuredColumn>,
}

/// Some distinct values of one column.
#[derive(Default)]
pub(super) struct MeasuredColumn {
    /// Up to [`KEPT_VALUES`] distinct values that are whole numbers or text, evenly taken from all that were seen.
    pub values: Vec<Value>,
    /// Every value seen that is not NULL is a whole number.
    pub all_integers: bool,
    /// Every value seen that is not NULL is text.
    pub all_text: bool,
}

/// Counts the rows of a table and fills the measured fields of its columns. Views are not run.
pub(super) fn measure(
    connection: &Connection,
    listed: &mut Listed,
    max_cells: usize,
    limits: &SchemaLimits,
) -> rusqlite::Result<Measured> {
    let kind = listed.table.kind;
    if kind == TableKind::View {
        return Ok(Measured::default());
    }
    match measure_rows(connection, listed, max_cells, limits) {
        // A virtual table may refuse to be read without arguments; it stays in the schema, unmeasured.
        Err(error) if kind == TableKind::Virtual && !is_damage(&error) => Ok(Measured::default()),
        other => other,
    }
}

fn measure_rows(
    connection: &Connection,
    listed: &mut Listed,
    max_cells: usize,
    limits: &SchemaLimits,
) -> rusqlite::Result<Measured> {
    let table = &mut listed.table;
    let count: i64 = connection.query_row(
        &format!("SELECT count(*) FROM {}", quote_identifier(&table.name)),
        [],
        |row| row.get(0),
    )?;
    let row_count = u64::try_from(count).unwrap_or(0);
    table.row_count = Some(row_count);

    let max_rows = (max_cells / table.columns.len()).max(20);
    let is_small = row_count <= max_rows as u64;
    let mut scan = Scan {
        columns: table.columns.iter().map(|_| Tally::default()).collect(),
        rows: 0,
        bytes_left: limits.max_bytes_per_table,
    };
    match rowid_name(table)
        .filter(|_| !is_small && !listed.without_rowid && table.kind == TableKind::Table)
    {
        Some(rowid) => scan.read_spread(connection, table, rowid, max_rows)?,
        None => scan.read_first(connection, table, max_rows)?,
    }
    let is_complete = scan.rows == row_count;
    Ok(scan.finish(table, is_complete, limits))
}

/// Returns a name of the rowid that no column of the table takes.
fn rowid_name(table: &Table) -> Option<&'static str> {
    ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| table.column(name).is_none())
}

fn column_list(table: &Table) -> String {
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    names.join(", ")
}

/// One pass over some rows of a table.
struct Scan {
    columns: Vec<Tally>,
    rows: u64,
    bytes_left: usize,
}

impl Scan {
    fn read_first(
        &mut self,
        connection: &Connection,
        table: &Table,
        max_rows: usize,
    ) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT 0, {} FROM {} LIMIT {max_rows}",
            column_list(table),
            quote_identifier(&table.name)
        );
        self.read(&mut connection.prepare(&sql)?, []).map(|_| ())
    }

    /// Reads runs of rows that start at evenly spaced rowids and never overlap.
    fn read_spread(
        &mut self,
        connection: &Connection,
        table: &Table,
        rowid: &str,
        max_rows: usize,
    ) -> rusqlite::Result<()> {
        let name = quote_identifier(&table.name);
        // Two statements: SQLite finds either end at once, but scans for both together.
        let end = |function: &str| -> rusqlite::Result<i64> {
            connection.query_row(
                &format!("SELECT {function}({rowid}) FROM {name}"),
                [],
                |row| row.get(0),
            )
        };
        let (first, last) = (end("min")?, end("max")?);
        let run = max_rows.div_ceil(SPREAD as usize);
        let mut statement = connection.prepare(&format!(
            "SELECT {rowid}, {} FROM {name} WHERE {rowid} >= ?1 ORDER BY {rowid} LIMIT {run}",
            column_list(table)
        ))?;
        let mut next = first;
        for part in 0..SPREAD {
            let span = i128::from(last) - i128::from(first);
            let start = i128::from(first) + span * i128::from(part) / i128::from(SPREAD);
            let start = i64::try_from(start).unwrap_or(last).max(next);
            match self.read(&mut statement, [start])? {
                Some(seen) if seen < last && self.bytes_left > 0 => next = seen + 1,
                _ => break,
            }
        }
        Ok(())
    }

    /// Reads the rows of a statement whose first column is the rowid; returns the last one.
    fn read(
        &mut self,
        statement: &mut Statement<'_>,
        params: impl rusqlite::Params,
    ) -> rusqlite::Result<Option<i64>> {
        let mut rows = statement.query(params)?;
        let mut last = None;
        while self.bytes_left > 0 {
            let Some(row) = rows.next()? else { break };
            last = Some(row.get(0)?);
            self.rows += 1;
            let mut bytes = 0;
            for (index, tally) in self.columns.iter_mut().enumerate() {
                bytes += tally.add(row.get_ref(index + 1)?);
            }
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
        }
        Ok(last)
    }

    fn finish(self, table: &mut Table, is_complete: bool, limits: &SchemaLimits) -> Measured {
        let rows = self.rows;
        let mut measured = Measured::default();
        for (column, tally) in table.columns.iter_mut().zip(self.columns) {
            if rows > 0 {
                column.null_share = Some(tally.nulls as f64 / rows as f64);
            }
            column.distinct = Some(tally.counts.len() as u64);
            column.is_unique = is_complete.then(|| tally.counts.values().all(|&count| count == 1));
            let (samples, kept) = tally.finish(limits);
            column.samples = samples;
            measured.columns.push(kept);
        }
        measured
    }
}

/// The values of one column and how often each occurred.
#[derive(Default)]
struct Tally {
    counts: HashMap<Key, u64>,
    nulls: u64,
}

/// A value that can be counted; the order is the one in which ties are listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Integer(i64),
    /// In the order of the numbers, not of their bits.
    Real(u64),
    Text(Box<[u8]>),
    /// Only whether two are equal is of interest.
    Blob([u8; 32]),
}

impl Tally {
    /// Counts a value and returns its size in bytes.
    fn add(&mut self, value: ValueRef<'_>) -> usize {
        let (key, bytes) = match value {
            ValueRef::Null => {
                self.nulls += 1;
                return 1;
            }
            ValueRef::Integer(number) => (Key::Integer(number), 8),
            ValueRef::Real(number) => (Key::Real(ordered_bits(number)), 8),
            ValueRef::Text(text) => (Key::Text(text.into()), text.len()),
            ValueRef::Blob(blob) => (Key::Blob(*blake3::hash(blob).as_bytes()), blob.len()),
        };
        *self.counts.entry(key).or_default() += 1;
        bytes
    }

    fn finish(self, limits: &SchemaLimits) -> (Vec<String>, MeasuredColumn) {
        let mut kept = MeasuredColumn {
            values: Vec::new(),
            all_integers: self.counts.keys().all(|key| matches!(key, Key::Integer(_))),
            all_text: self.counts.keys().all(|key| matches!(key, Key::Text(_))),
        };
        let mut counted: Vec<(Key, u64)> = self.counts.into_iter().collect();
        counted.sort_unstable_by(|left, right| {
            right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0))
        });
        if kept.all_integers || kept.all_text {
            let step = counted.len().div_ceil(KEPT_VALUES).max(1);
            let values = counted
                .iter()
                .step_by(step)
                .filter_map(|(key, _)| value_of(key));
            kept.values = values.collect();
        }
        let mut samples: Vec<String> = Vec::new();
        for value in counted.iter().filter_map(|(key, _)| value_of(key)) {
            let sample = readable(&value.to_text(), limits.max_sample_chars);
            if samples.len() == limits.max_samples {
                break;
            }
            if !sample.is_empty() && !samples.contains(&sample) {
                samples.push(sample);
            }
        }
        (samples, kept)
    }
}

/// Maps a number to bits that sort as the numbers do.
fn ordered_bits(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

fn value_of(key: &Key) -> Option<Value> {
    Some(match key {
        Key::Integer(number) => Value::Integer(*number),
        Key::Real(bits) => Value::Real(f64::from_bits(if bits >> 63 == 1 {
            bits & !(1 << 63)
        } else {
            !bits
        })),
        Key::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        Key::Blob(_) => return None,
    })
}

/// Cuts a value to one line of at most `max_chars` characters.
fn readable(text: &str, max_chars: usize) -> String {
    let mut chars = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    let mut cut: String = chars.by_ref().take(max_chars).collect();
    if chars.next().is_some() {
        cut.pop();
        cut.push('…');
    }
    cut
}
