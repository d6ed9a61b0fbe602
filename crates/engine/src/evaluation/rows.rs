//! Compares two tables of values under permutations of rows and columns.
//!
//! Every value of both tables is replaced by a number, the same for values that count as the same, so that all that
//! follows compares numbers exactly. Which column of one table may stand for which of the other is found by colouring:
//! a column's colour is what can be said of it whatever its place (its bag of values, then the colours of the rows in
//! which each value stands, and so on). Columns of one colour are then tried one by one, each time splitting the rows
//! into finer groups and going back as soon as two groups differ in size. Columns that are equal cell by cell are
//! interchangeable, so one of them is tried. Without all this, 20 columns would have 2.4e18 permutations.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Difference, TOLERANCE};
use crate::result::{ResultSet, Value};

/// The search gives up after looking at this many cells: a fraction of a second. Colouring leaves so little to search
/// that only tables built for the purpose come near.
const MAX_CELLS_SEARCHED: usize = 50_000_000;

/// Two tables whose values are numbered together.
pub(super) struct Tables {
    gold: Table,
    predicted: Table,
}

/// A table by columns.
struct Table {
    columns: Vec<Vec<u32>>,
    row_count: usize,
}

impl Tables {
    /// Numbers the values of two results.
    pub(super) fn new(gold: &ResultSet, predicted: &ResultSet) -> Self {
        let numbers = group_numbers([gold, predicted]);
        let mut ids: HashMap<Key<'_>, u32> = HashMap::new();
        let mut table = |result| Table::new(result, &numbers, &mut ids);
        Self {
            gold: table(gold),
            predicted: table(predicted),
        }
    }

    /// Returns the first difference under the test-suite rule.
    pub(super) fn difference(&self, in_order: bool) -> Option<Difference> {
        let (gold, predicted) = (&self.gold, &self.predicted);
        if gold.row_count != predicted.row_count {
            return Some(Difference::RowCount);
        }
        if gold.row_count == 0 {
            return None;
        }
        if gold.columns.len() != predicted.columns.len() {
            return Some(Difference::ColumnCount);
        }
        if same_bag_of_columns(gold, predicted) {
            return None;
        }
        match same_bag_of_rows(gold, predicted) {
            Some(true) if in_order => Some(Difference::Order),
            Some(true) => None,
            Some(false) => Some(Difference::Values),
            None => Some(Difference::Undecided),
        }
    }

    /// Says whether both tables hold the same rows, however often, with their columns in order.
    pub(super) fn same_set_of_rows(&self) -> bool {
        self.gold.set_of_rows() == self.predicted.set_of_rows()
    }
}

impl Table {
    fn new<'a>(result: &'a ResultSet, numbers: &Numbers, ids: &mut HashMap<Key<'a>, u32>) -> Self {
        let mut columns = vec![Vec::with_capacity(result.rows.len()); result.columns.len()];
        for row in &result.rows {
            for (column, value) in columns.iter_mut().zip(row) {
                let next = u32::try_from(ids.len()).expect("fewer than 2^32 values fit in memory");
                column.push(*ids.entry(numbers.key(value)).or_insert(next));
            }
        }
        Self {
            columns,
            row_count: result.rows.len(),
        }
    }

    fn row(&self, row: usize) -> impl Iterator<Item = u32> + '_ {
        self.columns.iter().map(move |column| column[row])
    }

    fn set_of_rows(&self) -> HashSet<Vec<u32>> {
        (0..self.row_count)
            .map(|row| self.row(row).collect())
            .collect()
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Numbering values

/// What makes a value the same as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'a> {
    Null,
    Number(u32),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// The group of every number that occurs.
struct Numbers {
    integers: HashMap<i64, u32>,
    reals: HashMap<u64, u32>,
}

impl Numbers {
    fn key<'a>(&self, value: &'a Value) -> Key<'a> {
        match value {
            Value::Null => Key::Null,
            Value::Integer(number) => Key::Number(self.integers[number]),
            Value::Real(number) => Key::Number(self.reals[&number.to_bits()]),
            Value::Text(text) => Key::Text(text),
            Value::Blob(bytes) => Key::Blob(bytes),
        }
    }
}

/// Puts numbers that are near each other into groups; see [`TOLERANCE`].
fn group_numbers(results: [&ResultSet; 2]) -> Numbers {
    // A number as a double, and as the whole number that it is, if it was given as one.
    let mut found: Vec<(f64, Option<i64>)> = results
        .iter()
        .flat_map(|result| result.rows.iter().flatten())
        .filter_map(|value| match value {
            Value::Integer(number) => Some((*number as f64, Some(*number))),
            Value::Real(number) => Some((*number, None)),
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));

    let mut numbers = Numbers {
        integers: HashMap::new(),
        reals: HashMap::new(),
    };
    let mut group = 0;
    let mut smallest = f64::NAN;
    let mut whole: Option<i64> = None;
    for (number, integer) in found {
        let other_integer = whole.is_some() && integer.is_some() && whole != integer;
        if other_integer || !are_near(smallest, number) {
            group += 1;
            smallest = number;
            whole = None;
        }
        whole = whole.or(integer);
        match integer {
            Some(integer) => numbers.integers.insert(integer, group),
            None => numbers.reals.insert(number.to_bits(), group),
        };
    }
    numbers
}

fn are_near(a: f64, b: f64) -> bool {
    let larger = a.abs().max(b.abs());
    a == b || (larger.is_finite() && (a - b).abs() <= TOLERANCE * larger.max(1.0))
}

// ---------------------------------------------------------------------------------------------------------------------
// Permuting columns

/// Says whether the columns are the same up to their order, each row staying where it is.
fn same_bag_of_columns(gold: &Table, predicted: &Table) -> bool {
    let sorted = |table: &Table| {
        let mut columns = table.columns.clone();
        columns.sort_unstable();
        columns
    };
    sorted(gold) == sorted(predicted)
}

/// Says whether some permutation of columns makes the rows the same bag; `None` if the search was given up.
fn same_bag_of_rows(gold: &Table, predicted: &Table) -> Option<bool> {
    let Some((gold_colours, predicted_colours)) = colour_alike(gold, predicted) else {
        return Some(false);
    };
    // Rare colours first: a choice among few is soon right, and what it fixes prunes the rest.
    let mut order: Vec<usize> = (0..gold.columns.len()).collect();
    order.sort_by_key(|column| {
        let colour = gold_colours.columns[*column];
        let rivals = gold_colours
            .columns
            .iter()
            .filter(|other| **other == colour);
        (rivals.count(), *column)
    });
    let mut search = Search {
        gold,
        predicted,
        gold_colours: &gold_colours.columns,
        predicted_colours: &predicted_colours.columns,
        order: &order,
        is_used: vec![false; predicted.columns.len()],
        cells_left: MAX_CELLS_SEARCHED,
    };
    search.assign(
        0,
        &number_rows(&gold_colours.rows),
        &number_rows(&predicted_colours.rows),
    )
}

/// What can be said of the columns and rows of a table whatever their places.
#[derive(Clone)]
struct Colours {
    columns: Vec<u64>,
    rows: Vec<u64>,
}

impl Colours {
    fn of(table: &Table) -> Self {
        Self {
            columns: vec![0; table.columns.len()],
            rows: vec![0; table.row_count],
        }
    }

    /// Colours columns by the rows in which their values stand, then rows by the columns.
    fn refine(&mut self, table: &Table) {
        let columns = table.columns.iter().zip(&self.columns);
        self.columns = columns
            .map(|(column, colour)| {
                let cells = column.iter().copied().zip(self.rows.iter().copied());
                hash_of_bag(*colour, cells)
            })
            .collect();
        self.rows = (0..table.row_count)
            .map(|row| {
                let cells = table.row(row).zip(self.columns.iter().copied());
                hash_of_bag(self.rows[row], cells)
            })
            .collect();
    }
}

/// Colours both tables until nothing more is told apart; `None` if they differ in their colours, and so in their rows.
fn colour_alike(gold: &Table, predicted: &Table) -> Option<(Colours, Colours)> {
    let mut pair = (Colours::of(gold), Colours::of(predicted));
    let mut told_apart = 0;
    loop {
        pair.0.refine(gold);
        pair.1.refine(predicted);
        if sorted(&pair.0.columns) != sorted(&pair.1.columns)
            || sorted(&pair.0.rows) != sorted(&pair.1.rows)
        {
            return None;
        }
        let mut columns = sorted(&pair.0.columns);
        columns.dedup();
        // Every round but the last tells at least one more column apart, so there are at most as many as columns.
        if columns.len() == told_apart || columns.len() == gold.columns.len() {
            return Some(pair);
        }
        told_apart = columns.len();
    }
}

fn sorted(colours: &[u64]) -> Vec<u64> {
    let mut colours = colours.to_vec();
    colours.sort_unstable();
    colours
}

fn hash_of_bag(own: u64, cells: impl Iterator<Item = (u32, u64)>) -> u64 {
    let mut cells: Vec<(u32, u64)> = cells.collect();
    cells.sort_unstable();
    let mut hasher = DefaultHasher::new();
    (own, cells).hash(&mut hasher);
    hasher.finish()
}

/// The groups of rows to begin with: rows of another colour never match.
fn number_rows(colours: &[u64]) -> Vec<u32> {
    let order = {
        let mut order = sorted(colours);
        order.dedup();
        order
    };
    colours
        .iter()
        .map(|colour| {
            let place = order.partition_point(|other| other < colour);
            u32::try_from(place).expect("fewer than 2^32 rows fit in memory")
        })
        .collect()
}

/// Assigns gold columns to predicted columns one by one.
struct Search<'a> {
    gold: &'a Table,
    predicted: &'a Table,
    gold_colours: &'a [u64],
    predicted_colours: &'a [u64],
    /// The gold columns in the order in which they are assigned.
    order: &'a [usize],
    /// Which predicted columns are assigned.
    is_used: Vec<bool>,
    cells_left: usize,
}

impl Search<'_> {
    /// Assigns the columns from the `depth`th on. The groups say which rows agree on all columns assigned so far;
    /// invariant: each group has as many gold rows as predicted rows.
    fn assign(
        &mut self,
        depth: usize,
        gold_groups: &[u32],
        predicted_groups: &[u32],
    ) -> Option<bool> {
        let Some(&column) = self.order.get(depth) else {
            return Some(true);
        };
        let mut tried: Vec<usize> = Vec::new();
        for candidate in 0..self.predicted.columns.len() {
            let values = &self.predicted.columns[candidate];
            if self.is_used[candidate]
                || self.predicted_colours[candidate] != self.gold_colours[column]
                || tried
                    .iter()
                    .any(|other| self.predicted.columns[*other] == *values)
            {
                continue;
            }
            tried.push(candidate);
            self.cells_left = self.cells_left.checked_sub(self.gold.row_count)?;
            let Some((gold_finer, predicted_finer)) = split_groups(
                gold_groups,
                &self.gold.columns[column],
                predicted_groups,
                values,
            ) else {
                continue;
            };
            self.is_used[candidate] = true;
            if self.assign(depth + 1, &gold_finer, &predicted_finer)? {
                return Some(true);
            }
            self.is_used[candidate] = false;
        }
        Some(false)
    }
}

/// Splits groups of rows by one more column; `None` if the parts differ in size.
fn split_groups(
    gold_groups: &[u32],
    gold_values: &[u32],
    predicted_groups: &[u32],
    predicted_values: &[u32],
) -> Option<(Vec<u32>, Vec<u32>)> {
    let mut parts: HashMap<(u32, u32), (u32, usize)> = HashMap::new();
    let mut gold_finer = Vec::with_capacity(gold_groups.len());
    for key in gold_groups.iter().copied().zip(gold_values.iter().copied()) {
        let next = u32::try_from(parts.len()).expect("fewer than 2^32 rows fit in memory");
        let part = parts.entry(key).or_insert((next, 0));
        part.1 += 1;
        gold_finer.push(part.0);
    }
    let mut predicted_finer = Vec::with_capacity(predicted_groups.len());
    for key in predicted_groups
        .iter()
        .copied()
        .zip(predicted_values.iter().copied())
    {
        let part = parts.get_mut(&key)?;
        part.1 = part.1.checked_sub(1)?;
        predicted_finer.push(part.0);
    }
    // Both have as many rows, so no part has any left.
    Some((gold_finer, predicted_finer))
}
