//! What a target database holds: tables, columns, keys. Read once per generation by an adapter, never from model output.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The whole schema of one target database, with what was measured while reading it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Tables and views, in the order in which the database lists them.
    pub tables: Vec<Table>,
}

impl Schema {
    /// Returns the table or view of this name; SQLite compares names without regard to ASCII case.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// Returns the BLAKE3 hash, in hex, of all names, types, keys and DDL.
    ///
    /// Row counts, samples and inferred keys do not count: they move with the data, the fingerprint with the shape.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for table in &self.tables {
            put(&table.name);
            put(&table.ddl);
            for column in &table.columns {
                put(&column.name);
                put(&column.declared_type);
            }
            for key in table.foreign_keys.iter().filter(|key| !key.inferred) {
                put(&key.table);
                key.columns
                    .iter()
                    .chain(&key.referenced)
                    .for_each(|name| put(name));
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// What kind of object a [`Table`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// An ordinary table.
    Table,
    /// A view.
    View,
    /// A virtual table; its shadow tables are not part of the schema.
    Virtual,
}

/// One table or view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The name as declared.
    pub name: String,
    /// Table, view or virtual table.
    pub kind: TableKind,
    /// The columns in declared order.
    pub columns: Vec<Column>,
    /// The columns of the primary key in key order; empty when there is none.
    pub primary_key: Vec<String>,
    /// Declared foreign keys and, marked as such, inferred ones.
    pub foreign_keys: Vec<ForeignKey>,
    /// The number of rows; `None` for views, which are not counted.
    pub row_count: Option<u64>,
    /// The statement that created it, as stored.
    pub ddl: String,
    /// For a view, every base column it reads, views below it resolved; empty for tables.
    pub reads: Vec<ColumnRef>,
}

impl Table {
    /// Returns the column of this name, without regard to ASCII case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// One column with what was measured about its values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// The name as declared.
    pub name: String,
    /// The type as declared; empty when none was.
    pub declared_type: String,
    /// What people wrote about it where it was declared, on one line.
    pub description: Option<String>,
    /// Declared NOT NULL, or part of a primary key that cannot be null.
    pub not_null: bool,
    /// A declared unique constraint or index, or the primary key, covers exactly this column.
    pub declared_unique: bool,
    /// Measured: the share of rows, 0.0 to 1.0, that are NULL; `None` when not measured.
    pub null_share: Option<f64>,
    /// Measured: number of distinct values that are not NULL, within the rows that were sampled.
    pub distinct: Option<u64>,
    /// Measured: no value occurs twice among all rows; `None` when only part of the rows was sampled.
    pub is_unique: Option<bool>,
    /// Measured: some values that occur, the most frequent first, each cut to a readable length.
    pub samples: Vec<String>,
}

/// Names one column of one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnRef {
    /// The table or view.
    pub table: String,
    /// The column.
    pub column: String,
}

/// A reference from columns of one table to columns of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub table: String,
    /// The columns referred to, in the order of `columns`.
    pub referenced: Vec<String>,
    /// Not declared, but likely by name, type and containment of values.
    pub inferred: bool,
}
