//! Search among vectors, and the replacement of all of them, in the process and in Chroma.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::Error;
use engine::ports::{
    Clock, Collection, Document, EmbeddedDocument, Embedding, IndexManifest, VectorSearch,
    VectorStore,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::output;
use super::{Figure, failed, seconds};
use crate::config::{Settings, VectorSettings};
use crate::wire;

/// Numbers of one vector, as many as small embedding models give.
const DIMENSION: usize = 384;
/// Searches measured at each size.
const SEARCHES: usize = 200;
/// Documents found by one search.
const LIMIT: usize = 20;

/// Measures both stores; Chroma only if there is one.
pub async fn figures(
    folder: &Path,
    chroma: Option<&str>,
    settings: &Settings,
) -> Result<Vec<Figure>, Error> {
    let open = |vectors| {
        wire::vectors(&Settings {
            vectors,
            ..settings.clone()
        })
    };
    let in_process = open(VectorSettings::Memory {
        folder: folder.join("vectors"),
    })?;
    let mut figures = store_figures("in the process", &*in_process).await?;
    match chroma {
        Some(url) => {
            let store = open(VectorSettings::Chroma {
                url: url.to_owned(),
                tenant: None,
                database: Some(format!("assay_bench_{}", std::process::id())),
                token: None,
            })?;
            figures.extend(store_figures("in Chroma", &*store).await?);
        }
        None => figures.push(Figure::new(
            "vectors in Chroma",
            "-",
            "TEST_CHROMA_URL is not set",
        )),
    }
    Ok(figures)
}

async fn store_figures(place: &str, store: &dyn VectorStore) -> Result<Vec<Figure>, Error> {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_122);
    let mut figures = Vec::new();
    for count in [1_000, 10_000] {
        output::say(&format!("{count} vectors {place}"));
        let documents = documents(&mut random, count)?;
        let manifest = IndexManifest {
            embedder_hash: "bench".into(),
            source: count.to_string(),
            documents: documents.len() as u64,
            indexed_at: wire::SystemClock.now(),
        };
        let begun = Instant::now();
        let collection = Collection::TableSchemas;
        store
            .replace(collection, &documents, &manifest, &|_| ())
            .await?;
        let written = begun.elapsed();

        let mut times = Vec::new();
        for _ in 0..SEARCHES {
            let search = VectorSearch {
                collection,
                near: vector(&mut random)?,
                only: None,
                limit: LIMIT,
            };
            let begun = Instant::now();
            let found = store.search_many("bench", &[search]).await?;
            times.push(begun.elapsed());
            if found.first().map_or(0, |found| found.neighbours.len()) != LIMIT {
                return Err(failed("a search found too little"));
            }
        }
        figures.push(Figure::new(
            format!("search among {count} vectors {place}, median"),
            milliseconds(percentile(&mut times, 50)),
            format!(
                "95 of 100 within {}; {LIMIT} nearest of {DIMENSION} numbers each",
                milliseconds(percentile(&mut times, 95))
            ),
        ));
        figures.push(Figure::new(
            format!("{count} vectors {place} replaced"),
            seconds(written),
            format!("{:.0} a second", count as f64 / written.as_secs_f64()),
        ));
    }
    Ok(figures)
}

fn documents(random: &mut ChaCha8Rng, count: usize) -> Result<Vec<EmbeddedDocument>, Error> {
    let document = |number| {
        Ok(EmbeddedDocument {
            document: Document {
                id: format!("column:table_{:03}.column_{number}", number / 20),
                text: format!(
                    "column {number} of table {:03}: what was ordered, by whom and when",
                    number / 20
                ),
                metadata: [
                    ("table".to_owned(), format!("table_{:03}", number / 20)),
                    ("column".to_owned(), format!("column_{number}")),
                ]
                .into(),
            },
            embedding: vector(random)?,
        })
    };
    (0..count).map(document).collect()
}

fn vector(random: &mut ChaCha8Rng) -> Result<Embedding, Error> {
    Embedding::normalised(
        (0..DIMENSION)
            .map(|_| random.random_range(-1.0..1.0))
            .collect(),
    )
}

fn percentile(times: &mut [Duration], of_100: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * of_100).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
