//! Whatever a program did to a database and wherever it stopped, the copy holds what SQLite would read.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::scene::{Scene, ensure};

#[derive(Debug, Clone)]
enum Act {
    Insert { rows: u32, width: usize },
    Update { every: u32 },
    Delete { every: u32 },
    Begin,
    Commit,
    Rollback,
    Checkpoint,
    AddTable,
}

impl Act {
    fn sql(&self, step: usize) -> String {
        match self {
            Act::Insert { rows, width } => format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO t(a, b) SELECT {step}, printf('%0{width}d', i) FROM n"
            ),
            Act::Update { every } => {
                format!("UPDATE t SET b = b || 'u', a = {step} WHERE id % {every} = 0")
            }
            Act::Delete { every } => format!("DELETE FROM t WHERE id % {every} = 0"),
            Act::Begin => "BEGIN".to_owned(),
            Act::Commit => "COMMIT".to_owned(),
            Act::Rollback => "ROLLBACK".to_owned(),
            Act::Checkpoint => "PRAGMA wal_checkpoint(TRUNCATE)".to_owned(),
            Act::AddTable => {
                format!("CREATE TABLE extra_{step}(x); INSERT INTO extra_{step} VALUES ({step})")
            }
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..400_u32, 1..300_usize).prop_map(|(rows, width)| Act::Insert { rows, width }),
        2 => (1..5_u32).prop_map(|every| Act::Update { every }),
        1 => (2..5_u32).prop_map(|every| Act::Delete { every }),
        2 => Just(Act::Begin),
        2 => Just(Act::Commit),
        1 => Just(Act::Rollback),
        1 => Just(Act::Checkpoint),
        1 => Just(Act::AddTable),
    ]
}

/// Returns every row of every table of the database at `path`.
fn everything(path: &Path) -> Vec<(String, Vec<Value>)> {
    let connection = Connection::open(path).unwrap();
    let mut names = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        .unwrap();
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut all = Vec::new();
    for name in names {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {name} ORDER BY 1"))
            .unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            all.push((
                name.clone(),
                (0..width).map(|index| row.get(index).unwrap()).collect(),
            ));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_copy_holds_what_sqlite_reads_from_the_same_files(
        mode in prop_oneof![Just("DELETE"), Just("TRUNCATE"), Just("PERSIST"), Just("WAL")],
        page_size in prop_oneof![Just(512), Just(4096), Just(65536)],
        acts in prop::collection::vec(act(), 1..14),
    ) {
        let scene = Scene::empty();
        let busy = scene.path().join("busy.db");
        let writer = Connection::open(&busy).unwrap();
        // A small cache writes pages into the file long before the transaction ends.
        writer.execute_batch(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA journal_mode = {mode}; PRAGMA cache_size = 3;
             CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"
        )).unwrap();
        for (step, act) in acts.iter().enumerate() {
            // Ending what was not begun and the like is refused and changes nothing.
            let _ = writer.execute_batch(&act.sql(step));
        }
        let reference = scene.path().join("reference.db");
        for suffix in ["", "-wal", "-journal"] {
            let from = format!("{}{suffix}", busy.display());
            if Path::new(&from).exists() {
                fs::copy(&from, scene.original_member(suffix)).unwrap();
                fs::copy(&from, format!("{}{suffix}", reference.display())).unwrap();
            }
        }
        ensure(&scene).unwrap();
        prop_assert_eq!(everything(&scene.working_copy()), everything(&reference));
    }
}
