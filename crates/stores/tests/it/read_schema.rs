//! Reading what a database holds.

mod keys;
mod statistics;
mod structure;

use engine::schema::{Schema, Table};
use rusqlite::Connection;
use stores::target::read_schema::{SchemaLimits, read_schema};

/// Reads the schema of a database made by `sql`.
fn schema_of(sql: &str) -> Schema {
    schema_within(sql, &SchemaLimits::default())
}

fn schema_within(sql: &str, limits: &SchemaLimits) -> Schema {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a %41 ?#& file.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    read_schema(&path, limits, &|_, _| {}).unwrap()
}

fn table<'a>(schema: &'a Schema, name: &str) -> &'a Table {
    schema
        .tables
        .iter()
        .find(|table| table.name == name)
        .unwrap()
}

fn names(schema: &Schema) -> Vec<&str> {
    schema
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect()
}
