//! Values of the data that a question mentions, looked up in the index beside a working copy.

mod looking;
mod random_values;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::policy::{Visibility, VisibleSchema};
use engine::ports::{FoundValues, TargetGeneration, ValueIndexState};
use engine::question::Provenance;
use engine::values::DEFAULT_LIMIT;
use rusqlite::Connection;
use stores::target::SqliteGeneration;
use stores::target::read_schema::read_schema;
use stores::target::values::{ValueIndex, ValueIndexLimits, ValueIndexSource};
use tempfile::TempDir;

/// A wholesaler, with all that makes values hard to find.
const COMPANY: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, country TEXT, city TEXT, note TEXT);
    INSERT INTO customers VALUES
        (1, 'Müller GmbH', 'Germany', 'Köln', NULL),
        (2, 'Robert''); DROP TABLE customers;--', 'Germany', 'Berlin', 'pays late'),
        (3, 'Ada Lovelace', 'United Kingdom', 'London', NULL),
        (4, 'Casa do Café', 'Brazil', 'São Paulo', NULL),
        (5, 'Big Apple Ltd', 'USA', 'New York', 'x' || char(0) || 'hidden'),
        (6, 'Small Apple Ltd', 'USA', 'York', NULL);
    CREATE TABLE suppliers (id INTEGER PRIMARY KEY, country TEXT, secret TEXT);
    INSERT INTO suppliers VALUES (1, 'Germany', 'Zanzibar'), (2, 'France', 'Timbuktu'), (3, 'Peru', 'Berlin');
    CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, placed_on TEXT, total REAL, code);
    INSERT INTO orders VALUES
        (1, 'shipped', '2024-01-01', 1.5, 'express'), (2, 'shipped', '2024-01-02', 2.5, 7),
        (3, 'in transit', '2024-01-03', 3.5, x'00'), (4, 'Shipped', '2024-01-04', 4.5, NULL);
    CREATE TABLE void (word TEXT);
    CREATE TABLE numbers (a INTEGER, b REAL);
    INSERT INTO numbers VALUES (1, 2.0);
    CREATE TABLE \"odd \"\"table\" (\"a b\" TEXT, PRIMARY KEY (\"a b\")) WITHOUT ROWID;
    INSERT INTO \"odd \"\"table\" VALUES ('Quokka');
    CREATE VIEW german AS SELECT name AS who FROM customers WHERE country = 'Germany';
    CREATE VIRTUAL TABLE notes USING fts5(body);
    INSERT INTO notes VALUES ('Wombat');";

/// A database with its index.
struct Scene {
    folder: TempDir,
    generation: SqliteGeneration,
}

impl Scene {
    fn company() -> Self {
        Self::with(COMPANY, ValueIndexLimits::default())
    }

    fn with(sql: &str, limits: ValueIndexLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("copy.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        let generation = open(folder.path(), limits);
        Self { folder, generation }
    }

    /// Takes up the same file again, as a new process would.
    fn reopened(self) -> Self {
        let Self { folder, generation } = self;
        drop(generation);
        let generation = open(folder.path(), ValueIndexLimits::default());
        Self { folder, generation }
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("copy.values.db")
    }

    fn see(&self, hidden: &[&str]) -> Arc<VisibleSchema> {
        VisibleSchema::new(self.generation.schema(), &Visibility::hiding(hidden))
    }

    /// Looks once the index is there.
    async fn look(&self, question: &str, hidden: &[&str]) -> FoundValues {
        look(&self.generation, question, &self.see(hidden)).await
    }

    /// Returns what is found as text.
    async fn found(&self, question: &str, hidden: &[&str]) -> Vec<String> {
        as_text(&self.look(question, hidden).await)
    }
}

fn open(folder: &Path, limits: ValueIndexLimits) -> SqliteGeneration {
    let copy = folder.join("copy.db");
    let schema = Arc::new(read_schema(&copy, &Default::default(), &|_, _| ()).unwrap());
    let source = ValueIndexSource {
        copy: copy.clone(),
        schema: schema.clone(),
        content: "one content".to_owned(),
        index: folder.join("copy.values.db"),
        limits,
    };
    let provenance = || Provenance {
        fingerprint: String::new(),
        data_as_of: String::new(),
        copied_at: String::new(),
        original_changed: false,
    };
    SqliteGeneration::new(copy, schema, Box::new(provenance))
        .with_values(ValueIndex::start(source, Box::new(())))
}

async fn look(
    generation: &dyn TargetGeneration,
    question: &str,
    visible: &Arc<VisibleSchema>,
) -> FoundValues {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let found = generation
            .find_values(question, visible, DEFAULT_LIMIT)
            .await
            .unwrap();
        if found.index != ValueIndexState::Building {
            return found;
        }
        assert!(Instant::now() < deadline, "the index is never built");
        tokio::task::yield_now().await;
    }
}

fn as_text(found: &FoundValues) -> Vec<String> {
    let values = found.values.iter();
    values
        .map(|one| {
            let matched = format!("{:?}", one.matched).to_lowercase();
            format!(
                "{}.{} = {} ({}, {matched})",
                one.table, one.column, one.value, one.rows
            )
        })
        .collect()
}
