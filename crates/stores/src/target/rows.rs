//! Takes rows out of a statement while it runs, within the caps on rows and bytes.

use engine::ports::{QueryLimits, RowSink, RowsTaken};
use engine::result::{ResultColumn, ResultSet, Value};
use rusqlite::Statement;
use rusqlite::types::ValueRef;

/// Why no rows came.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    TooManyBytes,
    /// Who takes the rows could not.
    Sink(std::io::Error),
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
    let mut collected = Collected {
        rows: Vec::new(),
        bytes_left: limits.max_bytes,
    };
    let taken = each(statement, limits, &mut collected)?;
    Ok(ResultSet {
        columns: taken.columns,
        rows: collected.rows,
        truncated: taken.truncated,
    })
}

/// Runs a statement to its end or to the row cap, and hands every row over.
pub(super) fn hand_over(
    statement: &mut Statement<'_>,
    limits: &QueryLimits,
    sink: &mut dyn RowSink,
) -> Result<RowsTaken, Failure> {
    each(statement, limits, &mut HandedOver(sink))
}

/// What becomes of rows.
trait Take {
    fn begin(&mut self, names: &[String]) -> Result<(), Failure>;
    fn row(&mut self, values: Vec<Value>) -> Result<(), Failure>;
    fn end(&mut self) -> Result<(), Failure>;
}

struct Collected {
    rows: Vec<Vec<Value>>,
    bytes_left: usize,
}

impl Take for Collected {
    fn begin(&mut self, _: &[String]) -> Result<(), Failure> {
        Ok(())
    }

    fn row(&mut self, values: Vec<Value>) -> Result<(), Failure> {
        let bytes: usize = values.iter().map(Value::size_bytes).sum();
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes)
            .ok_or(Failure::TooManyBytes)?;
        self.rows.push(values);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

struct HandedOver<'a>(&'a mut dyn RowSink);

impl Take for HandedOver<'_> {
    fn begin(&mut self, names: &[String]) -> Result<(), Failure> {
        self.0.begin(names).map_err(Failure::Sink)
    }

    fn row(&mut self, values: Vec<Value>) -> Result<(), Failure> {
        self.0.row(&values).map_err(Failure::Sink)
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.0.end().map_err(Failure::Sink)
    }
}

fn each(
    statement: &mut Statement<'_>,
    limits: &QueryLimits,
    take: &mut impl Take,
) -> Result<RowsTaken, Failure> {
    let names: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut kinds = vec![Kinds::default(); names.len()];
    let mut taken = RowsTaken::default();
    take.begin(&names)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if taken.rows >= limits.max_rows as u64 {
            taken.truncated = true;
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
            values.push(value);
        }
        taken.rows += 1;
        take.row(values)?;
    }
    take.end()?;
    taken.columns = names
        .into_iter()
        .zip(&kinds)
        .map(|(name, kinds)| ResultColumn {
            name,
            kind: kinds.name().to_owned(),
        })
        .collect();
    Ok(taken)
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
