//! What vectors cost: the model loaded, one question, and texts by the batch.

use engine::Error;

use super::Figure;
use crate::config::Settings;

/// Measures the local embedding model, whichever is configured for use.
#[cfg(feature = "gguf")]
pub async fn figures(settings: &Settings) -> Result<Vec<Figure>, Error> {
    use std::time::{Duration, Instant};

    use super::{median, peak_bytes};
    use crate::wire;
    use engine::Code;
    use engine::ports::Embedder;

    const QUESTIONS: usize = 200;
    const BATCHES: usize = 9;
    const BATCH: usize = 64;

    let embedder = match wire::gguf_embedder(settings) {
        Ok(embedder) => embedder,
        Err(error) if error.code() == Code::ModelMissing => {
            return Ok(vec![Figure::new(
                "embedding model",
                "-",
                "none is installed: assay model pull",
            )]);
        }
        Err(error) => return Err(error),
    };
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let begun = Instant::now();
    embedder.warm().await?;
    let loaded = begun.elapsed();

    let mut times = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        let question = [question(number)];
        let begun = Instant::now();
        embedder.embed(&question).await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let p95 = times[times.len() * 95 / 100];

    let mut batches = Vec::with_capacity(BATCHES);
    for batch in 0..BATCHES {
        let phrases: Vec<_> = (0..BATCH)
            .map(|number| phrase(batch * BATCH + number))
            .collect();
        let begun = Instant::now();
        embedder.embed(&phrases).await?;
        batches.push(begun.elapsed());
    }
    let batch = median(batches);

    let peak = embedder.worker_id().and_then(peak_bytes);
    let of_file = format!(
        "the file has {} MB",
        embedder.model().size_bytes / 1_000_000
    );
    Ok(vec![
        Figure::new(
            "embedding: process started, model loaded",
            milliseconds(loaded),
            format!("{} threads", embedder.threads()),
        ),
        Figure::new(
            "embedding: one question, p50",
            milliseconds(median(times)),
            format!("p95 {}, of {QUESTIONS}", milliseconds(p95)),
        ),
        Figure::new(
            format!("embedding: batch of {BATCH} phrases"),
            milliseconds(batch),
            format!("{} each", milliseconds(batch / BATCH as u32)),
        ),
        Figure::new(
            "embedding: peak memory of its process",
            peak.map_or_else(|| "-".into(), |bytes| format!("{} MB", bytes / 1_000_000)),
            of_file,
        ),
    ])
}

#[cfg(not(feature = "gguf"))]
pub async fn figures(_: &Settings) -> Result<Vec<Figure>, Error> {
    Ok(vec![Figure::new(
        "embedding model",
        "-",
        "this program was built without it",
    )])
}

/// Returns one of many questions, none like another.
#[cfg(feature = "gguf")]
fn question(number: usize) -> String {
    let (year, top) = (1990 + number % 37, number + 2);
    format!("Which {top} customers in Germany ordered the most products in {year}?")
}

/// Returns what an index holds: two to six words.
#[cfg(feature = "gguf")]
fn phrase(number: usize) -> String {
    const TABLES: [&str; 4] = ["customers", "order details", "products", "employees"];
    const COLUMNS: [&str; 5] = [
        "country",
        "unit price",
        "shipped date",
        "name",
        "billing city",
    ];
    format!(
        "{}: {} {number}",
        TABLES[number % TABLES.len()],
        COLUMNS[number % COLUMNS.len()]
    )
}
