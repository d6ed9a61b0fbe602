//! Reading a schema, checking and fencing a statement, and turning many rows into JSON.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Error;
use engine::guard::guard;
use engine::policy::{Visibility, VisibleSchema};
use engine::ports::{QueryLimits, TargetGeneration};
use engine::prompt::GeneratedSql;
use engine::question::Provenance;
use engine::result::{ResultColumn, ResultSet, Value};
use rusqlite::Connection;
use serde::{Serialize, Serializer};
use serde_json::json;
use stores::target::SqliteGeneration;
use stores::target::read_schema::{SchemaLimits, read_schema};

use super::super::output;
use super::{Figure, demo, failed, median, ratio, seconds};

const TABLES: usize = 1_000;
const ROWS: usize = 100_000;

/// Statements over the demo company besides the gold SQL of our own set: shapes that it has not.
const MORE_STATEMENTS: [&str; 10] = [
    "SELECT 1",
    "SELECT * FROM customers",
    "SELECT order_id, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY order_date) FROM orders",
    "SELECT country FROM customers UNION SELECT country FROM suppliers EXCEPT SELECT 'Spain' ORDER BY 1",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12) SELECT i FROM n",
    "SELECT company_name FROM customers WHERE company_name LIKE '%Hotel%' AND city IN ('Berlin', 'Hamburg')",
    "SELECT product_id, CASE WHEN unit_price > 100 THEN 'dear' ELSE 'cheap' END AS class FROM products",
    "SELECT json_object('id', product_id, 'name', product_name) FROM products LIMIT 10",
    "SELECT COUNT(*) FROM orders WHERE order_date >= date('2025-12-31', '-90 days')",
    "SELECT balance FROM account_balances WHERE account_type = 'asset'",
];

/// Measures reading the schema of a file with many tables.
pub fn schema_figures(folder: &Path) -> Result<Vec<Figure>, Error> {
    output::say(&format!("reading the schema of {TABLES} tables"));
    let path = folder.join("tables.sqlite");
    many_tables(&path).map_err(failed)?;
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        black_box(read_schema(&path, &SchemaLimits::default(), &|_, _| ())?);
        times.push(begun.elapsed());
    }
    let what = format!("schema of {TABLES} tables, median of 5");
    Ok(vec![Figure::new(
        what,
        seconds(median(times)),
        "10 columns and 50 rows each, keys inferred, values sampled",
    )])
}

fn many_tables(path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    for table in 0..TABLES {
        let parent = table / 2;
        transaction.execute_batch(&format!(
            "CREATE TABLE table_{table} (
                 table_{table}_id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT, price REAL, amount REAL,
                 quantity INTEGER, created_on DATE, is_active INTEGER, parent_id INTEGER REFERENCES table_{parent},
                 table_{parent}_code TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
             INSERT INTO table_{table} SELECT i, 'name ' || i, NULLIF('note ' || i % 7, 'note 3'), i * 1.5, i * 0.25,
                 i % 10, date('2025-01-01', i || ' days'), i % 2, i, 'code ' || i FROM n;"
        ))?;
    }
    transaction.commit()
}

/// Measures what the guard and the engine's fences add to a statement. The database is tiny, so that running a
/// statement costs little beside them.
pub async fn statement_figures(folder: &Path) -> Result<Vec<Figure>, Error> {
    let statements = statements()?;
    output::say(&format!(
        "guard and fences over {} statements",
        statements.len()
    ));
    let path = demo(folder, "tiny", 40)?;
    let (generation, visible) = open(&path)?;
    let mut guarded = Vec::new();
    for sql in &statements {
        guarded.push(guard(sql, &visible)?);
    }
    let guard_turn = || {
        for sql in &statements {
            let _ = black_box(guard(sql, &visible));
        }
    };
    let guard_time = per_item(statements.len(), 40, guard_turn);

    let plain = Connection::open(&path).map_err(failed)?;
    let limits = QueryLimits::default();
    let (mut plain_times, mut fenced_times) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let begun = Instant::now();
        for sql in &guarded {
            run_plainly(&plain, sql.text()).map_err(failed)?;
        }
        plain_times.push(begun.elapsed());
        let begun = Instant::now();
        for sql in &guarded {
            black_box(generation.query(sql, &limits).await?);
        }
        fenced_times.push(begun.elapsed());
    }
    let count = u32::try_from(statements.len()).map_err(failed)?;
    let (plain, fenced) = (median(plain_times) / count, median(fenced_times) / count);
    let statements = format!("{count} statements");
    Ok(vec![
        Figure::new(
            "guard, per statement",
            micros(guard_time),
            statements.clone(),
        ),
        Figure::new(
            "fences, per statement",
            micros(fenced.saturating_sub(plain)),
            format!(
                "{statements}: {} fenced, {} by plain SQLite",
                micros(fenced),
                micros(plain)
            ),
        ),
    ])
}

/// Returns the gold SQL of our own set, and more.
fn statements() -> Result<Vec<GeneratedSql>, Error> {
    let set = include_str!("../../../../../evals/demo_company.jsonl");
    let gold = set.lines().map(|line| {
        let item: serde_json::Value = serde_json::from_str(line).map_err(failed)?;
        Ok(item["gold_sql"].as_str().unwrap_or_default().to_owned())
    });
    let more = MORE_STATEMENTS.iter().map(|sql| Ok((*sql).to_owned()));
    gold.chain(more)
        .map(|sql| sql.map(GeneratedSql::new))
        .collect()
}

fn run_plainly(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            black_box(row.get_ref(column)?);
        }
    }
    Ok(())
}

/// Measures many rows on their way to JSON text, beside the `sqlite3` command line.
pub async fn json_figures(folder: &Path) -> Result<Vec<Figure>, Error> {
    output::say(&format!("{ROWS} rows to JSON"));
    let path = demo(folder, "rows", 40_000)?;
    // order_lines has seven columns.
    let sql = format!("SELECT * FROM order_lines LIMIT {ROWS}");
    let (generation, visible) = open(&path)?;
    let guarded = guard(&GeneratedSql::new(sql.clone()), &visible)?;
    let limits = QueryLimits {
        max_rows: ROWS,
        ..QueryLimits::default()
    };
    let (mut arrays, mut objects, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut has_sqlite3 = true;
    let (mut array_bytes, mut object_bytes, mut their_bytes) = (0, 0, 0);
    for _ in 0..5 {
        let begun = Instant::now();
        let result = generation.query(&guarded, &limits).await?;
        let queried = begun.elapsed();
        let begun = Instant::now();
        let text = json!({ "columns": result.columns, "rows": result.rows }).to_string();
        arrays.push(queried + begun.elapsed());
        array_bytes = black_box(text).len();
        let begun = Instant::now();
        let text = serde_json::to_vec(&Objects(&result)).map_err(failed)?;
        objects.push(queried + begun.elapsed());
        object_bytes = black_box(text).len();
        if result.rows.len() != ROWS {
            return Err(failed(format!(
                "{} rows instead of {ROWS}",
                result.rows.len()
            )));
        }

        let begun = Instant::now();
        match Command::new("sqlite3")
            .arg("-json")
            .arg("-readonly")
            .arg(&path)
            .arg(&sql)
            .output()
        {
            Ok(output) if output.status.success() => {
                their_bytes = output.stdout.len();
                theirs.push(begun.elapsed());
            }
            _ => has_sqlite3 = false,
        }
    }
    let theirs = median(theirs);
    let beside = |ours| {
        if has_sqlite3 {
            format!(
                "{} times sqlite3 -json, {}, {their_bytes} bytes",
                ratio(ours, theirs),
                seconds(theirs)
            )
        } else {
            "the sqlite3 command line is not installed".to_owned()
        }
    };
    let figure = |shape: &str, times, bytes: usize| {
        let ours = median(times);
        let what = format!("{ROWS} rows x 7 columns to JSON {shape}, median of 5, {bytes} bytes");
        Figure::new(what, seconds(ours), beside(ours))
    };
    Ok(vec![
        figure("as answers have them", arrays, array_bytes),
        figure("as sqlite3 writes them", objects, object_bytes),
    ])
}

/// Rows as the `sqlite3` command line writes them: an array of objects, each with every column's name.
struct Objects<'a>(&'a ResultSet);

impl Serialize for Objects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows.iter().map(|row| Object(&self.0.columns, row)))
    }
}

struct Object<'a>(&'a [ResultColumn], &'a [Value]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|column| &column.name).zip(self.1))
    }
}

/// Opens a file as a generation in service, with everything visible.
fn open(path: &Path) -> Result<(SqliteGeneration, Arc<VisibleSchema>), Error> {
    let schema = Arc::new(read_schema(path, &SchemaLimits::default(), &|_, _| ())?);
    let visible = VisibleSchema::new(&schema, &Visibility::everything());
    let provenance = || Provenance {
        fingerprint: String::new(),
        data_as_of: String::new(),
        copied_at: String::new(),
        original_changed: false,
    };
    let path: PathBuf = path.to_owned();
    Ok((
        SqliteGeneration::new(path, schema, Box::new(provenance)),
        visible,
    ))
}

/// Returns the median time per item of turns over all of them.
fn per_item(items: usize, turns: usize, mut turn: impl FnMut()) -> Duration {
    let times = (0..turns).map(|_| {
        let begun = Instant::now();
        turn();
        begun.elapsed()
    });
    median(times.collect()) / u32::try_from(items.max(1)).unwrap_or(u32::MAX)
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}
