//! Takes rows out of a statement while it runs, within the caps on rows and bytes.

use engine::ports::QueryLimits;
use engine::result::{ResultColumn, ResultSet, Value};
use rusqlite::Statement;
use rusqlite::types::ValueRef;

/// Why no rows came.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    TooManyBytes,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

/// Runs a statement to its end or to the row cap, whichever comes first.
pub(super) fn collect(
    statement: &mut Statement<'_>,
    limits: &QueryLimits,
) -> Result<ResultSet, Failure> {
    let names: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut kinds = vec![Kinds::default(); names.len()];
    let mut result = ResultSet::default();
    let mut bytes = 0_usize;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if result.rows.len() >= limits.max_rows {
            result.truncated = true;
            break;
        }
        let mut values = Vec::with_capacity(names.len());
        for (index, kinds) in kinds.iter_mut().enumerate() {
            let value = match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
            };
            kinds.note(&value);
            bytes = bytes.saturating_add(value.size_bytes());
            values.push(value);
        }
        if bytes > limits.max_bytes {
            return Err(Failure::TooManyBytes);
        }
        result.rows.push(values);
    }
    result.columns = names
        .into_iter()
        .zip(&kinds)
        .map(|(name, kinds)| ResultColumn {
            name,
            kind: kinds.name().to_owned(),
        })
        .collect();
    Ok(result)
}

/// The kinds of value seen in one column, NULL aside.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds(u8);

impl Kinds {
    const NAMES: [&'static str; 4] = ["integer", "real", "text", "blob"];

    fn note(&mut self, value: &Value) {
        self.0 |= match value {
            Value::Null => 0,
            Value::Integer(_) => 1,
            Value::Real(_) => 2,
            Value::Text(_) => 4,
            Value::Blob(_) => 8,
        };
    }

    fn name(self) -> &'static str {
        match self.0.count_ones() {
            0 => "null",
            1 => Self::NAMES[self.0.trailing_zeros() as usize],
            _ => "mixed",
        }
    }
}
