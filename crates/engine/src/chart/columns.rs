//! What each column of a result is, by its values: a point in time, a measure, or a name for things.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use crate::result::{ResultSet, Value};

/// The columns of a result, by what they are. Those that are none of it, such as blobs or numbers that name things, are
/// categories; a column with nothing but NULL is left out.
pub(super) struct Columns {
    pub(super) times: Vec<Time>,
    pub(super) measures: Vec<Measure>,
    pub(super) categories: Vec<usize>,
}

/// A column of points in time.
pub(super) struct Time {
    pub(super) column: usize,
    form: TimeForm,
}

/// How points in time are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeForm {
    /// `2024`
    Year,
    /// `2024-03`
    Month,
    /// `2024-03-01`
    Day,
    /// `2024-03-01 12:30:00`, with a `T` or without
    Second,
}

/// A column of numbers that can be compared.
pub(super) struct Measure {
    pub(super) column: usize,
    pub(super) has_negative: bool,
    has_null: bool,
    /// The largest of them, regardless of sign.
    pub(super) largest: f64,
}

impl Columns {
    pub(super) fn of(result: &ResultSet) -> Self {
        let mut columns = Self {
            times: Vec::new(),
            measures: Vec::new(),
            categories: Vec::new(),
        };
        for (column, described) in result.columns.iter().enumerate() {
            let values = || result.rows.iter().filter_map(|row| row.get(column));
            if values().all(|value| *value == Value::Null) {
                continue;
            }
            if let Some(form) = TimeForm::of(&described.name, values()) {
                columns.times.push(Time { column, form });
            } else if let Some(measure) = Measure::of(column, &described.name, values()) {
                columns.measures.push(measure);
            } else {
                columns.categories.push(column);
            }
        }
        columns
    }

    /// Says whether no two rows have the same values in these columns.
    pub(super) fn is_unique(&self, result: &ResultSet, columns: &[usize]) -> bool {
        let mut seen = HashSet::new();
        result.rows.iter().all(|row| {
            let key: Vec<String> = columns.iter().map(|column| text(row, *column)).collect();
            seen.insert(key)
        })
    }

    pub(super) fn distinct(&self, result: &ResultSet, column: usize) -> usize {
        let values: HashSet<String> = result.rows.iter().map(|row| text(row, column)).collect();
        values.len()
    }

    /// Returns the characters of the longest value.
    pub(super) fn longest(&self, result: &ResultSet, column: usize) -> usize {
        let lengths = result
            .rows
            .iter()
            .map(|row| text(row, column).chars().count());
        lengths.max().unwrap_or(0)
    }
}

fn text(row: &[Value], column: usize) -> String {
    row.get(column).map(Value::to_text).unwrap_or_default()
}

impl Measure {
    fn of<'a>(column: usize, name: &str, values: impl Iterator<Item = &'a Value>) -> Option<Self> {
        if names_things(name) {
            return None;
        }
        let mut measure = Self {
            column,
            has_negative: false,
            has_null: false,
            largest: 0.0,
        };
        for value in values {
            let number = match value {
                Value::Integer(number) => *number as f64,
                Value::Real(number) if number.is_finite() => *number,
                Value::Null => {
                    measure.has_null = true;
                    continue;
                }
                Value::Real(_) | Value::Text(_) | Value::Blob(_) => return None,
            };
            measure.has_negative |= number < 0.0;
            measure.largest = measure.largest.max(number.abs());
        }
        Some(measure)
    }

    /// Says whether its values may be parts of a whole.
    pub(super) fn is_share(&self) -> bool {
        !self.has_negative && !self.has_null && self.largest > 0.0
    }
}

/// Numbers in a column of such a name tell things apart; their size says nothing.
fn names_things(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "id"
        || lower == "rowid"
        || lower.ends_with("_id")
        || name.ends_with("Id")
        || name.ends_with("ID")
        || ["zip", "postcode", "postal_code", "phone"].contains(&&*lower)
}

impl Time {
    /// The axis of the time.
    pub(super) fn encoding(&self, title: &str) -> Json {
        match self.form {
            TimeForm::Year => {
                json!({ "field": format!("c{}", self.column), "type": "ordinal", "title": title,
                    "axis": { "labelOverlap": true } })
            }
            _ => json!({ "field": "time", "type": "temporal", "title": title,
                "scale": { "type": "utc" }, "axis": { "labelOverlap": true } }),
        }
    }

    /// Reads the text as a time, in UTC: a browser would take it for one of its own time zone and show the day before.
    pub(super) fn transform(&self) -> Option<Json> {
        let pattern = match self.form {
            TimeForm::Year => return None,
            TimeForm::Month => "%Y-%m",
            TimeForm::Day => "%Y-%m-%d",
            TimeForm::Second => "%Y-%m-%d %H:%M:%S",
        };
        let column = self.column;
        let value = match self.form {
            TimeForm::Second => format!("replace(slice(datum.c{column}, 0, 19), 'T', ' ')"),
            _ => format!("datum.c{column}"),
        };
        Some(json!({
            "calculate": format!("datum.c{column} === null ? null : utcParse({value}, '{pattern}')"),
            "as": "time",
        }))
    }
}

impl TimeForm {
    /// Returns how the values of a column write points in time; `None` if one of them does not, or writes another form.
    fn of<'a>(name: &str, values: impl Iterator<Item = &'a Value>) -> Option<Self> {
        let mut form = None;
        for value in values {
            let this = match value {
                Value::Null => continue,
                Value::Integer(year) => Self::of_year(name, *year)?,
                Value::Text(text) => Self::of_text(name, text)?,
                Value::Real(_) | Value::Blob(_) => return None,
            };
            if *form.get_or_insert(this) != this {
                return None;
            }
        }
        form
    }

    /// A number is a year only where the column says so.
    fn of_year(name: &str, number: i64) -> Option<Self> {
        let says_so = name.to_ascii_lowercase().contains("year");
        (says_so && (1000..=2999).contains(&number)).then_some(Self::Year)
    }

    fn of_text(name: &str, text: &str) -> Option<Self> {
        let digits = |range: std::ops::Range<usize>| -> Option<u32> {
            let part = text.get(range)?;
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())?;
            part.parse().ok()
        };
        let is = |place: usize, allowed: &[u8]| {
            text.as_bytes()
                .get(place)
                .is_some_and(|byte| allowed.contains(byte))
        };
        let year = digits(0..4)?;
        if text.len() == 4 {
            return Self::of_year(name, year.into());
        }
        let month = digits(5..7).filter(|month| (1..=12).contains(month) && is(4, b"-"));
        month?;
        if text.len() == 7 {
            return Some(Self::Month);
        }
        digits(8..10).filter(|day| (1..=31).contains(day) && is(7, b"-"))?;
        if text.len() == 10 {
            return Some(Self::Day);
        }
        let is_time = is(10, b" T")
            && is(13, b":")
            && is(16, b":")
            && [11..13, 14..16, 17..19]
                .into_iter()
                .all(|range| digits(range).is_some());
        is_time.then_some(Self::Second)
    }
}
