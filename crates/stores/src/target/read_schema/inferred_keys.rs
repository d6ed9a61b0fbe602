//! Finds likely foreign keys that nobody declared: by name, then type, then containment of values. Meant to be right
//! rather than complete: one key too many sends every join of a question the wrong way.

use std::collections::{BTreeSet, HashMap};

use engine::policy::quote_identifier;
use engine::result::Value;
use engine::schema::{ForeignKey, Table, TableKind};
use rusqlite::Connection;

use super::catalog::Listed;
use super::statistics::{Measured, MeasuredColumn};

/// Share of a column's distinct values that must occur in the column referred to; real data has a few orphans.
const MIN_CONTAINED: f64 = 0.9;
/// Rows of a table that are searched when no index helps.
const MAX_ROWS_WITHOUT_INDEX: u64 = 100_000;
/// Names of keys that say nothing about what they identify, and endings of those that do.
const KEY_WORDS: [&str; 9] = [
    "id", "code", "key", "no", "nr", "num", "number", "uid", "uuid",
];
/// First words of table names that say nothing about what the table holds.
const TABLE_PREFIXES: [&str; 6] = ["tbl", "t", "dim", "fact", "ref", "lkp"];

/// Adds inferred keys for columns that are in no declared one.
pub(super) fn infer(
    connection: &Connection,
    tables: &mut [Listed],
    measured: &[Measured],
) -> rusqlite::Result<()> {
    let names = Names::of(tables);
    let mut found: Vec<(usize, ForeignKey)> = Vec::new();
    for (index, listed) in tables.iter().enumerate() {
        let table = &listed.table;
        if table.kind != TableKind::Table {
            continue;
        }
        for (column, values) in table.columns.iter().zip(&measured[index].columns) {
            let is_declared = table
                .foreign_keys
                .iter()
                .any(|key| key.columns.contains(&column.name));
            if is_declared || values.values.is_empty() {
                continue;
            }
            let mut fitting: Vec<(Likeness, Target)> = Vec::new();
            for (likeness, target) in names.likely_targets(table, index, &column.name) {
                let is_worse = fitting.first().is_some_and(|(best, _)| *best != likeness);
                if is_worse {
                    break;
                }
                let referred = &measured[target.table].columns[target.column];
                if same_type(values, referred)
                    && contains(connection, &tables[target.table].table, target, values)?
                {
                    fitting.push((likeness, target));
                }
            }
            if fitting.len() > 1 {
                fitting.retain(|(_, target)| target.is_primary_key);
            }
            // Two tables that fit equally well mean that the name does not decide it.
            if let [(_, target)] = fitting.as_slice() {
                let to = &tables[target.table].table;
                let key = ForeignKey {
                    columns: vec![column.name.clone()],
                    table: to.name.clone(),
                    referenced: vec![to.columns[target.column].name.clone()],
                    inferred: true,
                };
                found.push((index, key));
            }
        }
    }
    for (index, key) in found {
        tables[index].table.foreign_keys.push(key);
    }
    Ok(())
}

/// A column that others may refer to.
#[derive(Debug, Clone, Copy)]
struct Target {
    table: usize,
    column: usize,
    is_primary_key: bool,
}

/// How a column's name leads to a target, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// `customer_id` for `customers.id` or `customers.customer_id`.
    Named,
    /// `parent_id` or `reports_to` for `id` of the same table.
    Parent,
    /// `cds_code` for the only table that has a primary key of this name.
    SameKey,
    /// `billing_customer_id` for `customers.id` or `customers.customer_id`.
    /// The number is that of the word at which the ending starts: a longer ending is surer.
    Role(usize),
    /// `customer` for `customers.id`.
    Bare,
}

/// What the names of referring columns lead to, in small letters without separators.
struct Names {
    /// `customerid` to `customers.id` or `customers.customer_id`.
    named: HashMap<String, Vec<Target>>,
    /// `cdscode` to every primary key of this telling name.
    keys: HashMap<String, Vec<Target>>,
    /// `customer` to `customers.id`.
    bare: HashMap<String, Vec<Target>>,
}

impl Names {
    fn of(tables: &[Listed]) -> Self {
        let (mut named, mut keys, mut bare) = (HashMap::new(), HashMap::new(), HashMap::new());
        let put = |names: &mut HashMap<String, Vec<Target>>, name: String, target: Target| {
            names.entry(name).or_default().push(target);
        };
        for (index, listed) in tables.iter().enumerate() {
            let table = &listed.table;
            if table.kind != TableKind::Table {
                continue;
            }
            let stems = stems(&table.name);
            for (position, column) in table.columns.iter().enumerate() {
                let is_primary_key = table.primary_key == [column.name.as_str()];
                let is_key_by_its_values = table.primary_key.is_empty()
                    && column.is_unique == Some(true)
                    && table.row_count > Some(1);
                if !column.declared_unique && !is_key_by_its_values {
                    continue;
                }
                let target = Target {
                    table: index,
                    column: position,
                    is_primary_key,
                };
                let name = words(&column.name).concat();
                if KEY_WORDS.contains(&name.as_str()) {
                    for stem in &stems {
                        put(&mut named, format!("{stem}{name}"), target);
                        if is_primary_key {
                            put(&mut bare, stem.clone(), target);
                        }
                    }
                    continue;
                }
                let is_named_after_table = KEY_WORDS.iter().any(|word| {
                    name.strip_suffix(word)
                        .is_some_and(|stem| stems.contains(stem))
                });
                if is_named_after_table {
                    put(&mut named, name.clone(), target);
                }
                if is_primary_key && KEY_WORDS.iter().any(|word| name.ends_with(word)) {
                    put(&mut keys, name, target);
                }
            }
        }
        Self { named, keys, bare }
    }

    /// Returns the targets that the name of a column suggests, the surest first.
    fn likely_targets(&self, own: &Table, index: usize, column: &str) -> Vec<(Likeness, Target)> {
        let words = words(column);
        let name = words.concat();
        let is_own_key = own.primary_key == [column];
        let elsewhere = |target: &&Target| target.table != index;
        let listed = |names: &HashMap<String, Vec<Target>>, name: &str| {
            names.get(name).cloned().unwrap_or_default()
        };

        let mut likely = Vec::new();
        let named = listed(&self.named, &name);
        likely.extend(
            named
                .iter()
                .filter(elsewhere)
                .map(|&target| (Likeness::Named, target)),
        );
        if is_own_key {
            return likely;
        }
        if let [key] = own.primary_key.as_slice()
            && (name == "reportsto"
                || name.strip_prefix("parent") == Some(self::words(key).concat().as_str()))
            && let Some(position) = own.columns.iter().position(|column| column.name == *key)
        {
            let target = Target {
                table: index,
                column: position,
                is_primary_key: true,
            };
            likely.push((Likeness::Parent, target));
        }
        if let [only] = listed(&self.keys, &name).as_slice() {
            likely.extend(
                Some(only)
                    .filter(elsewhere)
                    .map(|&target| (Likeness::SameKey, target)),
            );
        }
        // The longest ending first: `ship_order_line_id` means order lines rather than lines.
        for start in 1..words.len() {
            let ending = words[start..].concat();
            likely.extend(
                listed(&self.named, &ending)
                    .into_iter()
                    .map(|target| (Likeness::Role(start), target)),
            );
        }
        let bare = listed(&self.bare, &name);
        likely.extend(
            bare.iter()
                .filter(elsewhere)
                .map(|&target| (Likeness::Bare, target)),
        );
        likely
    }
}

/// Splits a name into words in small letters, at whatever is no letter or digit and where small letters meet capitals.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut starts_new = true;
    let mut after_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            starts_new = true;
            continue;
        }
        if starts_new || (after_small && c.is_uppercase()) {
            words.push(String::new());
        }
        starts_new = false;
        after_small = !c.is_uppercase();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Returns the ways in which other tables may name this one: `categories` gives `categories`, `category`.
fn stems(table: &str) -> BTreeSet<String> {
    let words = words(table);
    let mut stems = BTreeSet::new();
    let without_prefix = match words.as_slice() {
        [first, rest @ ..] if !rest.is_empty() && TABLE_PREFIXES.contains(&first.as_str()) => rest,
        all => all,
    };
    for name in [words.concat(), without_prefix.concat()] {
        if let Some(stem) = name.strip_suffix("ies") {
            stems.insert(format!("{stem}y"));
        }
        if let Some(stem) = name.strip_suffix("es") {
            stems.insert(stem.to_owned());
        }
        if let Some(stem) = name.strip_suffix('s') {
            stems.insert(stem.to_owned());
        }
        if name == "people" {
            stems.insert("person".to_owned());
        }
        stems.insert(name);
    }
    stems.retain(|stem| !stem.is_empty());
    stems
}

fn same_type(from: &MeasuredColumn, to: &MeasuredColumn) -> bool {
    !to.values.is_empty()
        && ((from.all_integers && to.all_integers) || (from.all_text && to.all_text))
}

/// Says whether nearly all values seen in one column occur in the other, which is asked as a whole.
fn contains(
    connection: &Connection,
    to: &Table,
    target: Target,
    values: &MeasuredColumn,
) -> rusqlite::Result<bool> {
    let column = &to.columns[target.column];
    if !column.declared_unique && to.row_count > Some(MAX_ROWS_WITHOUT_INDEX) {
        return Ok(false);
    }
    let sought: Vec<&Value> = values
        .values
        .iter()
        .filter(|value| !means_none(value))
        .collect();
    let list = serde_json::json!(sought);
    let found: i64 = connection.query_row(
        &format!(
            "SELECT count(*) FROM json_each(?1) AS given WHERE given.value IN (SELECT {} FROM {})",
            quote_identifier(&column.name),
            quote_identifier(&to.name)
        ),
        [list.to_string()],
        |row| row.get(0),
    )?;
    Ok(found > 0 && found as f64 >= sought.len() as f64 * MIN_CONTAINED)
}

/// Says whether a value is one that programs write where they mean NULL.
fn means_none(value: &Value) -> bool {
    matches!(value, Value::Integer(0 | -1))
        || matches!(value, Value::Text(text) if text.trim().is_empty())
}
