//! The index of stored values: what it costs to build, and how long a question is looked up in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Error;
use engine::policy::{Visibility, VisibleSchema};
use engine::ports::ValueIndexState;
use engine::values::DEFAULT_LIMIT;
use rusqlite::Connection;
use stores::target::read_schema::read_schema;
use stores::target::values::{ValueIndex, ValueIndexLimits, ValueIndexSource, build};

use super::super::output;
use super::{Figure, demo, failed, seconds};
use crate::demo_company::DemoOptions;

/// Rows of the large file.
const ROWS: usize = 1_000_000;
/// Times that each question is looked up.
const TURNS: usize = 50;

/// Questions as people write them: with values, misspelt ones, parts of names, and with none.
const QUESTIONS: [&str; 8] = [
    "How many customers are there in Germany?",
    "total revenue in the nethrlands and in austria by month in 2025",
    "Which products did Hotel customers in Berlin or Hamburg order most often last year?",
    "orders that were shipped late",
    "what is the average order value per country",
    "show me the ten customers with the highest turnover, without those in Sweden and Danmark",
    "Who manages the \"Sales\" department and how many employees report to Schmidt?",
    "How many returns were there because of a damaged item compared to the year before?",
];

/// Measures the demo company, and a table of a million rows.
pub async fn figures(folder: &Path) -> Result<Vec<Figure>, Error> {
    output::say("the index of stored values");
    let company = demo(folder, "values", DemoOptions::default().orders)?;
    let mut figures = of("the demo company", company).await?;
    let large = folder.join("events.sqlite");
    many_rows(&large).map_err(failed)?;
    figures.extend(of(&format!("{ROWS} rows"), large).await?);
    Ok(figures)
}

/// One table with columns of every kind: few values, many names, identifiers, addresses, dates, texts.
fn many_rows(path: &Path) -> rusqlite::Result<()> {
    Connection::open(path)?.execute_batch(&format!(
        "CREATE TABLE events (
             event_id INTEGER PRIMARY KEY, country TEXT, city TEXT, customer TEXT, code TEXT, mail TEXT, day TEXT, note TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
         INSERT INTO events SELECT i, 'Country ' || char(65 + i % 26), 'City ' || char(65 + i % 26, 97 + i / 26 % 26),
             'Customer ' || char(65 + i % 26, 97 + i / 26 % 26, 97 + i / 676 % 26, 97 + i / 17576 % 3), 'EV-' || i,
             'someone' || i || '@example.org', date('2020-01-01', i % 2000 || ' days'),
             'event number ' || i || ' was noted by the clerk on duty' FROM n;"
    ))
}

async fn of(what: &str, copy: PathBuf) -> Result<Vec<Figure>, Error> {
    let schema = Arc::new(read_schema(&copy, &Default::default(), &|_, _| ())?);
    let copied = std::fs::metadata(&copy).map_err(failed)?.len();
    let source = ValueIndexSource {
        index: copy.with_extension("values.db"),
        copy,
        schema: schema.clone(),
        content: what.to_owned(),
        limits: ValueIndexLimits::default(),
    };
    let built = build(&source, &source.index, &|| false).map_err(failed)?;
    let visible = VisibleSchema::new(&schema, &Visibility::everything());
    let index = ValueIndex::start(source, Box::new(()));
    while index.find("", &visible, 0).await?.index == ValueIndexState::Building {
        tokio::task::yield_now().await;
    }
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..TURNS {
        for question in QUESTIONS {
            let begun = Instant::now();
            let values = index.find(question, &visible, DEFAULT_LIMIT).await?;
            times.push(begun.elapsed());
            found += values.values.len();
        }
    }
    Ok(vec![
        Figure::new(
            format!("index of values of {what}, built"),
            seconds(built.elapsed),
            format!(
                "{} values of {} columns, {:.1} MB; the copy has {:.1} MB",
                built.values,
                built.columns,
                built.bytes as f64 / 1e6,
                copied as f64 / 1e6
            ),
        ),
        Figure::new(
            format!(
                "values of a question looked up in it, p50 of {}",
                times.len()
            ),
            milliseconds(percentile(&mut times, 50)),
            format!(
                "p95 {}; {} values found in {} questions",
                milliseconds(percentile(&mut times, 95)),
                found / TURNS,
                QUESTIONS.len()
            ),
        ),
    ])
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
