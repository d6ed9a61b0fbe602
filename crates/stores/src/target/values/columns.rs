//! Which columns may hold values that a question mentions, and which of a column's values are worth keeping.

use std::collections::HashMap;

use engine::schema::{Column, Table, TableKind};
use engine::values::is_mentionable;

/// Bytes above which a text cannot be short enough to be mentioned, whatever it is made of.
pub(super) const MAX_VALUE_BYTES: usize = engine::values::MAX_VALUE_CHARS * 4;

/// Distinct values from which a column is looked at for what it is; a small one costs nothing.
const SMALL: usize = 500;
/// Of ten, how many must look alike for a column to be of a kind.
const MOST_OF_TEN: usize = 9;
/// Words of a text that nobody would repeat in a question.
const MANY_WORDS: usize = 6;

/// Returns the columns that may hold text, by position. Views show what their tables hold.
pub(super) fn candidates(table: &Table) -> Vec<usize> {
    if table.kind != TableKind::Table {
        return Vec::new();
    }
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(_, column)| may_hold_text(column))
        .map(|(index, _)| index)
        .collect()
}

/// Source: SQLite's rules of affinity; a column of any other may hold text.
fn may_hold_text(column: &Column) -> bool {
    let declared = column.declared_type.to_ascii_uppercase();
    let is_text = ["CHAR", "CLOB", "TEXT"]
        .iter()
        .any(|name| declared.contains(name));
    let is_number = ["INT", "REAL", "FLOA", "DOUB"]
        .iter()
        .any(|name| declared.contains(name));
    // INT comes before the rest: CHARINT is an integer.
    !declared.contains("INT") && (is_text || !is_number)
}

/// What of a column goes into the index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Values with the number of rows that have each, the most frequent first.
    pub values: Vec<(Box<str>, u64)>,
    /// Some were left out for want of room.
    pub is_bounded: bool,
}

/// The values of one column and how many rows have each.
#[derive(Default)]
pub(super) struct Tally {
    counts: HashMap<Box<str>, u64>,
    rows: u64,
    long: u64,
    is_full: bool,
}

impl Tally {
    /// Counts a value; returns the bytes that it takes if it is new.
    ///
    /// Once `is_full`, no new value is taken, so that of each one taken every row was counted.
    pub fn add(&mut self, value: &str, max_values: usize, has_room: bool) -> usize {
        self.rows += 1;
        if let Some(rows) = self.counts.get_mut(value) {
            *rows += 1;
            return 0;
        }
        if !is_mentionable(value) || value.contains('\0') {
            return 0;
        }
        if self.is_full || self.counts.len() >= max_values || !has_room {
            self.is_full = true;
            return 0;
        }
        self.counts.insert(value.into(), 1);
        value.len() + 64
    }

    pub fn add_long(&mut self) {
        self.rows += 1;
        self.long += 1;
    }

    /// Returns the values worth keeping.
    pub fn kept(self) -> Kept {
        let is_text = self.long * 2 > self.rows;
        if is_text || is_of_no_use(&self.counts, self.is_full) {
            return Kept::default();
        }
        let mut values: Vec<(Box<str>, u64)> = self.counts.into_iter().collect();
        if self.is_full {
            // Those that were met before there was no more room; what recurs is what is asked for.
            values.retain(|(_, rows)| *rows > 1);
        }
        values.sort_unstable_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
        Kept {
            values,
            is_bounded: self.is_full,
        }
    }
}

/// Says whether values are identifiers, hashes, addresses or free text: each in a row of its own, and nothing that a
/// question would say.
fn is_of_no_use(counts: &HashMap<Box<str>, u64>, is_full: bool) -> bool {
    if counts.is_empty() {
        return false;
    }
    let most = |is_so: &dyn Fn(&str) -> bool| {
        let so = counts.keys().filter(|value| is_so(value)).count();
        so * 10 >= counts.len() * MOST_OF_TEN
    };
    if most(&is_hash) || most(&is_time) {
        return true;
    }
    let once = counts.values().filter(|&&rows| rows == 1).count();
    let is_unique = once * 10 >= counts.len() * MOST_OF_TEN;
    is_unique
        && (counts.len() > SMALL || is_full)
        && (most(&is_code) || most(&is_address) || most(&is_free_text))
}

fn is_hash(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = value
        .bytes()
        .filter(|byte| matches!(byte, b'-' | b'{' | b'}'))
        .count();
    digits >= 16
        && digits + dashes == value.len()
        && value.bytes().any(|byte| byte.is_ascii_digit())
}

/// Dates and times with letters in them: `2024-05-01T10:00:00Z`.
fn is_time(value: &str) -> bool {
    let begins_with_a_date = value.len() >= 10
        && value
            .bytes()
            .take(10)
            .enumerate()
            .all(|(at, byte)| match at {
                4 | 7 => matches!(byte, b'-' | b'/' | b'.'),
                _ => byte.is_ascii_digit(),
            });
    begins_with_a_date && value.bytes().filter(u8::is_ascii_alphabetic).count() <= 4
}

fn is_code(value: &str) -> bool {
    !value.contains(char::is_whitespace) && value.chars().any(|c| c.is_ascii_digit())
}

fn is_address(value: &str) -> bool {
    !value.contains(char::is_whitespace)
        && (value.contains('@') || value.contains("://") || value.starts_with("www."))
}

fn is_free_text(value: &str) -> bool {
    value.split_whitespace().count() > MANY_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared_type: &str) -> Column {
        Column {
            declared_type: declared_type.into(),
            ..Column::default()
        }
    }

    fn kept(values: impl Iterator<Item = String>, max_values: usize) -> (usize, bool) {
        let mut tally = Tally::default();
        for value in values {
            tally.add(&value, max_values, true);
        }
        let kept = tally.kept();
        (kept.values.len(), kept.is_bounded)
    }

    #[test]
    fn columns_of_numbers_hold_no_text() {
        for (declared, expected) in [
            ("TEXT", true),
            ("varchar(20)", true),
            ("", true),
            ("STRING", true),
            ("NUMERIC", true),
            ("INTEGER", false),
            ("CHARINT", false),
            ("double precision", false),
        ] {
            assert_eq!(may_hold_text(&column(declared)), expected, "{declared}");
        }
    }

    #[test]
    fn what_nobody_says_is_left_out() {
        let many = || 0..2_000;
        let hash = |n: i32| format!("{:032x}", i128::from(n) * 0x1234_5678_9abc_def1);
        assert_eq!(kept(many().map(hash), 9_999), (0, false));
        let time = |n: i32| format!("2024-05-{:02}T10:{:02}:00Z", n % 28 + 1, n % 60);
        assert_eq!(kept(many().map(time), 9_999), (0, false));
        assert_eq!(kept(many().map(|n| format!("SO-{n}")), 9_999), (0, false));
        let mail = |n: i32| format!("someone{n}@example.org");
        assert_eq!(kept(many().map(mail), 9_999), (0, false));
        let text = |n: i32| format!("a note of some {n} words about what was said");
        assert_eq!(kept(many().map(text), 9_999), (0, false));
    }

    #[test]
    fn names_and_few_codes_are_kept() {
        let letters = |n: i32| {
            n.to_string()
                .bytes()
                .map(|digit| char::from(digit + 49))
                .collect::<String>()
        };
        assert_eq!(kept((0..2_000).map(letters), 9_999), (2_000, false));
        assert_eq!(
            kept((0..100).map(|n| format!("SO-{n}")), 9_999),
            (100, false)
        );
        assert_eq!(
            kept((0..9_000).map(|n| format!("SO-{}", n % 700)), 9_999),
            (700, false)
        );
    }

    #[test]
    fn of_too_many_values_those_that_recur_are_kept_with_every_row_counted() {
        let mut tally = Tally::default();
        for number in 0..1_000 {
            tally.add(if number % 2 == 0 { "even" } else { "odd" }, 10, true);
            tally.add(&format!("name {}", "x".repeat(number % 60)), 10, true);
        }
        let Kept { values, is_bounded } = tally.kept();
        assert!(is_bounded);
        let even = values.iter().find(|(value, _)| &**value == "even");
        assert_eq!(even.map(|(_, rows)| *rows), Some(500));
        assert!(values.iter().all(|(_, rows)| *rows > 1));
    }
}
